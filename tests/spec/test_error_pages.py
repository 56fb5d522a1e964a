"""What a client sees of an error: in the form that it takes, and from a person's own files."""

import json
from collections.abc import Iterator

import pytest

from tests.support.client import fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import ScriptedOrigin
from tests.support.ports import free_address

FILES = {
    "pages/404.html": "<h1>lost {status} {reason} {request} {message}</h1>",
    "pages/5xx.html": "<h1>sorry {status}</h1>",
    "pages/502.json": '{"own": "{reason}"}',
}
SERVER = """error_pages = { "404" = "pages/404.html", "5xx" = "pages/5xx.html" }"""


@pytest.fixture
def failing(origin: ScriptedOrigin) -> Iterator[Edged]:
    origin.reply = (
        b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nX-Secret: trace\r\nContent-Length: 5\r\n\r\nstack"
    )
    body = (
        route("down.test", free_address())
        + route("own.test", free_address(), 'error_pages = { "502" = "pages/502.json" }')
        + route("bad.test", origin.address, "intercept = true")
        + route("plain.test", origin.address)
    )
    with Edged(body, workers=2, server=SERVER, files=FILES) as edged:
        yield edged


def test_a_browser_gets_a_page_a_program_gets_problem_details_others_text(failing: Edged) -> None:
    def get(accept: str) -> tuple[str, bytes]:
        fields = f"Accept: {accept}\r\n" if accept else ""
        answer = fetch(failing.address, host="down.test", fields=fields)
        assert (answer.status, answer.get("X-Edge-Error")) == (502, "connect-refused")
        assert answer.get("Vary") == "Accept"
        return answer.get("Content-Type"), answer.body

    kind, body = get("application/json")
    assert kind == "application/problem+json"
    document = json.loads(body)
    assert document["status"] == 502
    assert document["title"] == "Bad Gateway"
    assert document["reason"] == "connect-refused"
    kind, body = get("text/html,application/xhtml+xml,*/*;q=0.8")
    assert (kind, body) == ("text/html; charset=utf-8", b"<h1>sorry 502</h1>")
    kind, body = get("*/*")
    assert kind == "text/plain; charset=utf-8"
    assert body.startswith(b"502 Bad Gateway\nreason: connect-refused\n")
    assert get("")[0] == "text/plain; charset=utf-8"


def test_a_page_says_what_it_is_about(failing: Edged) -> None:
    answer = fetch(failing.address, host="nowhere.test", fields="Accept: text/html\r\n")
    assert answer.status == 404
    wanted = f"<h1>lost 404 no-route {answer.get('X-Request-Id')} </h1>"
    assert answer.body.decode() == wanted


def test_a_routes_own_page_comes_first_for_those_who_take_its_form(failing: Edged) -> None:
    answer = fetch(failing.address, host="own.test", fields="Accept: application/json\r\n")
    assert json.loads(answer.body) == {"own": "connect-refused"}
    answer = fetch(failing.address, host="own.test", fields="Accept: text/html\r\n")
    assert b"502 Bad Gateway" in answer.body


def test_a_peers_own_errors_are_replaced_where_a_route_says_so(failing: Edged) -> None:
    html = "Accept: text/html\r\n"
    answer = fetch(failing.address, host="bad.test", fields=html)
    assert (answer.status, answer.body) == (503, b"<h1>sorry 503</h1>")
    assert (answer.get("Retry-After"), answer.get("X-Secret")) == ("7", "")
    assert answer.get("X-Edge-Error") == ""
    assert fetch(failing.address, host="bad.test").body == b"stack"  # no page in that form
    assert fetch(failing.address, host="plain.test", fields=html).body == b"stack"


def test_a_page_can_be_edited_and_a_lost_one_is_no_trouble(failing: Edged) -> None:
    def body() -> bytes:
        return fetch(failing.address, host="down.test", fields="Accept: text/html\r\n").body

    assert body() == b"<h1>sorry 502</h1>"
    failing.write_file("pages/5xx.html", "<h1>again</h1>")
    assert {body() for _ in range(6)} == {b"<h1>again</h1>"}
    (failing.folder / "pages" / "5xx.html").unlink()
    assert b"502 Bad Gateway" in body()
    eventually(lambda: "5xx.html cannot be shown" in failing.log)


def test_a_head_request_gets_the_head_of_a_page(failing: Edged) -> None:
    answer = fetch(failing.address, host="down.test", method="HEAD", fields="Accept: text/html\r\n")
    assert (answer.status, answer.body) == (502, b"")
    assert answer.get("Content-Length") == str(len("<h1>sorry 502</h1>"))


@pytest.mark.parametrize(
    "accept", ["text/html;q=" + "1" * 9000, ",".join(["a/b"] * 3000), ";;;,,,"]
)
def test_a_hostile_accept_gets_its_error_all_the_same(failing: Edged, accept: str) -> None:
    answer = fetch(failing.address, host="down.test", fields=f"Accept: {accept}\r\n")
    assert answer.status == 502
