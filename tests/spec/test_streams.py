"""Long answers: each piece goes on when it comes, nothing piles up, and quiet is allowed."""

import threading
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.client import Client, fetch
from tests.support.edged import Edged, memory_of, route
from tests.support.eventually import eventually
from tests.support.origin import End, OriginConnection, ScriptedOrigin
from tests.support.web_origin import WebOrigin

MIB: Final = 1 << 20
ROOM: Final = 24 * MIB
"""What two sockets' buffers and the edge's own pieces may hold of a stream that nobody reads."""

REQUEST: Final = b"GET / HTTP/1.1\r\nHost: x.test\r\n\r\n"
UPGRADE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: x.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCHED: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)
EVENTS: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@pytest.fixture
def proxied(origin: ScriptedOrigin) -> Iterator[Edged]:
    timeouts = '[timeouts]\nfirst_byte = "500ms"\nbody_idle = "500ms"\n'
    with Edged(route("*.test", origin.address) + timeouts) as edged:
        yield edged


def test_an_event_is_here_as_soon_as_it_was_sent(proxied: Edged, origin: ScriptedOrigin) -> None:
    next_one = threading.Event()
    origin.reply = [EVENTS, b"data: 1\n\n", next_one, b"data: 2\n\n", End.CLOSE]
    with Client(proxied.address) as client:
        client.send(REQUEST)
        client.read_until(b"data: 1\n\n")  # and the origin has not gone on
        next_one.set()
        client.read_until(b"data: 2\n\n")


def test_a_head_is_here_before_its_body(proxied: Edged, origin: ScriptedOrigin) -> None:
    body = threading.Event()
    origin.reply = [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", body, b"body"]
    with Client(proxied.address) as client:
        client.send(REQUEST)
        client.read_until(b"\r\n\r\n")
        body.set()
        assert client.read_exactly(4) == b"body"


def test_a_stream_that_has_begun_may_be_quiet_for_longer_than_any_first_byte(
    proxied: Edged, origin: ScriptedOrigin
) -> None:
    more = threading.Event()
    origin.reply = [EVENTS, more, b"data: late\n\n", End.CLOSE]
    with Client(proxied.address) as client:
        client.send(REQUEST)
        client.read_until(b"\r\n\r\n")
        client.socket.settimeout(1.5)  # three times the limit for a first byte
        with pytest.raises(TimeoutError):
            client.read_some()
        client.socket.settimeout(10)
        more.set()
        client.read_until(b"data: late\n\n")


def test_a_websocket_of_an_ordinary_origin(web_origin: WebOrigin) -> None:
    with Edged(route("*.test", web_origin.address)) as edged:
        client = Client(edged.address)
        client.send(UPGRADE)
        answer = client.read_answer()
        assert answer.status == 101
        assert answer.get("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        for text in (b"one", b"two"):
            client.send(b"\x81" + bytes([0x80 | len(text)]) + b"\0\0\0\0" + text)
            assert client.read_exactly(2 + len(text)) == b"\x81\x03" + text
        client.send(b"\x88\x80\0\0\0\0")
        assert client.read_exactly(2) == b"\x88\x00"
        assert client.ending() == "fin"
        client.close()
        line = edged.logged(status=101)
        assert (line["received"], line["bytes"], line["reason"]) == (24, 12, "")


def test_nothing_is_tunnelled_before_the_101(proxied: Edged, origin: ScriptedOrigin) -> None:
    agree = threading.Event()
    origin.reply = [agree, SWITCHED]
    with Client(proxied.address) as client:
        client.send(UPGRADE, b"GET /admin HTTP/1.1\r\nHost: x.test\r\n\r\n")
        eventually(lambda: any(b"/ws" in each.raw for each in origin.connections))
        assert b"/admin" not in origin.connections[0].raw
        agree.set()
        assert client.read_answer().status == 101
        eventually(lambda: b"/admin" in origin.connections[0].raw)


def test_either_side_of_a_tunnel_may_end_first() -> None:
    def serve(connection: OriginConnection) -> None:
        connection.read_request()
        connection.send(SWITCHED)
        while data := connection.read_some():
            connection.send(data)
        connection.send(b"bye")

    with (
        ScriptedOrigin(handler=serve) as origin,
        Edged(route("*.test", origin.address)) as edged,
        Client(edged.address) as client,
    ):
        client.send(UPGRADE)
        assert client.read_answer().status == 101
        client.send(b"hello")
        assert client.read_exactly(5) == b"hello"
        client.finish_writing()
        assert client.read_to_end() == b"bye"


def test_a_tunnel_whose_origin_resets_ends_for_the_client(
    proxied: Edged, origin: ScriptedOrigin
) -> None:
    origin.reply = [SWITCHED, b"hi", End.RESET]
    with Client(proxied.address) as client:
        client.send(UPGRADE)
        assert client.read_answer().status == 101
        client.read_until(b"hi")
        assert client.ending() in ("fin", "reset")


def test_an_answer_that_nobody_reads_does_not_pile_up(origin: ScriptedOrigin) -> None:
    size = 400 * MIB
    sent = [0]

    def serve(connection: OriginConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // MIB):
            connection.send(b"x" * MIB)
            sent[0] += MIB

    with ScriptedOrigin(handler=serve) as flood, Edged(route("*.test", flood.address)) as edged:
        (worker,) = edged.workers()
        before = memory_of(worker)
        with Client(edged.address) as client:
            client.send(REQUEST)
            client.read_until(b"\r\n\r\n")
            stands_still(sent)
            assert sent[0] < ROOM
            assert memory_of(worker) - before < 4 * MIB
            got = len(client.buffer)
            client.buffer = b""
            while got < size and (data := client.read_some(MIB)):
                got += len(data)
            assert got == size
        assert memory_of(worker) - before < 4 * MIB


def test_an_upload_that_nobody_reads_does_not_pile_up() -> None:
    go_on = threading.Event()

    def serve(connection: OriginConnection) -> None:
        connection.socket.recv(1000)
        go_on.wait(30)

    with ScriptedOrigin(handler=serve) as origin, Edged(route("*.test", origin.address)) as edged:
        (worker,) = edged.workers()
        before = memory_of(worker)
        with Client(edged.address) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 400000000\r\n\r\n")
            client.socket.settimeout(1)
            taken = 0
            try:
                while taken < ROOM:
                    taken += client.socket.send(b"x" * MIB)
            except TimeoutError:
                pass
            assert taken < ROOM
            assert memory_of(worker) - before < 4 * MIB
        go_on.set()


def test_a_slow_stream_does_not_hold_up_anybody(web_origin: WebOrigin) -> None:
    with Edged(route("*.test", web_origin.address)) as edged, Client(edged.address) as client:
        client.send(b"GET /sse HTTP/1.1\r\nHost: x.test\r\n\r\n")
        client.read_until(b"data: 1\n\n")
        for _ in range(50):
            assert fetch(edged.address, "/bytes/10", host="x.test").status == 200
        client.read_until(b"data: 3\n\n")


def stands_still(sent: list[int]) -> None:
    """Wait until a sender has not got on for a while."""
    seen: list[int] = []

    def same() -> bool:
        seen.append(sent[0])
        return len(seen) > 5 and len(set(seen[-5:])) == 1 and sent[0] > 0

    eventually(same)
