"""Hooks: loading, order, verdicts, failing closed, and what a broken module says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge import Exchange, Hook, Peer, Response, shared
from edge.errors import EdgeError, Reason
from edge.hooks import Chains, HookLoadError, load, phases_of
from edge.phases import Phase
from edge.table.model import Fixed, Route
from edge.testing import Rig

BAD = sorted((Path(__file__).parent / "bad_hooks").glob("*.py"))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_module_says_what_is_wrong_with_it(path: Path) -> None:
    expected = path.read_text().splitlines()[0].removeprefix("# expect: ")
    with pytest.raises(HookLoadError) as caught:
        load([str(path)], "")
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)


def test_there_are_at_least_ten_bad_modules() -> None:
    assert len(BAD) >= 10


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_the_throw_away_check_refuses_it_as_json(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge.hookcheck", str(path)],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]


def test_the_check_names_hooks_phases_and_every_file_they_load(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text("SECRET = 'x'\n")
    (tmp_path / "hooks.py").write_text(
        "import json\nimport words\nfrom edge import Hook\nprint('noise')\n\n"
        "class Auth(Hook):\n    def request_filter(self, exchange):\n        return None\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "edge.hookcheck", "--path", tmp_path, tmp_path / "hooks.py"],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["hooks"][0]["name"] == "Auth"
    assert report["hooks"][0]["phases"] == ["request_filter"]
    assert {Path(file).name for file in report["files"]} == {"hooks.py", "words.py"}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HookLoadError, match="no such file"):
        load([str(tmp_path / "nothing.py")], "")


def test_hooks_run_in_the_order_of_the_list() -> None:
    class First(Hook):
        def request_filter(self, exchange: Exchange) -> None:
            exchange.ctx.trail = ["first"]

    class Second(Hook):
        def request_filter(self, exchange: Exchange) -> Response:
            return Response(200, " ".join([*exchange.ctx.trail, "second"]))

    assert Rig(First(), Second()).get("http://a/").body == b"first second"


def test_a_phase_that_nobody_overrides_is_empty() -> None:
    class Late(Hook):
        def response_filter(self, exchange: Exchange) -> None:
            return None

    chains = Chains([], [Late()])
    assert phases_of(Late()) == (Phase.RESPONSE_FILTER,)
    assert chains.base().request_filter == ()
    assert len(chains.base().response_filter) == 1


class Boom(Hook):
    def request_filter(self, exchange: Exchange) -> None:
        raise ZeroDivisionError("secret detail")


def test_a_hook_that_raises_is_a_500_that_tells_no_details() -> None:
    answer = Rig(Boom()).get("http://a/")
    assert answer.status == 500
    assert answer.headers["x-edge-error"] == "hook-error"
    assert b"secret" not in answer.body
    assert answer.upstream is None
    assert answer.log["reason"] == "hook-error"


def test_a_hook_may_declare_that_it_fails_open() -> None:
    class Soft(Boom):
        on_error = "continue"

    assert Rig(Soft()).get("http://a/").status == 200


def test_hooks_are_timed_and_their_failures_counted() -> None:
    class Timed(Boom):
        pass

    rig = Rig(Timed())
    rig.get("http://a/")
    rig.get("http://a/")
    assert shared.counter("hook.Timed.calls").value == 2
    assert shared.counter("hook.Timed.errors").value == 2


@pytest.mark.parametrize("phase", ["early_request_filter", "request_filter"])
def test_a_response_answers_without_a_peer(phase: str) -> None:
    class Teapot(Hook):
        pass

    setattr(Teapot, phase, lambda self, exchange: Response(418, "short and stout"))
    answer = Rig(Teapot()).get("http://a/")
    assert (answer.status, answer.body, answer.upstream) == (418, b"short and stout", None)


ROUTES = (
    Route(pattern="a", owner="t", upstreams=("127.0.0.1:1",)),
    Route(pattern="b", owner="t", upstreams=("127.0.0.1:2",)),
    Route(pattern="fixed", owner="t", respond=Fixed(body="fixed")),
)
PEERS = {
    "127.0.0.1:1": lambda request: Response(200, "one"),
    "127.0.0.1:2": lambda request: Response(200, "two"),
}


@pytest.mark.parametrize("phase", ["early_request_filter", "request_filter"])
@pytest.mark.parametrize(("host", "body"), [("b", b"two"), ("fixed", b"fixed")])
def test_a_request_is_rerouted_and_keeps_its_own_host(phase: str, host: str, body: bytes) -> None:
    class Elsewhere(Hook):
        pass

    setattr(Elsewhere, phase, lambda self, exchange: exchange.reroute(host=host))
    answer = Rig(Elsewhere(), routes=ROUTES, peers=PEERS).get("http://a/")
    assert answer.body == body
    if answer.upstream is not None:
        assert answer.upstream.headers["host"] == "a"


def test_rerouting_to_nowhere_is_no_route() -> None:
    class Lost(Hook):
        def request_filter(self, exchange):
            return exchange.reroute(host="nowhere")

    assert Rig(Lost(), routes=ROUTES, peers=PEERS).get("http://a/").log["reason"] == "no-route"


def test_an_abort_closes_without_an_answer() -> None:
    class Gate(Hook):
        def early_request_filter(self, exchange):
            return exchange.abort("unwanted")

    answer = Rig(Gate()).get("http://a/")
    assert answer.status == 0
    assert answer.log["reason"] == "hook-abort"


def test_a_verdict_of_another_type_fails_closed() -> None:
    class Wrong(Hook):
        def request_filter(self, exchange):
            return "deny"

    assert Rig(Wrong()).get("http://a/").log["reason"] == "hook-error"


def test_the_body_can_choose_the_peer_and_still_goes_up() -> None:
    class ByBody(Hook):
        def upstream_peer(self, exchange):
            return Peer("127.0.0.1:2") if b"two" in exchange.request.read(100) else None

    rig = Rig(ByBody(), routes=ROUTES, peers=PEERS)
    answer = rig.request("POST", "http://a/", body=b"to two, please")
    assert answer.body == b"two"
    assert answer.upstream is not None
    assert answer.upstream.body == b"to two, please"


def test_a_body_over_the_hooks_limit_is_413() -> None:
    class Reader(Hook):
        def request_filter(self, exchange):
            exchange.request.read(10)

    answer = Rig(Reader()).request("POST", "http://a/", body=b"x" * 11)
    assert (answer.status, answer.upstream) == (413, None)


def test_a_request_body_filter_streams_a_chunked_body() -> None:
    class Upper(Hook):
        def request_body_filter(self, exchange, data, end):
            return data.upper() + (b"!" if end else b"")

    answer = Rig(Upper()).send(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert answer.upstream is not None
    assert answer.upstream.body == b"ABCDE!"


def test_framing_fields_are_not_a_hooks_to_write() -> None:
    class Smuggler(Hook):
        def request_filter(self, exchange):
            exchange.request.headers["Transfer-Encoding"] = "chunked"

    answer = Rig(Smuggler()).get("http://a/")
    assert (answer.status, answer.upstream) == (500, None)


def test_a_field_value_cannot_split_the_head() -> None:
    class Splitter(Hook):
        def upstream_request_filter(self, exchange):
            exchange.upstream_headers["X"] = "a\r\nContent-Length: 5"

    assert Rig(Splitter()).get("http://a/").log["reason"] == "hook-error"


def test_fail_to_connect_may_name_the_next_peer() -> None:
    class Spare(Hook):
        def fail_to_connect(self, exchange, error):
            assert error.reason is Reason.CONNECT_REFUSED
            return Peer("127.0.0.1:2")

    routes = (Route(pattern="a", owner="t", upstreams=("127.0.0.1:9",)),)
    answer = Rig(Spare(), routes=routes, peers=PEERS).get("http://a/")
    assert (answer.body, answer.log["attempts"]) == (b"two", 2)


def test_fail_to_proxy_builds_the_answer() -> None:
    class Sorry(Hook):
        def fail_to_proxy(self, exchange: Exchange, error: EdgeError) -> Response:
            return Response(503, f"sorry: {error.reason}")

    routes = (Route(pattern="a", owner="t", upstreams=("127.0.0.1:9",)),)
    answer = Rig(Sorry(), routes=routes, peers=PEERS).get("http://a/")
    assert (answer.status, answer.body) == (503, b"sorry: connect-refused")
    assert answer.log["attempts"] == 3


def test_logging_runs_once_for_every_answer_also_for_unparsable_heads() -> None:
    seen: list[int] = []

    class Recorder(Hook):
        def logging(self, exchange):
            seen.append(exchange.status)

    rig = Rig(Recorder())
    rig.get("http://a/")
    rig.send(b"GET / HTTP/1.1\r\n\r\n")
    rig.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20000 + b"\r\n\r\n")
    assert seen == [200, 400, 431]


def test_an_answer_of_the_peer_can_be_replaced() -> None:
    class Mask(Hook):
        def upstream_response_filter(self, exchange):
            return Response(200, "masked") if exchange.response.status == 500 else None

    rig = Rig(Mask(), peers={"127.0.0.1:1": lambda request: Response(500, "trace")})
    answer = rig.get("http://a/")
    assert (answer.status, answer.body) == (200, b"masked")


def test_a_retry_can_be_forbidden_after_the_request_was_sent() -> None:
    class Once(Hook):
        def error_while_proxy(self, exchange, error):
            return False

    def vanish(request):
        raise EdgeError(Reason.INTERNAL)

    answer = Rig(Once(), peers={"127.0.0.1:1": vanish}).get("http://a/")
    assert (answer.status, answer.log["attempts"]) == (502, 1)


def test_a_hook_that_waits_too_long_ends_its_own_request_only() -> None:
    import gevent

    class Sleepy(Hook):
        def request_filter(self, exchange):
            if exchange.request.path == "/slow":
                gevent.sleep(60)

    rig = Rig(Sleepy())

    def sweep() -> None:
        now = 0.0
        while True:
            gevent.sleep(0.01)
            now += 20.0
            for session in tuple(rig._engine.live):
                session.check_hook(now, 30.0)

    sweeper = gevent.spawn(sweep)
    try:
        slow = rig.get("http://a/slow")
    finally:
        sweeper.kill()
    assert (slow.status, slow.log["reason"]) == (500, "hook-error")
    assert rig.get("http://a/quick").status == 200
