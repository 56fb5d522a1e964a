"""A connection with TLS: what is something to read, what only wakes whoever waits, and who has his
turn while much comes."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import gevent
import pytest

from edge.connection import Connection, Expired, Gone, monotonic
from edge.table.model import UpstreamTls
from edge.tls.clients import context_of
from edge.tls.connection import FAIR_READS, RECORD_BYTES, Socket, TlsConnection
from tests.support.certificates import TestAuthority


class Far:
    """The other side: TLS made in memory, so that a test says what of it goes out."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, *, server_side: bool) -> None:
        sock.setblocking(False)
        self.socket = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=server_side)

    def shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                self.socket.sendall(self._out.read())
            with contextlib.suppress(BlockingIOError):
                self._in.write(self.socket.recv(65536))
            gevent.sleep(0.001)

    def seal(self, data: bytes = b"") -> bytes:
        """What TLS makes of it, with what was to be sent before: tickets of a server."""
        if data:
            self._tls.write(data)
        return self._out.read()

    def say_goodbye(self) -> bytes:
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        return self._out.read()


class Pair(NamedTuple):
    near: TlsConnection
    far: Far


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Pair]:
    """A peer that has shaken hands, and whose tickets were not sent yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*TestAuthority(tmp_path).issue("peer.test"))
    registry: set[Connection] = set()
    ours, theirs = socket.socketpair()
    raw = Socket(fileno=ours.detach())
    raw.setblocking(False)
    near = TlsConnection(raw, registry)
    far = Far(theirs, context, server_side=True)
    near.begin(context_of(UpstreamTls(verify=False)), server_side=False, server_name="peer.test")
    with gevent.Timeout(20), theirs:
        shaking = gevent.spawn(far.shake_hands)
        near.shake_hands(monotonic() + 10)
        shaking.get()
        yield Pair(near, far)
        near.close()
    assert not registry


def test_tickets_wake_and_begin_nothing(peer: Pair) -> None:
    near, far = peer
    tickets = far.seal()
    assert tickets
    far.socket.sendall(tickets)
    near.wait_readable()
    assert not near.has_begun()
    assert not near.is_stale()


def test_a_part_of_a_record_begins_nothing_and_is_not_lost(peer: Pair) -> None:
    near, far = peer
    data = far.seal(b"hello")
    far.socket.sendall(data[:-1])
    near.wait_readable()
    assert not near.has_begun()
    far.socket.sendall(data[-1:])
    near.wait_readable()
    assert near.has_begun()
    assert near.has_begun()
    assert near.read() == b"hello"


def test_an_end_that_was_found_is_read_though_the_socket_tells_of_none(peer: Pair) -> None:
    near, far = peer
    far.socket.sendall(far.seal() + far.say_goodbye())
    near.wait_readable()
    assert near.has_begun()
    assert near.has_ended()
    assert near.read() == b""


def test_a_closed_one_has_begun_to_end(peer: Pair) -> None:
    near, _ = peer
    near.close()
    assert near.has_begun()
    assert near.is_stale()


# Turns


RECORDS = 12


@pytest.fixture
def fast(peer: Pair) -> TlsConnection:
    """One whose other side has sent more than is read at a time."""
    near, far = peer
    far.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * RECORDS * RECORD_BYTES)
    far.socket.sendall(far.seal(b"x" * RECORDS * RECORD_BYTES))
    near.read_deadline = monotonic() + 10
    while len(near.read()) < RECORD_BYTES:
        continue  # the first record comes in pieces: nobody knew that so much would come
    assert near.has_more
    return near


def test_others_have_their_turn_while_as_much_comes_as_is_read(fast: TlsConnection) -> None:
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1

    each = gevent.get_hub().loop.check()
    each.start(count)
    reads = []
    for _ in range(RECORDS - 2):
        assert len(fast.read()) == RECORD_BYTES
        reads.append(turns)
    each.close()
    assert reads[-1] >= 1
    assert max(map(reads.count, reads)) <= FAIR_READS + 1


class Overran(Exception):
    pass


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda fast: fast.interrupt(Overran()), Overran),
        (lambda fast: fast.expire(fast.read_deadline + 1), Expired),
        (lambda fast: fast.close(), Gone),
    ],
    ids=["an interrupt", "a deadline", "a close"],
)
def test_whoever_lets_others_have_their_turn_is_reached(
    fast: TlsConnection, act: Callable[[TlsConnection], None], error: type[Exception]
) -> None:
    gevent.get_hub().loop.run_callback(act, fast)
    with pytest.raises(error):
        read_all(fast)


def read_all(fast: TlsConnection) -> None:
    for _ in range(RECORDS - 2):
        fast.read()
