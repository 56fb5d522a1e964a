"""Every wait has an end, and each end says which one it was."""

import socket
import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.client import PATIENCE_S, Client, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import End, OriginConnection, ScriptedOrigin
from tests.support.ports import split_address
from tests.support.secure import Secure, serving
from tests.support.tls_client import TlsByHand

MIB: Final = 1 << 20
SHORT: Final = """
[timeouts]
head = "600ms"
body_idle = "900ms"
write_idle = "600ms"
keep_alive = "600ms"
connect = "600ms"
first_byte = "600ms"
stream_idle = "600ms"
upgraded_idle = "600ms"
"""
REQUEST: Final = b"GET / HTTP/1.1\r\nHost: x.test\r\n\r\n"
UPGRADE: Final = (
    b"GET / HTTP/1.1\r\nHost: x.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)
SWITCHED: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)


@pytest.fixture
def short(origin: ScriptedOrigin) -> Iterator[Edged]:
    with Edged(route("*.test", origin.address) + SHORT) as edged:
        yield edged


def test_a_head_that_does_not_end(short: Edged, origin: ScriptedOrigin) -> None:
    with Client(short.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x.test\r\nX-Slow: ")
        answer = client.read_answer()
        assert (answer.status, answer.get("X-Edge-Error")) == (408, "head-timeout")
        assert client.ending() == "fin"
    short.logged(status=408, reason="head-timeout")
    assert origin.requests == []


def test_a_head_that_comes_slowly_has_no_more_time(short: Edged) -> None:
    with Client(short.address) as client:
        client.send(b"GET / HTTP/1.1\r\n")
        client.socket.settimeout(0.1)
        answers = []
        for _ in range(40):
            client.send(b"X-A: b\r\n")
            try:
                answers.append(client.read_some())
                break
            except TimeoutError:
                continue
        assert answers
        assert answers[0].startswith(b"HTTP/1.1 408 ")


def test_a_connection_on_which_nothing_comes_is_closed_without_a_word(short: Edged) -> None:
    with Client(short.address) as client:
        assert client.read_to_end() == b""


def test_an_idle_connection_is_closed_without_a_word(short: Edged) -> None:
    with Client(short.address) as client:
        client.send(REQUEST)
        assert client.read_answer().status == 200
        assert client.read_to_end() == b""


def test_a_body_that_stops(short: Edged, origin: ScriptedOrigin) -> None:
    with Client(short.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 100000\r\n\r\nabc")
        answer = client.read_answer()
        assert (answer.status, answer.get("X-Edge-Error")) == (408, "body-timeout")
    assert [each.state for each in origin.requests if each.state == "whole"] == []


def test_a_peer_that_does_not_accept(short: Edged) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        held = []
        for _ in range(4):  # fill its queue
            held.append(socket.socket())
            held[-1].setblocking(False)
            held[-1].connect_ex(split_address(address))
        short.write(route("*.test", address) + SHORT)
        short.reload()
        answer = fetch(short.address, host="x.test")
        for each in held:
            each.close()
    assert (answer.status, answer.get("X-Edge-Error")) == (504, "connect-timeout")


def test_a_peer_that_says_nothing(short: Edged, origin: ScriptedOrigin) -> None:
    origin.reply = [End.HANG]
    answer = fetch(short.address, host="x.test")
    assert (answer.status, answer.get("X-Edge-Error")) == (504, "timeout")
    eventually(lambda: origin.connections[-1].ended)
    assert len(origin.requests) == 1  # it may have worked on it: not sent again


def test_a_route_may_give_its_peers_more_time(short: Edged) -> None:
    with ScriptedOrigin([End.HANG]) as origin:
        slow = route("slow.test", origin.address, 'first_byte = "1500ms"')
        short.write(slow + route("*.test", origin.address) + SHORT)
        short.reload()
        assert fetch(short.address, host="slow.test").status == 504
        assert 1500 <= short.logged(host="slow.test", status=504)["total_ms"] < 3500
        assert fetch(short.address, host="other.test").status == 504
        assert short.logged(host="other.test", status=504)["total_ms"] < 1500


def test_a_stream_that_stops_is_cut(short: Edged, origin: ScriptedOrigin) -> None:
    origin.reply = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", End.HANG]
    with Client(short.address) as client:
        client.send(REQUEST)
        client.read_until(b"hello")
        assert client.ending() == "reset"
    assert short.logged(reason="stream-idle")["bytes"] == 5


def test_a_client_that_does_not_read_is_cut(short: Edged) -> None:
    def serve(connection: OriginConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * MIB))
        for _ in range(100):
            connection.send(b"x" * MIB)

    with ScriptedOrigin(handler=serve) as flood:
        short.write(route("*.test", flood.address) + SHORT)
        short.reload()
        with Client(short.address) as client:
            client.send(REQUEST)
            assert short.logged(reason="client-stalled")["status"] == 200
        eventually(lambda: flood.connections[-1].socket.fileno() < 0)


def test_a_tunnel_without_a_byte_is_closed(short: Edged, origin: ScriptedOrigin) -> None:
    origin.reply = [SWITCHED, End.HANG]
    with Client(short.address) as client:
        client.send(UPGRADE)
        assert client.read_answer().status == 101
        assert client.read_to_end() == b""
    eventually(lambda: origin.connections[-1].ended)
    assert short.logged(status=101)["reason"] == "stream-idle"


def test_a_tunnel_lives_while_one_side_talks(short: Edged, origin: ScriptedOrigin) -> None:
    origin.reply = [SWITCHED, End.HANG]
    with Client(short.address) as client:
        client.send(UPGRADE)
        assert client.read_answer().status == 101
        client.socket.settimeout(0.2)
        for _ in range(8):
            client.send(b"still here")
            with pytest.raises(TimeoutError):
                client.read_some()


def test_a_pooled_connection_does_not_outlive_its_idle_time(origin: ScriptedOrigin) -> None:
    with Edged(route("*.test", origin.address) + '[timeouts]\npool_idle = "300ms"\n') as edged:
        assert fetch(edged.address, host="x.test").status == 200
        eventually(lambda: origin.connections[0].ended)
        assert fetch(edged.address, host="x.test").status == 200
        assert len(origin.connections) == 2


# With TLS: what wakes the edge need not be a request


@pytest.fixture
def secure(origin: ScriptedOrigin) -> Iterator[Secure]:
    with serving(origin, tls='[timeouts]\nhead = "1s"\nkeep_alive = "1m"') as served:
        yield served


def sealed(client: TlsByHand) -> bytes:
    return client.seal(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")


def trickle(client: TlsByHand, data: bytes) -> float:
    """Send it slowly, until the other side says something; how long it took."""
    began = time.monotonic()
    for number in range(len(data)):
        client.send_plainly(data[number : number + 1])
        client.socket.settimeout(0.2)
        try:
            if client.socket.recv(1, socket.MSG_PEEK):
                break
        except TimeoutError:
            continue
        finally:
            client.socket.settimeout(PATIENCE_S)
    return time.monotonic() - began


@pytest.mark.parametrize("before", [0, 1], ids=["the first request", "a later one"])
def test_a_record_that_comes_slowly_has_the_time_of_a_head(secure: Secure, before: int) -> None:
    with secure.by_hand() as client:
        client.shake_hands()
        for _ in range(before):
            client.send_plainly(sealed(client))
            assert client.read_answer().status == 200
        if not before:
            client.take_tickets()
        assert 0.9 < trickle(client, sealed(client)) < 4
        answer = client.read_answer()
        assert (answer.status, answer.get("X-Edge-Error")) == (408, "head-timeout")


def test_who_says_nothing_behind_a_handshake_has_the_time_of_a_head(secure: Secure) -> None:
    began = time.monotonic()
    with secure.by_hand() as client:
        client.shake_hands()
        assert client.read_some() == b""
    assert 0.9 < time.monotonic() - began < 4


def test_a_record_that_has_begun_is_finished_in_a_drain(origin: ScriptedOrigin) -> None:
    with serving(origin, tls='[timeouts]\nhead = "30s"') as served, served.by_hand() as client:
        client.shake_hands()
        client.send_plainly(sealed(client))
        assert client.read_answer().status == 200
        data = sealed(client)
        client.send_plainly(data[:20])
        eventually(client.is_taken)
        assert served.edged.ctl("reload", "--roll")
        assert client.ending_plainly(6.5) == "open"  # an idle one has five seconds
        client.send_plainly(data[20:])
        assert client.read_answer().status == 200
