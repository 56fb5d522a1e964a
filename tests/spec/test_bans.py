"""Clients that are refused for a while: by hand, by a limit, by a hook."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.client import Answer, Client, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import ScriptedOrigin

TRUSTED = 'trusted_proxies = ["127.0.0.2/32"]'
LIMITED = """
[[route]]
match = "limited.test"
respond = "yes"
limit = { requests = 2, per = "1h", ban = "1h", ban_after = 3 }
"""


@pytest.fixture
def banning() -> Iterator[Edged]:
    with Edged(route("*", extra='respond = "yes"') + LIMITED, workers=2, server=TRUSTED) as edged:
        yield edged


def ask(edged: Edged, client: str, host: str = "a.test") -> Answer:
    """As a trusted proxy hands on a request of that client."""
    with Client(edged.address, source="127.0.0.2") as proxy:
        lines = f"GET / HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {client}\r\n\r\n"
        proxy.send(lines.encode())
        return proxy.read_answer()


def statuses(edged: Edged, client: str, count: int = 8) -> set[int]:
    return {ask(edged, client).status for _ in range(count)}


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("203.0.113.7", "203.0.113.7", "203.0.113.8"),
        ("203.0.113.0/25", "203.0.113.90", "203.0.113.200"),
        ("2001:db8:0:1::/64", "2001:db8:0:1::5", "2001:db8:0:2::5"),
        ("2001:db8::7", "2001:db8::7", "2001:db8::8"),
        ("::ffff:203.0.113.9", "203.0.113.9", "203.0.113.8"),
    ],
)
def test_a_ban_holds_on_every_worker_until_it_is_lifted(
    banning: Edged, network: str, inside: str, outside: str
) -> None:
    assert banning.ctl("ban", network, "--for", "10m")
    refused = ask(banning, inside)
    assert (refused.status, refused.get("X-Edge-Error")) == (403, "banned")
    assert statuses(banning, inside) == {403}
    assert statuses(banning, outside) == {200}
    (listed,) = banning.ctl_json("bans")["bans"]
    assert 590 < listed["left_s"] <= 600
    assert banning.ctl("unban", network)
    assert statuses(banning, inside) == {200}
    assert "nobody" in banning.ctl("bans").out


def test_a_ban_ends_by_itself(banning: Edged) -> None:
    assert banning.ctl("ban", "203.0.113.7", "--for", "1.5s")
    assert ask(banning, "203.0.113.7").status == 403
    eventually(lambda: statuses(banning, "203.0.113.7") == {200})
    eventually(lambda: banning.ctl_json("bans")["bans"] == [])


def test_bans_outlive_reloads_killed_processes_and_a_restart(banning: Edged) -> None:
    assert banning.ctl("ban", "203.0.113.7")
    banning.reload()
    for worker in banning.workers():
        banning.end(worker)
    banning.end(banning.control_pid())
    eventually(banning.is_ready)
    assert statuses(banning, "203.0.113.7") == {403}
    banning.stop(expect=0)
    banning.start()
    eventually(lambda: statuses(banning, "203.0.113.7") == {403})
    assert statuses(banning, "203.0.113.8") == {200}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("ban", "nonsense"), 1, "no address and no network"),
        (("ban", "203.0.113.7", "--for", "soon"), 2, "no duration"),
        (("ban", "203.0.113.7", "--for", "0s"), 1, "lasts for"),
        (("unban", "203.0.113.7"), 1, "is not banned"),
        (("unban", "x"), 1, "no address and no network"),
    ],
)
def test_what_is_no_ban_is_refused(
    banning: Edged, arguments: tuple[str, ...], code: int, said: str
) -> None:
    outcome = banning.ctl(*arguments)
    assert outcome.code == code
    assert said in outcome.err


def test_a_client_that_does_not_heed_a_limit_is_banned(banning: Edged) -> None:
    reasons = [ask(banning, "203.0.113.7", "limited.test").status for _ in range(6)]
    assert reasons == [200, 200, 429, 429, 429, 429]
    eventually(lambda: statuses(banning, "203.0.113.7") == {403})  # of every route
    assert ask(banning, "203.0.113.8", "limited.test").status == 200
    eventually(lambda: "203.0.113.7" in banning.ctl("bans").out)
    assert "is banned for 3600 s" in banning.log


def test_a_hook_bans(edged: Callable[..., Edged], origin: ScriptedOrigin) -> None:
    each = edged(
        route("*", origin.address),
        server=f'hooks = ["hooks.py"]\n{TRUSTED}',
        workers=2,
        files={
            "hooks.py": """
from edge import Hook, Response, shared

class Trap(Hook):
    def request_filter(self, exchange):
        if exchange.request.path == "/wp-login.php":
            shared.ban(exchange.client.address, 600)
            return Response(404)
"""
        },
    )
    with Client(each.address, source="127.0.0.2") as proxy:
        proxy.send(b"GET /wp-login.php HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n")
        assert proxy.read_answer().status == 404
    eventually(lambda: statuses(each, "203.0.113.7") == {403})
    assert statuses(each, "203.0.113.8") == {200}
    assert fetch(each.address).status == 200
