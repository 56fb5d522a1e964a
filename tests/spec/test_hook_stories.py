"""What a person can do with a hook, seen from a client, an origin and the log."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.support.client import Client, Reset, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import End, ScriptedOrigin
from tests.support.ports import free_address

HEADER: Final = "from edge import Hook, Exchange, Response, Peer, EdgeError, shared\n\n"

Hooked = Callable[..., Edged]


@pytest.fixture
def hooked(edged: Hooked, origin: ScriptedOrigin) -> Hooked:
    """Starts an edged with hooks of this text, in front of the origin."""

    def start(text: str, *, workers: int = 1, body: str = "") -> Edged:
        return edged(
            body or route("*.test", origin.address),
            server='hooks = ["hooks.py"]',
            files={"hooks.py": HEADER + text},
            workers=workers,
        )

    return start


# Verdicts


def test_a_hook_answers(hooked: Hooked, origin: ScriptedOrigin) -> None:
    edged = hooked("""
class Door(Hook):
    def early_request_filter(self, exchange: Exchange) -> Response | None:
        if exchange.request.path == "/early":
            return Response(403, "no", {"X-Why": "early"})

    def request_filter(self, exchange: Exchange) -> Response | None:
        if exchange.request.headers.get("Authorization") != "Bearer x":
            return Response(401, b"who?", {"WWW-Authenticate": "Bearer"})
""")
    early = fetch(edged.address, "/early", host="a.test")
    assert (early.status, early.body, early.get("X-Why")) == (403, b"no", "early")
    answer = fetch(edged.address, host="a.test", method="POST", body=b"hello")
    assert (answer.status, answer.get("WWW-Authenticate")) == (401, "Bearer")
    assert origin.requests == []
    fields = "Authorization: Bearer x\r\n"
    assert fetch(edged.address, host="a.test", fields=fields).status == 200


def test_an_answer_of_a_hook_keeps_a_pipeline_in_order(
    hooked: Hooked, origin: ScriptedOrigin
) -> None:
    edged = hooked("""
class Odd(Hook):
    def request_filter(self, exchange):
        if exchange.request.path.startswith("/mine"):
            return Response(200, "mine")
""")
    with Client(edged.address) as client:
        client.send(
            b"POST /mine/1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello"
            b"GET /theirs HTTP/1.1\r\nHost: a.test\r\n\r\n"
            b"GET /mine/2 HTTP/1.1\r\nHost: a.test\r\n\r\n"
        )
        assert [client.read_answer().body for _ in range(3)] == [b"mine", b"ok", b"mine"]
    assert [each.target for each in origin.requests] == ["/theirs"]


def test_a_hook_sends_a_request_another_way(hooked: Hooked, origin: ScriptedOrigin) -> None:
    with ScriptedOrigin(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbeta") as beta:
        edged = hooked(
            """
class Beta(Hook):
    def request_filter(self, exchange):
        if "beta=1" in exchange.request.headers.get("Cookie", ""):
            return exchange.reroute(host="beta.inner")
        if exchange.request.path == "/lost":
            return exchange.reroute(host="nobody.inner")
""",
            body=route("*.test", origin.address) + route("beta.inner", beta.address),
        )
        assert fetch(edged.address, host="a.test").body == b"ok"
        answer = fetch(edged.address, host="a.test", fields="Cookie: beta=1\r\n")
        assert answer.body == b"beta"
        assert beta.requests[0].get("host") == "a.test"
        assert fetch(edged.address, "/lost", host="a.test").status == 404


def test_a_hook_hangs_up(hooked: Hooked, origin: ScriptedOrigin) -> None:
    edged = hooked("""
class Rude(Hook):
    def early_request_filter(self, exchange):
        if exchange.request.path == "/scan":
            return exchange.abort("a scanner")
""")
    with Client(edged.address) as client:
        client.send(b"GET /scan HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert client.read_to_end() == b""
    assert edged.logged(path="/scan")["reason"] == "hook-abort"
    assert origin.requests == []


# Bodies and peers


def test_a_hook_chooses_the_peer_by_the_body(hooked: Hooked, origin: ScriptedOrigin) -> None:
    with ScriptedOrigin(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo") as second:
        edged = hooked(f"""
class Shard(Hook):
    def upstream_peer(self, exchange):
        if exchange.request.length and b"tenant=2" in exchange.request.read(1024):
            return Peer("{second.address}")
""")
        for sent, got in ((b"tenant=1", b"ok"), (b"tenant=2", b"two")):
            assert fetch(edged.address, host="a.test", method="POST", body=sent).body == got
        assert second.requests[0].body == b"tenant=2"
        chunked = b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
        with Client(edged.address) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\n" + chunked)
            assert client.read_answer(until_status=100).status == 100
            client.send(b"8\r\ntenant=2\r\n0\r\n\r\n")
            assert client.read_answer().body == b"two"
        large = fetch(edged.address, host="a.test", method="POST", body=b"x" * 1025)
        assert (large.status, large.get("X-Edge-Error")) == (413, "body-too-large")


def test_body_filters_change_what_streams(hooked: Hooked, origin: ScriptedOrigin) -> None:
    edged = hooked("""
class Shout(Hook):
    def request_body_filter(self, exchange, data, end):
        return data.upper()

    def response_body_filter(self, exchange, data, end):
        return data.replace(b"o", b"00") + (b"!" if end else b"")
""")
    big = b"abcdefgh" * 20_000
    assert fetch(edged.address, host="a.test", method="POST", body=big).body == b"00k!"
    assert origin.requests[0].body == big.upper()
    assert fetch(edged.address, host="a.test", method="POST", body=b"small").body == b"00k!"
    assert origin.requests[1].body == b"SMALL"
    assert fetch(edged.address, host="a.test", method="HEAD").body == b""


def test_a_hook_names_the_peer_of_the_next_attempt(hooked: Hooked, origin: ScriptedOrigin) -> None:
    edged = hooked(
        f"""
class Spare(Hook):
    def fail_to_connect(self, exchange, error):
        exchange.ctx.failed = str(exchange.peer.address)
        return Peer("{origin.address}")

    def response_filter(self, exchange):
        exchange.response.headers["X-Failed"] = exchange.ctx.failed
""",
        body=route("*.test", dead := free_address()),
    )
    answer = fetch(edged.address, host="a.test", method="POST", body=b"x")
    assert (answer.status, answer.get("X-Failed")) == (200, dead)


def test_a_hook_forbids_a_second_attempt_and_builds_the_answer(
    hooked: Hooked, origin: ScriptedOrigin
) -> None:
    origin.reply = [End.CLOSE]
    edged = hooked("""
class Once(Hook):
    def error_while_proxy(self, exchange, error):
        return False

    def fail_to_proxy(self, exchange, error):
        return Response(503, f"sorry: {error.reason}", {"Retry-After": "5"})
""")
    answer = fetch(edged.address, host="a.test")
    assert (answer.status, answer.body) == (503, b"sorry: upstream-closed")
    assert len(origin.requests) == 1


def test_fields_that_a_hook_changes(hooked: Hooked, origin: ScriptedOrigin) -> None:
    edged = hooked("""
class Fields(Hook):
    def request_filter(self, exchange):
        exchange.request.headers["X-User"] = "me"
        exchange.request.headers.remove("Cookie")

    def upstream_request_filter(self, exchange):
        exchange.upstream_headers["X-Hop"] = exchange.peer.address

    def response_filter(self, exchange):
        exchange.response.headers["X-Route"] = exchange.route.pattern
        exchange.response.headers.remove("Server")
""")
    origin.reply = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\nok"
    answer = fetch(edged.address, host="a.test", fields="Cookie: a=b\r\nX-User: forged\r\n")
    request = origin.requests[0]
    assert (request.get("x-user"), request.get("cookie")) == ("me", "")
    assert request.get("x-hop") == origin.address
    assert (answer.get("X-Route"), answer.get("Server")) == ("*.test", "")


# Failures


@pytest.mark.parametrize(
    "phase",
    ["early_request_filter", "request_filter", "upstream_peer", "upstream_request_filter",
     "upstream_response_filter", "response_filter"],
)  # fmt: skip
def test_a_hook_that_raises_is_a_500_that_says_so_and_no_more(
    hooked: Hooked, origin: ScriptedOrigin, phase: str
) -> None:
    edged = hooked(f"""
class Broken(Hook):
    def {phase}(self, exchange):
        if exchange.request.path == "/bad":
            raise KeyError("the secret")
""")
    with Client(edged.address) as client:
        client.send(b"GET /bad HTTP/1.1\r\nHost: a.test\r\n\r\n")
        answer = client.read_answer()
        assert (answer.status, answer.get("X-Edge-Error")) == (500, "hook-error")
        assert b"secret" not in answer.body
        client.send(b"GET /good HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert client.read_answer().status == 200
    assert edged.logged(path="/bad")["reason"] == "hook-error"
    eventually(lambda: "KeyError: 'the secret'" in edged.log)
    assert f"Broken.{phase}" in edged.log


def test_a_hook_that_says_so_fails_open(hooked: Hooked, origin: ScriptedOrigin) -> None:
    edged = hooked("""
class Extra(Hook):
    on_error = "continue"

    def request_filter(self, exchange):
        1 / 0
""")
    assert fetch(edged.address, host="a.test").status == 200
    eventually(lambda: "ZeroDivisionError" in edged.log)


def test_a_body_filter_that_raises_cuts_the_answer(hooked: Hooked, origin: ScriptedOrigin) -> None:
    origin.reply = b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b"abc" * 133_333 + b"d"
    edged = hooked("""
class Late(Hook):
    def response_body_filter(self, exchange, data, end):
        if end:
            raise RuntimeError("too late")
""")
    with Client(edged.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        client.read_until(b"abcabc")
        with pytest.raises(Reset):
            client.read_to_end()
    assert edged.logged(host="a.test")["reason"] == "hook-error"


def test_a_hook_that_waits_holds_up_only_its_own_request(
    hooked: Hooked, origin: ScriptedOrigin
) -> None:
    edged = hooked("""
import time

go_on = shared.flag("go-on")

class Slow(Hook):
    def request_filter(self, exchange):
        if exchange.request.path == "/go-on":
            go_on.set()
        while exchange.request.path == "/slow" and not go_on:
            time.sleep(0.01)  # as users wait: here it must let others run
""")
    with Client(edged.address) as slow:
        slow.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
        for _ in range(20):
            assert fetch(edged.address, "/quick", host="a.test").status == 200
        slow.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            slow.socket.recv(1)
        fetch(edged.address, "/go-on", host="a.test")
        slow.socket.settimeout(10)
        assert slow.read_answer().status == 200


def test_a_hook_that_blocks_is_named(hooked: Hooked, origin: ScriptedOrigin) -> None:
    edged = hooked("""
class Busy(Hook):
    def request_filter(self, exchange):
        sum(range(30_000_000))
""")
    assert fetch(edged.address, host="a.test").status == 200
    eventually(lambda: "Busy.request_filter" in edged.log)


def test_a_hook_that_waits_for_ever_is_ended(hooked: Hooked, origin: ScriptedOrigin) -> None:
    edged = hooked(
        """
import threading

class Asleep(Hook):
    def request_filter(self, exchange):
        threading.Event().wait()
""",
        body=route("*.test", origin.address) + '[timeouts]\nhook = "500ms"\n',
    )
    answer = fetch(edged.address, host="a.test")
    assert (answer.status, answer.get("X-Edge-Error")) == (500, "hook-error")


# Logging, and state across workers


def test_the_logging_phase_runs_for_every_answer_once(
    hooked: Hooked, origin: ScriptedOrigin
) -> None:
    edged = hooked("""
seen = shared.counter("seen")
bad = shared.counter("bad")

class Seen(Hook):
    def request_filter(self, exchange):
        if exchange.request.path == "/count":
            return Response(200, f"{seen.value} {bad.value}")

    def logging(self, exchange):
        seen.add()
        if exchange.status >= 400:
            bad.add()
""")
    for _ in range(3):
        assert fetch(edged.address, host="a.test").status == 200
    assert fetch(edged.address, host="nobody").status == 404
    with Client(edged.address) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.read_answer().status == 400
    # The readiness probe was one, a 404, and this one is answered before it is counted.
    assert fetch(edged.address, "/count", host="a.test").body == b"6 3"


def test_workers_count_together_and_see_one_flag(hooked: Hooked, origin: ScriptedOrigin) -> None:
    edged = hooked(
        """
hits = shared.counter("hits")
closed = shared.flag("closed")

class Gate(Hook):
    def request_filter(self, exchange):
        if exchange.request.path == "/close":
            closed.set(True)
        if exchange.request.path == "/count":
            return Response(200, str(hits.value))
        if closed:
            return Response(503, "closed")
        hits.add()
""",
        workers=3,
    )
    for _ in range(60):
        assert fetch(edged.address, host="a.test").status == 200
    assert fetch(edged.address, "/count", host="a.test").body == b"60"
    edged.kill(edged.workers()[0])
    eventually(lambda: len(edged.workers()) == 3)
    assert fetch(edged.address, "/count", host="a.test").body == b"60"
    assert fetch(edged.address, "/close", host="a.test").status == 503
    assert {fetch(edged.address, host="a.test").status for _ in range(30)} == {503}


def test_each_hooks_time_is_measured(hooked: Hooked, origin: ScriptedOrigin) -> None:
    edged = hooked("""
class Timed(Hook):
    def request_filter(self, exchange):
        sum(range(50_000))
""")
    for _ in range(10):
        assert fetch(edged.address, host="a.test").status == 200
    (timed,) = edged.ctl_json("hooks")["hooks"]
    assert (timed["name"], timed["calls"], timed["errors"]) == ("Timed", 10, 0)
    assert timed["mean_us"] > 100
