"""CORS and security headers, as browsers want them."""

from collections.abc import Iterator

import pytest

from tests.support.client import Answer, fetch
from tests.support.edged import Edged, route
from tests.support.origin import ScriptedOrigin

CORS = """
[route.cors]
origins = ["https://app.example.com", "http://localhost:3000"]
methods = ["GET", "PUT"]
headers = ["X-Token"]
expose = ["X-Total"]
credentials = true
max_age = "1h"
[route.limit]
requests = 1
per = "1h"
by = "header:X-Key"
"""
ANYBODY = '[route.cors]\norigins = ["*"]\nheaders = ["*"]\n'


@pytest.fixture(scope="module")
def shared_out() -> Iterator[tuple[Edged, ScriptedOrigin]]:
    reply = (
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: https://evil.example\r\n"
        b"X-Frame-Options: DENY\r\nContent-Length: 2\r\n\r\nok"
    )
    with ScriptedOrigin(reply) as origin:
        body = (
            route("api.test", origin.address)
            + CORS
            + route("open.test", origin.address)
            + ANYBODY
            + route("safe.test", origin.address, "security_headers = true")
        )
        with Edged(body, workers=2) as edged:
            yield edged, origin


def ask(edged: Edged, host: str, fields: str, method: str = "GET") -> Answer:
    return fetch(edged.address, host=host, fields=fields, method=method)


def preflight(edged: Edged, host: str, origin: str) -> Answer:
    fields = (
        f"Origin: {origin}\r\nAccess-Control-Request-Method: PUT\r\n"
        "Access-Control-Request-Headers: x-token\r\n"
    )
    return ask(edged, host, fields, "OPTIONS")


def test_a_preflight_is_answered_by_the_edge(shared_out: tuple[Edged, ScriptedOrigin]) -> None:
    edged, origin = shared_out
    origin.forget()
    answer = preflight(edged, "api.test", "https://app.example.com")
    assert answer.status == 204
    assert answer.get("Access-Control-Allow-Origin") == "https://app.example.com"
    assert answer.get("Access-Control-Allow-Methods") == "GET, PUT"
    assert answer.get("Access-Control-Allow-Headers") == "X-Token"
    assert answer.get("Access-Control-Allow-Credentials") == "true"
    assert answer.get("Access-Control-Max-Age") == "3600"
    assert "Origin" in answer.get("Vary")
    assert origin.requests == []


def test_a_stranger_gets_no_permission(shared_out: tuple[Edged, ScriptedOrigin]) -> None:
    edged, _ = shared_out
    for answer in (
        preflight(edged, "api.test", "https://evil.example"),
        ask(edged, "api.test", "Origin: https://evil.example\r\nX-Key: 1\r\n"),
        ask(edged, "api.test", "Origin: null\r\nX-Key: 2\r\n"),
    ):
        assert answer.get("Access-Control-Allow-Origin") == ""
        assert answer.get("Access-Control-Allow-Methods") == ""
        assert "Origin" in answer.get("Vary")


def test_answers_and_errors_can_be_read(shared_out: tuple[Edged, ScriptedOrigin]) -> None:
    edged, _ = shared_out
    fields = "Origin: http://localhost:3000\r\nX-Key: 3\r\n"
    for status in (200, 429):
        answer = ask(edged, "api.test", fields)
        assert answer.status == status
        assert answer.get("Access-Control-Allow-Origin") == "http://localhost:3000"
        assert answer.get("Access-Control-Expose-Headers") == "X-Total"


def test_an_ordinary_options_request_goes_on(shared_out: tuple[Edged, ScriptedOrigin]) -> None:
    edged, origin = shared_out
    origin.forget()
    assert ask(edged, "open.test", "Origin: https://x.example\r\n", "OPTIONS").status == 200
    assert [each.method for each in origin.requests] == ["OPTIONS"]


def test_everybody_may_mean_everybody(shared_out: tuple[Edged, ScriptedOrigin]) -> None:
    edged, _ = shared_out
    answer = preflight(edged, "open.test", "https://x.example")
    assert answer.get("Access-Control-Allow-Origin") == "*"
    assert answer.get("Access-Control-Allow-Headers") == "x-token"
    assert answer.get("Access-Control-Allow-Credentials") == ""


def test_security_headers_are_added_where_they_lack(
    shared_out: tuple[Edged, ScriptedOrigin],
) -> None:
    edged, _ = shared_out
    answer = ask(edged, "safe.test", "")
    assert answer.get("X-Content-Type-Options") == "nosniff"
    assert answer.get("X-Frame-Options") == "DENY"  # the peer's own
    assert answer.get("Referrer-Policy") == "strict-origin-when-cross-origin"
    assert ask(edged, "open.test", "").get("X-Content-Type-Options") == ""
