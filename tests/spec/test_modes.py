"""Maintenance and pauses: what clients see, and that nothing held is lost."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import Client, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import ScriptedOrigin

HTML = "Accept: text/html\r\n"


@pytest.fixture
def served(origin: ScriptedOrigin) -> Iterator[Edged]:
    body = (
        route(["a.test", "a.test/api/*"], origin.address)
        + route("b.test", origin.address)
        + route("*.c.test", origin.address)
    )
    with Edged(body, workers=2, server='trusted_proxies = ["127.0.0.2/32"]') as edged:
        yield edged


def statuses(edged: Edged, host: str, path: str = "/") -> set[int]:
    return {fetch(edged.address, path, host=host).status for _ in range(8)}


def test_a_host_in_maintenance_says_so_and_others_serve(served: Edged) -> None:
    message = "Back at <noon>."
    assert served.ctl("maintenance", "on", "a.test", "--message", message, "--retry-after", "5m")
    for path in ("/", "/api/x"):
        answer = fetch(served.address, path, host="a.test", fields=HTML)
        assert (answer.status, answer.get("X-Edge-Error")) == (503, "maintenance")
        assert answer.get("Retry-After") == "300"
        assert answer.get("Content-Type") == "text/html; charset=utf-8"
        assert b"Back at &lt;noon&gt;." in answer.body
    assert statuses(served, "a.test") == {503}
    assert statuses(served, "b.test") == {200}
    assert "a.test is in maintenance" in served.ctl("status").out
    assert served.ctl("maintenance", "off", "a.test")
    assert statuses(served, "a.test") == {200}
    assert "as usual" in served.ctl("modes").out


def test_some_clients_notice_nothing(served: Edged) -> None:
    assert served.ctl("maintenance", "on", "*", "--allow", "198.51.100.0/24")

    def ask(client: str) -> int:
        with Client(served.address, source="127.0.0.2") as proxy:
            proxy.send(
                f"GET / HTTP/1.1\r\nHost: b.test\r\nX-Forwarded-For: {client}\r\n\r\n".encode()
            )
            return proxy.read_answer().status

    assert (ask("198.51.100.9"), ask("203.0.113.9")) == (200, 503)


def test_a_pattern_has_a_mode_of_its_own(served: Edged) -> None:
    assert served.ctl("maintenance", "on", "a.test/api/*")
    assert statuses(served, "a.test", "/api/x") == {503}
    assert statuses(served, "a.test", "/other") == {200}
    assert served.ctl("maintenance", "on", "*.c.test")
    assert statuses(served, "x.c.test") == {503}


def test_a_mode_outlives_reloads_killed_processes_and_a_restart(served: Edged) -> None:
    assert served.ctl("maintenance", "on", "a.test")
    served.reload()
    assert served.ctl("reload", "--roll")
    assert statuses(served, "a.test") == {503}
    served.end(served.control_pid())
    for worker in served.workers():
        served.end(worker)
    eventually(served.is_ready)
    assert statuses(served, "a.test") == {503}
    served.stop(expect=0)
    served.start()
    assert statuses(served, "a.test") == {503}
    assert served.ctl("maintenance", "off", "a.test")
    assert statuses(served, "a.test") == {200}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("maintenance", "on", "a.tset"), "did you mean 'a.test'?"),
        (("maintenance", "off", "a.test"), "is not in maintenance"),
        (("maintenance", "on", "a.test", "--allow", "x"), "no list of networks"),
        (("pause", "nowhere.example"), "No route has the pattern or host"),
        (("resume", "a.test"), "is not in pause"),
        (("pause", "a.test", "--hold", "11m"), "at most 600 s"),
    ],
)
def test_what_cannot_be_is_refused(served: Edged, arguments: tuple[str, ...], said: str) -> None:
    outcome = served.ctl(*arguments)
    assert outcome.code == 1
    assert said in outcome.err
    assert statuses(served, "a.test") == {200}


def test_a_paused_route_holds_requests_and_loses_none(
    served: Edged, origin: ScriptedOrigin
) -> None:
    assert served.ctl("pause", "a.test")
    with ThreadPoolExecutor(12) as pool:
        held = [
            pool.submit(fetch, served.address, f"/{n}", host="a.test", method="POST", body=b"x")
            for n in range(12)
        ]
        eventually(lambda: under_way(served) == 12)
        assert statuses(served, "b.test") == {200}
        assert not any(each.done() for each in held)
        assert [each.target for each in origin.requests if each.get("host") == "a.test"] == []
        assert served.ctl("resume", "a.test")
        assert {each.result(10).status for each in held} == {200}
    reached = {each.target for each in origin.requests if each.get("host") == "a.test"}
    assert reached == {f"/{n}" for n in range(12)}


def test_a_held_request_is_not_held_for_ever(served: Edged) -> None:
    assert served.ctl("pause", "a.test", "--hold", "0.3s")
    answer = fetch(served.address, host="a.test")
    assert (answer.status, answer.get("X-Edge-Error")) == (503, "paused")


def test_a_pause_that_turns_into_maintenance_answers_what_it_held(served: Edged) -> None:
    assert served.ctl("pause", "a.test")
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(fetch, served.address, host="a.test")
        eventually(lambda: under_way(served) == 1)
        assert served.ctl("maintenance", "on", "a.test")
        assert held.result(10).get("X-Edge-Error") == "maintenance"


def under_way(edged: Edged) -> int:
    return sum(each["exchanges"] for each in edged.ctl_json("workers")["workers"])
