"""A service that decides who passes."""

from collections.abc import Iterator

import pytest

from tests.support.client import fetch
from tests.support.edged import Edged, route
from tests.support.origin import End, Received, Reply, ScriptedOrigin
from tests.support.ports import free_address

RULES = """
[route.forward_auth]
upstream = "{service}"
path = "/verify"
copy = ["X-User"]
timeout = "500ms"
"""


def decide(request: Received) -> Reply:
    """Lets ada pass, sends others to a login page."""
    if "key=ada" in request.get("cookie"):
        return b"HTTP/1.1 200 OK\r\nX-User: ada\r\nX-Other: no\r\nContent-Length: 2\r\n\r\nok"
    return (
        b"HTTP/1.1 302 Found\r\nLocation: https://id.test/login\r\nSet-Cookie: n=1\r\n"
        b"Connection: close\r\nContent-Length: 5\r\n\r\nlogin"
    )


@pytest.fixture
def service() -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin(decide) as started:
        yield started


@pytest.fixture
def guarded(origin: ScriptedOrigin, service: ScriptedOrigin) -> Iterator[Edged]:
    body = (
        route("a.test", origin.address)
        + RULES.format(service=service.address)
        + route("down.test", origin.address, f'forward_auth = "{free_address()}"')
    )
    with Edged(body, workers=2) as edged:
        yield edged


def test_who_is_let_in_goes_on_with_what_the_service_said(
    guarded: Edged, origin: ScriptedOrigin, service: ScriptedOrigin
) -> None:
    fields = "Cookie: key=ada\r\nX-User: root\r\nX-Forwarded-Uri: /fake\r\nAccept: a/b\r\n"
    for _ in range(4):
        answer = fetch(
            guarded.address, "/x?y=1", host="a.test", fields=fields, method="POST", body=b"hello"
        )
        assert answer.status == 200
    seen = origin.requests[-1]
    assert (seen.get("X-User"), seen.get("X-Other"), seen.body) == ("ada", "", b"hello")
    asked = service.requests[-1]
    assert (asked.method, asked.target, asked.body) == ("GET", "/verify", b"")
    assert asked.get("X-Forwarded-Method") == "POST"
    assert asked.get("X-Forwarded-Uri") == "/x?y=1"
    assert asked.get("X-Forwarded-Host") == "a.test"
    assert asked.get("X-Forwarded-For") == "127.0.0.1"
    assert asked.get("Accept") == "a/b"
    assert asked.get("Content-Length") == ""


def test_who_is_not_gets_the_services_answer(guarded: Edged, origin: ScriptedOrigin) -> None:
    answer = fetch(guarded.address, host="a.test")
    assert (answer.status, answer.body) == (302, b"login")
    assert answer.get("Location") == "https://id.test/login"
    assert answer.get("Set-Cookie") == "n=1"
    assert origin.requests == []


@pytest.mark.parametrize(
    "reply",
    [
        [End.HANG],
        [End.CLOSE],
        [b"garbage\r\n\r\n", End.CLOSE],
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000,
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", End.HANG],
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=["hangs", "closes", "garbage", "too much", "half", "switches"],
)
def test_without_its_word_nobody_passes(
    guarded: Edged, origin: ScriptedOrigin, service: ScriptedOrigin, reply: Reply
) -> None:
    service.reply = reply
    answer = fetch(guarded.address, host="a.test", fields="Cookie: key=ada\r\n")
    assert (answer.status, answer.get("X-Edge-Error")) == (502, "auth-failed")
    assert origin.requests == []


def test_a_service_that_is_down_lets_nobody_in(guarded: Edged, origin: ScriptedOrigin) -> None:
    answer = fetch(guarded.address, host="down.test")
    assert (answer.status, answer.get("X-Edge-Error")) == (502, "auth-failed")
    assert origin.requests == []


def test_a_kept_connection_that_was_closed_is_no_failure(
    guarded: Edged, service: ScriptedOrigin
) -> None:
    for _ in range(6):
        service.reply = [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", End.CLOSE]
        assert fetch(guarded.address, host="a.test").status == 200
