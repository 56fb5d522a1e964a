"""One JSON line for each answer, whatever happened to it."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.client import Client, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import ScriptedOrigin
from tests.support.ports import free_address

FIELDS: Final = [
    "time", "id", "client", "host", "method", "path", "route", "peer", "status", "bytes",
    "received", "attempts", "queue_ms", "connect_ms", "first_byte_ms", "total_ms", "reason",
]  # fmt: skip


@pytest.fixture(scope="module")
def logging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Edged, ScriptedOrigin]]:
    with ScriptedOrigin() as origin:
        routes = (
            route("good.test", origin.address)
            + route("refused.test", free_address())
            + route("moved.test", extra='redirect = "https://elsewhere.test{uri}"')
        )
        with Edged(routes + '[timeouts]\nhead = "300ms"\n') as edged:
            yield edged, origin


def test_a_line_has_everything_that_is_known(logging: tuple[Edged, ScriptedOrigin]) -> None:
    edged, origin = logging
    answer = fetch(edged.address, "/a?b=c", host="good.test", method="POST", body=b"hello")
    line = edged.logged(path="/a")
    assert list(line) == FIELDS
    wanted = {
        "client": "127.0.0.1", "host": "good.test", "method": "POST", "route": "good.test",
        "peer": origin.address, "status": 200, "bytes": 2, "received": 5, "attempts": 1,
        "reason": "", "id": origin.requests[-1].get("x-request-id"),
    }  # fmt: skip
    assert {key: line[key] for key in wanted} == wanted
    assert answer.body == b"ok"
    assert 0 <= line["queue_ms"] <= line["total_ms"]
    assert 0 <= line["connect_ms"] <= line["total_ms"]
    assert 0 <= line["first_byte_ms"] <= line["total_ms"]


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad-request"),
        (b"\x16\x03\x01\x02", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"c" * 20_000, 431, "head-too-large"),
        (b"GET /" + b"a" * 9000, 414, "target-too-long"),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 405, "method-refused"),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505, "version"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", 408, "head-timeout"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_head_that_never_parsed_is_logged_as_well(
    logging: tuple[Edged, ScriptedOrigin], data: bytes, status: int, reason: str
) -> None:
    edged, _ = logging
    with Client(edged.address) as client:
        client.send(data)
        answer = client.read_answer()
    line = edged.logged(id=answer.get("X-Request-Id"))
    assert (line["status"], line["reason"], line["method"]) == (status, reason, "")
    assert line["attempts"] == 0


def test_an_error_page_names_its_reason_and_its_line(
    logging: tuple[Edged, ScriptedOrigin],
) -> None:
    edged, _ = logging
    for host, status, reason in (
        ("refused.test", 502, "connect-refused"),
        ("nobody.test", 404, "no-route"),
    ):
        answer = fetch(edged.address, host=host)
        line = edged.logged(id=answer.get("X-Request-Id"))
        assert (line["status"], line["reason"]) == (status, reason)
        assert answer.get("X-Edge-Error") == reason
        assert reason.encode() in answer.body
        assert line["id"].encode() in answer.body


def test_an_answer_of_the_edge_has_no_peer(logging: tuple[Edged, ScriptedOrigin]) -> None:
    edged, _ = logging
    assert fetch(edged.address, "/x", host="moved.test").status == 308
    line = edged.logged(host="moved.test")
    assert (line["peer"], line["attempts"], line["connect_ms"]) == ("", 0, -1.0)
    assert line["route"] == "moved.test"


def test_what_a_client_writes_cannot_break_a_line(logging: tuple[Edged, ScriptedOrigin]) -> None:
    edged, _ = logging
    path = '/"}\\u0000{"status":999,%22%0a'.replace("\\", "%2f").replace("%0a", "")
    assert fetch(edged.address, path, host="good.test").status == 200
    assert edged.logged(path=path)["status"] == 200


def test_each_answer_has_exactly_one_line(logging: tuple[Edged, ScriptedOrigin]) -> None:
    edged, _ = logging
    with Client(edged.address) as client:
        for _ in range(50):
            client.send(b"GET /counted HTTP/1.1\r\nHost: good.test\r\n\r\n" * 4)
            for _ in range(4):
                assert client.read_answer().status == 200

    def lines() -> list[str]:
        return [line["id"] for line in edged.access_log() if line["path"] == "/counted"]

    eventually(lambda: len(lines()) == 200)
    assert len(set(lines())) == 200


def test_it_can_go_to_stdout() -> None:
    with Edged(route("*", extra='respond = "hi"'), server='access_log = "-"') as edged:
        fetch(edged.address, "/to-stdout")
        eventually(lambda: '"path":"/to-stdout"' in edged.log)


def test_it_can_be_off() -> None:
    with Edged(route("*", extra='respond = "hi"'), server='access_log = ""') as edged:
        assert fetch(edged.address).status == 200
        assert not edged.access_log_path.exists()
