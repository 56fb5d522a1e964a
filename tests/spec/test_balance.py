"""Peers: who is asked, who is left alone, and who has room. Two workers, real origins."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from tests.support.client import Answer, Client, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import End, Received, Reply, ScriptedOrigin
from tests.support.ports import free_address

HOST: Final = "a.test"


def named(name: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n{name}".encode()


@pytest.fixture
def origins() -> Iterator[list[ScriptedOrigin]]:
    """Four peers that answer with their letter."""
    made = [ScriptedOrigin(named(name)) for name in "abcd"]
    yield made
    for each in made:
        each.close()


@pytest.fixture
def balanced(edged: Callable[..., Edged], origins: list[ScriptedOrigin]) -> Callable[..., Edged]:
    """Starts an edged with two workers and one route to some of them."""

    def start(count: int, extra: str = "", tables: str = "") -> Edged:
        addresses = [origin.address for origin in origins[:count]]
        return edged(route("*.test", addresses, extra) + tables, workers=2)

    return start


def ask(edged: Edged, count: int, fields: str = "") -> Counter[str]:
    """So many requests, each on a connection of its own; the answers' letters."""
    answers = [fetch(edged.address, host=HOST, fields=fields) for _ in range(count)]
    assert {answer.status for answer in answers} == {200}, answers
    return Counter(answer.body.decode() for answer in answers)


def state_of(edged: Edged, origin: ScriptedOrigin) -> str:
    peers = edged.ctl_json("peers")["peers"]
    return next(str(each["state"]) for each in peers if each["peer"] == origin.address)


def at_once(edged: Edged, count: int) -> list[Answer]:
    """So many requests at the same time."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: fetch(edged.address, host=HOST), range(count)))


def is_left_alone(edged: Edged, origin: ScriptedOrigin) -> bool:
    """Whether no worker asks that peer: each hears of the others' findings at its heartbeat."""
    origin.forget()
    for _ in range(20):
        fetch(edged.address, host=HOST)
    return origin.requests == []


# Policies


def test_weights_hold_over_all_workers(balanced: Callable[..., Edged]) -> None:
    edged = balanced(2, 'balance = "weighted"\nweights = [3, 1]')
    found = ask(edged, 80)
    assert 55 <= found["a"] <= 65


@pytest.mark.parametrize("key", ["header:X-User", "cookie:sid"])
def test_the_same_key_gets_the_same_peer_from_every_worker(
    balanced: Callable[..., Edged], key: str
) -> None:
    edged = balanced(4, f'balance = "consistent({key})"')
    seen = set()
    for user in range(12):
        fields = f"X-User: u{user}\r\nCookie: a=b; sid=u{user}\r\n"
        found = ask(edged, 8, fields)
        assert len(found) == 1
        seen |= found.keys()
    assert len(seen) > 1


def test_the_least_busy_peer_is_asked(
    balanced: Callable[..., Edged], origins: list[ScriptedOrigin]
) -> None:
    go_on = [threading.Event() for _ in range(3)]
    for origin, event, name in zip(origins, go_on, "abc", strict=False):
        origin.reply = [event, named(name)]
    edged = balanced(3, 'balance = "least_conn"')
    with contextlib.ExitStack() as waiting:
        for _ in range(6):
            waiting.enter_context(one_more(edged, origins))
        assert [len(origin.requests) for origin in origins] == [2, 2, 2, 0]
        go_on[2].set()
        eventually(lambda: under_way(edged, origins[2]) == 0)
        assert ask(edged, 30) == {"c": 30}
        for event in go_on:
            event.set()


def under_way(edged: Edged, origin: ScriptedOrigin) -> int:
    """How many exchanges that peer has, in all workers."""
    peers = {peer["peer"]: peer for peer in edged.ctl_json("peers")["peers"]}
    return int(peers[origin.address]["under_way"])


def one_more(edged: Edged, origins: list[ScriptedOrigin]) -> Client:
    """A client whose request is with its peer when this returns."""
    before = sum(len(origin.requests) for origin in origins)
    client = Client(edged.address)
    client.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    eventually(lambda: sum(len(origin.requests) for origin in origins) > before)
    return client


# Failing peers


def test_a_peer_that_fails_is_left_alone_by_all_workers_and_asked_again_later(
    balanced: Callable[..., Edged], origins: list[ScriptedOrigin]
) -> None:
    edged = balanced(3, tables='[route.ejection]\nfailures = 3\nlasts = "2s"\n')
    origins[0].reply = [End.CLOSE]
    ask(edged, 40)  # every one answered: a retry hid the failures
    eventually(lambda: state_of(edged, origins[0]) == "ejected")
    eventually(lambda: is_left_alone(edged, origins[0]))
    assert set(ask(edged, 20)) == {"b", "c"}
    origins[0].reply = named("a")
    eventually(lambda: ask(edged, 6)["a"] > 0)
    eventually(lambda: state_of(edged, origins[0]) == "up")


def test_answers_that_say_so_count_as_failures(
    balanced: Callable[..., Edged], origins: list[ScriptedOrigin]
) -> None:
    origins[0].reply = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
    edged = balanced(3, tables="[route.ejection]\nfailures = 2\n")
    for _ in range(20):
        fetch(edged.address, host=HOST)
    eventually(lambda: state_of(edged, origins[0]) == "ejected")
    eventually(lambda: is_left_alone(edged, origins[0]))


def test_when_too_many_fail_all_are_asked(
    balanced: Callable[..., Edged], origins: list[ScriptedOrigin]
) -> None:
    edged = balanced(2, tables="[route.ejection]\nfailures = 1\n")
    for each in origins[:2]:
        each.reply = [End.CLOSE]
    for _ in range(6):
        assert fetch(edged.address, host=HOST).status == 502
    for each, letter in zip(origins, "ab", strict=False):
        each.reply = named(letter)
    assert set(ask(edged, 10)) == {"a", "b"}


# Health checks


def healthy(path: str) -> Callable[[Received], Reply]:
    def reply(request: Received) -> Reply:
        return named("well" if request.target == path else "a")

    return reply


CHECK: Final = '[route.health]\npath = "/health"\ninterval = "100ms"\ntimeout = "500ms"\nfall = 2\n'


def test_a_peer_is_used_while_it_is_found_well(
    balanced: Callable[..., Edged], origins: list[ScriptedOrigin]
) -> None:
    edged = balanced(2, tables=CHECK)
    eventually(lambda: state_of(edged, origins[0]) == "up" == state_of(edged, origins[1]))
    assert set(ask(edged, 10)) == {"a", "b"}
    origins[0].reply = b"HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n"
    eventually(lambda: state_of(edged, origins[0]) == "down")
    eventually(lambda: set(ask(edged, 10)) == {"b"})
    (listed,) = [p for p in edged.ctl_json("peers")["peers"] if p["state"] == "down"]
    assert listed["why"] == "status 500"
    assert 0 <= listed["found_s_ago"] < 60
    origins[0].reply = named("a")
    eventually(lambda: set(ask(edged, 10)) == {"a", "b"})
    told = edged.ctl("events").out
    assert f"{origins[0].address} is down: status 500" in told


def test_peers_are_asked_once_and_not_by_every_worker(
    balanced: Callable[..., Edged], origins: list[ScriptedOrigin]
) -> None:
    edged = balanced(1, tables=CHECK.replace("100ms", "10m"))
    eventually(lambda: state_of(edged, origins[0]) == "up")
    assert [each.target for each in origins[0].requests] == ["/health"]
    (check,) = origins[0].requests
    assert check.get("user-agent") == "edged-health"


def test_a_peer_that_never_was_well_is_not_used_before_it_is(
    balanced: Callable[..., Edged], origins: list[ScriptedOrigin]
) -> None:
    origins[1].reply = [End.HANG]
    edged = balanced(2, tables=CHECK)
    eventually(lambda: state_of(edged, origins[1]) == "down")
    eventually(lambda: state_of(edged, origins[0]) == "up")
    assert ask(edged, 10) == {"a": 10}


def test_what_was_found_outlives_control(
    balanced: Callable[..., Edged], origins: list[ScriptedOrigin]
) -> None:
    edged = balanced(2, tables=CHECK)
    origins[0].reply = [End.CLOSE]
    eventually(lambda: state_of(edged, origins[0]) == "down")
    edged.kill(edged.control_pid())
    assert ask(edged, 10) == {"b": 10}
    eventually(lambda: state_of(edged, origins[0]) == "down")
    origins[0].reply = named("a")
    eventually(lambda: set(ask(edged, 10)) == {"a", "b"})


def test_a_check_may_only_connect(
    edged: Callable[..., Edged], origins: list[ScriptedOrigin]
) -> None:
    addresses = [origins[0].address, free_address()]
    each = edged(
        route("*.test", addresses) + '[route.health]\ninterval = "100ms"\nfall = 1\n', workers=2
    )
    eventually(lambda: state_of(each, origins[0]) == "up")
    peers = each.ctl_json("peers")["peers"]
    assert {p["state"]: p["why"] for p in peers}["down"] == "ECONNREFUSED"


# Draining


def test_a_drained_peer_finishes_what_it_has_and_gets_nothing_more(
    balanced: Callable[..., Edged], origins: list[ScriptedOrigin]
) -> None:
    go_on = threading.Event()
    edged = balanced(2)
    origins[0].reply = [go_on, named("late")]
    held = hold(edged, origins)
    busy = edged.ctl("peer", "drain", origins[0].address, "--wait", "0.2")
    assert busy.code == 1
    assert "still has 1" in busy.err
    assert ask(edged, 20) == {"b": 20}
    assert state_of(edged, origins[0]) == "drained"
    go_on.set()
    held.socket.settimeout(10)
    assert held.read_answer().body == b"late"
    held.close()
    assert edged.ctl("peer", "drain", origins[0].address)
    edged.reload()
    assert ask(edged, 10) == {"b": 10}
    origins[0].reply = named("a")
    assert edged.ctl("peer", "resume", origins[0].address)
    assert set(ask(edged, 20)) == {"a", "b"}


def test_when_every_peer_is_drained_the_answer_says_so(
    balanced: Callable[..., Edged], origins: list[ScriptedOrigin]
) -> None:
    edged = balanced(1)
    assert edged.ctl("peer", "drain", origins[0].address)
    answer = fetch(edged.address, host=HOST)
    assert (answer.status, answer.get("X-Edge-Error")) == (503, "no-peer")


def test_draining_what_is_no_peer_is_refused(balanced: Callable[..., Edged]) -> None:
    outcome = balanced(1).ctl("peer", "drain", "127.0.0.1:1")
    assert outcome.code == 1
    assert "No route has a peer '127.0.0.1:1'" in outcome.err


def hold(edged: Edged, origins: list[ScriptedOrigin]) -> Client:
    """A client whose request the first peer keeps."""
    while True:
        client = one_more(edged, origins)
        if origins[0].requests:
            return client
        client.close()


# Room


class Counting:
    """A peer that counts how many exchanges it has at the same time."""

    def __init__(self) -> None:
        self.most = self.now = 0
        self.lock = threading.Lock()
        self.go_on = threading.Event()

    def __call__(self, request: Received) -> Iterator[bytes | threading.Event]:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        yield self.go_on
        with self.lock:
            self.now -= 1
        yield named("a")


def test_past_its_connections_requests_wait_for_a_peer(
    balanced: Callable[..., Edged], origins: list[ScriptedOrigin]
) -> None:
    origins[0].reply = counting = Counting()
    edged = balanced(1, "max_connections = 2")
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(fetch, edged.address, host=HOST) for _ in range(12)]
        eventually(lambda: counting.now >= 2)
        counting.go_on.set()
        answers = [each.result() for each in asked]
    assert {answer.status for answer in answers} == {200}
    assert counting.most <= 3  # one more per other worker can slip in at the same moment


def test_a_full_queue_and_a_long_wait_are_answered(
    balanced: Callable[..., Edged], origins: list[ScriptedOrigin]
) -> None:
    go_on = threading.Event()
    origins[0].reply = [go_on, named("a")]
    edged = balanced(1, 'max_connections = 1\nqueue = 2\nqueue_timeout = "600ms"')
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(fetch, edged.address, host=HOST)
        eventually(lambda: origins[0].requests)
        answers = at_once(edged, 16)
        go_on.set()
        assert first.result().status == 200
    found = Counter((each.status, each.get("X-Edge-Error")) for each in answers)
    assert found[(504, "queue-timeout")] >= 2
    assert found[(503, "queue-full")] >= 10
    assert set(found) == {(504, "queue-timeout"), (503, "queue-full")}
