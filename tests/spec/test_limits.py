"""Who may ask, and how often: counted over two workers."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.support.client import Answer, Client, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import End, ScriptedOrigin

ROUTES = """
[[route]]
match = "slow.test"
respond = "slow"
limit = { requests = 5, per = "1h" }

[[route]]
match = "users.test"
respond = "users"
[route.limit]
requests = 2
per = "1h"
by = "header:X-User"

[[route]]
match = ["two.test", "*.two.test"]
respond = "two"
limit = { requests = 4, per = "1h" }

[[route]]
match = "told.test"
respond = "told"
limit = { requests = 10, per = "1h", burst = 3, fields = true }

[[route]]
match = "quick.test"
respond = "quick"
limit = { requests = 20, per = "1s", burst = 1 }

[[route]]
match = "inside.test"
respond = "inside"
allow = ["127.0.0.0/8", "2001:db8::/32"]
deny = ["127.0.0.9/32"]

[[route]]
match = "open.test"
respond = "open"
"""


@pytest.fixture
def limited() -> Iterator[Edged]:
    with Edged(ROUTES, workers=2, server='trusted_proxies = ["127.0.0.2/32"]') as edged:
        yield edged


def statuses(edged: Edged, host: str, count: int, fields: str = "") -> Counter[int]:
    return Counter(fetch(edged.address, host=host, fields=fields).status for _ in range(count))


def from_client(edged: Edged, host: str, client: str) -> Answer:
    """As a trusted proxy hands on a request of that client."""
    with Client(edged.address, source="127.0.0.2") as proxy:
        lines = f"GET / HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {client}\r\n\r\n"
        proxy.send(lines.encode())
        return proxy.read_answer()


def test_a_limit_holds_over_all_workers(limited: Edged) -> None:
    assert statuses(limited, "slow.test", 40) == {200: 5, 429: 35}
    assert statuses(limited, "open.test", 40) == {200: 40}


def test_a_refusal_says_when_to_come_again(limited: Edged) -> None:
    answers = [fetch(limited.address, host="slow.test") for _ in range(6)]
    refused = answers[-1]
    assert (refused.status, refused.get("X-Edge-Error")) == (429, "rate-limited")
    assert 0 < int(refused.get("Retry-After")) <= 720  # a token comes every 12 minutes
    assert refused.get("RateLimit-Limit") == "5"
    assert refused.get("RateLimit-Remaining") == "0"
    assert 3500 <= int(refused.get("RateLimit-Reset")) <= 3600
    assert answers[0].get("RateLimit-Limit") == ""
    assert limited.logged(status=429)["reason"] == "rate-limited"


def test_what_is_left_is_told_where_asked_for(limited: Edged) -> None:
    answers = [fetch(limited.address, host="told.test") for _ in range(4)]
    assert [each.status for each in answers] == [200, 200, 200, 429]
    assert [each.get("RateLimit-Remaining") for each in answers] == ["2", "1", "0", "0"]


def test_each_key_has_a_limit_of_its_own(limited: Edged) -> None:
    for user in ("ada", "bob"):
        assert statuses(limited, "users.test", 10, f"X-User: {user}\r\n") == {200: 2, 429: 8}


def test_all_patterns_of_a_route_share_its_limit(limited: Edged) -> None:
    assert statuses(limited, "two.test", 3) == {200: 3}
    assert statuses(limited, "a.two.test", 3) == {200: 1, 429: 2}


def test_each_client_has_a_limit_and_an_ipv6_network_is_one_client(limited: Edged) -> None:
    for client in ("192.0.2.1", "192.0.2.2"):
        found = Counter(from_client(limited, "slow.test", client).status for _ in range(8))
        assert found == {200: 5, 429: 3}
    network = [f"2001:db8:1:1::{n:x}" for n in range(1, 9)]
    found = Counter(from_client(limited, "slow.test", client).status for client in network)
    assert found == {200: 5, 429: 3}
    assert from_client(limited, "slow.test", "2001:db8:1:2::1").status == 200


def test_tokens_come_back(limited: Edged) -> None:
    assert fetch(limited.address, host="quick.test").status == 200
    eventually(lambda: fetch(limited.address, host="quick.test").status == 200, 2.0)


def test_a_limit_outlives_reloads_rolls_and_killed_workers(limited: Edged) -> None:
    assert statuses(limited, "slow.test", 10) == {200: 5, 429: 5}
    limited.reload()
    assert statuses(limited, "slow.test", 10) == {429: 10}
    assert limited.ctl("reload", "--roll")
    assert statuses(limited, "slow.test", 10) == {429: 10}
    for worker in limited.workers():
        limited.kill(worker)
    eventually(lambda: len(limited.workers()) == 2)
    eventually(lambda: statuses(limited, "slow.test", 5) == {429: 5})


def test_a_changed_limit_counts_anew(limited: Edged) -> None:
    assert statuses(limited, "slow.test", 6) == {200: 5, 429: 1}
    limited.write(ROUTES.replace("requests = 5", "requests = 7"))
    limited.reload()
    assert statuses(limited, "slow.test", 10) == {200: 7, 429: 3}


@pytest.mark.parametrize(
    ("client", "status"),
    [
        ("127.0.0.3", 200),
        ("127.0.0.9", 403),
        ("192.0.2.1", 403),
        ("2001:db8::1", 200),
        ("2001:db9::1", 403),
        ("::ffff:127.0.0.3", 200),
    ],
)
def test_clients_are_let_in_by_their_address(limited: Edged, client: str, status: int) -> None:
    answer = from_client(limited, "inside.test", client)
    assert answer.status == status
    assert answer.get("X-Edge-Error") == ("denied" if status == 403 else "")


def test_a_stranger_cannot_claim_another_address(limited: Edged) -> None:
    fields = "X-Forwarded-For: 192.0.2.77\r\n"
    assert statuses(limited, "slow.test", 4, fields) == {200: 4}
    assert statuses(limited, "slow.test", 4) == {200: 1, 429: 3}


def test_a_hook_limits_what_it_likes(edged: Callable[..., Edged], origin: ScriptedOrigin) -> None:
    each = edged(
        route("*.test", origin.address),
        server='hooks = ["hooks.py"]',
        workers=2,
        files={
            "hooks.py": """
from edge import Hook, Response, shared

logins = shared.limit("logins", 3, per_s=3600)

class Logins(Hook):
    def request_filter(self, exchange):
        if not logins.take(exchange.request.headers.get("X-User", "nobody")).allowed:
            return Response(429, "later")
"""
        },
    )
    for user in ("ada", "bob"):
        assert statuses(each, "a.test", 12, f"X-User: {user}\r\n") == {200: 3, 429: 9}


# What goes on at the same time

AT_ONCE = """
[route.concurrent]
requests = 2
by = "header:X-User"
"""


def test_so_many_at_once_over_all_workers_and_a_dead_worker_holds_none(
    edged: Callable[..., Edged], origin: ScriptedOrigin
) -> None:
    go_on = threading.Event()
    origin.reply = [go_on, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]
    each = edged(route("a.test", origin.address) + AT_ONCE, workers=2)
    ada = "X-User: ada\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            client = stack.enter_context(Client(each.address))
            client.send(f"GET / HTTP/1.1\r\nHost: a.test\r\n{ada}\r\n".encode())
        eventually(lambda: len(origin.requests) == 2)
        refused = fetch(each.address, host="a.test", fields=ada)
        assert (refused.status, refused.get("X-Edge-Error")) == (429, "concurrency-limited")
        assert refused.get("Retry-After") == "1"
        assert statuses(each, "a.test", 6, ada) == {429: 6}
        for worker in each.workers():
            each.end(worker)
    eventually(each.is_ready)
    go_on.set()
    eventually(lambda: statuses(each, "a.test", 6, ada) == {200: 6})


def test_an_upgraded_connection_counts_as_long_as_it_lasts(
    edged: Callable[..., Edged], origin: ScriptedOrigin
) -> None:
    origin.reply = [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", End.HANG
    ]  # fmt: skip
    each = edged(route("a.test", origin.address) + AT_ONCE.replace("2", "1"), workers=2)
    upgrade = b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: x\r\nConnection: upgrade\r\n"
    with Client(each.address) as client:
        client.send(upgrade + b"X-User: ada\r\n\r\n")
        assert client.read_answer(until_status=101).status == 101
        origin.reply = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        assert statuses(each, "a.test", 6, "X-User: ada\r\n") == {429: 6}
        assert statuses(each, "a.test", 6, "X-User: bob\r\n") == {200: 6}
    eventually(lambda: statuses(each, "a.test", 1, "X-User: ada\r\n") == {200: 1})


# How fast


@pytest.mark.parametrize("kind", ["file", "peer", "hook"])
def test_a_client_gets_no_more_bytes_than_it_may(
    edged: Callable[..., Edged], origin: ScriptedOrigin, kind: str
) -> None:
    """400 KiB at 200 KiB/s, of which the first 200 come at once: about a second for the rest."""
    data = bytes(range(256)) * 1600
    origin.reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data)
    target = 'root = "files"' if kind == "file" else f'upstreams = ["{origin.address}"]'
    each = edged(
        f'[[route]]\nmatch = "a.test"\n{target}\nbandwidth = "200KiB"\n'
        '[[route]]\nmatch = "b.test"\nrespond = "other"\n',
        server='hooks = ["hooks.py"]' if kind == "hook" else "",
        files={"files/big.txt": data.decode("latin-1"), "hooks.py": PASSING},
        workers=2,
    )
    started = time.monotonic()
    with Client(each.address) as client:
        client.send(b"GET /big.txt HTTP/1.1\r\nHost: a.test\r\n\r\n")
        client.read_until(b"\r\n\r\n")
        assert fetch(each.address, host="b.test").body == b"other"  # held up by nothing
    first = time.monotonic() - started
    body = fetch(each.address, "/big.txt", host="a.test").body
    lasted = time.monotonic() - started - first
    assert len(body) >= len(data)
    assert lasted > 0.9


PASSING = """
from edge import Hook

class Through(Hook):
    def response_body_filter(self, exchange, data, end):
        return data
"""
