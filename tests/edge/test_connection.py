"""Writing: what is sent when the loop's turn ends, and what at once. Waiting: who still waits."""

import _socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import gevent.event
import pytest
from gevent.threadpool import ThreadPool
from greenlet import greenlet

from edge.connection import NEVER, TOGETHER_BYTES, Connection, Gone, outbox

Pair = tuple[Connection, Connection]


@contextmanager
def connected() -> Iterator[Pair]:
    registry: set[Connection] = set()
    made = []
    for sock in _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM):
        sock.setblocking(False)
        made.append(Connection(sock, registry))
    try:
        yield made[0], made[1]
    finally:
        for connection in made:
            connection.close()
    assert not registry


@pytest.fixture
def pair() -> Iterator[Pair]:
    with connected() as both, gevent.Timeout(10):
        yield both


def test_small_writes_of_a_turn_are_one_send(pair: Pair) -> None:
    one, other = pair
    for piece in (b"a", b"b", b"c"):
        one.write(piece, 1.0)
    assert other.read_now() is None
    assert other.read() == b"abc"


def test_what_a_greenlet_writes_is_sent_in_the_same_turn(pair: Pair) -> None:
    one, other = pair
    gevent.spawn(one.write, b"hello", 1.0)
    assert other.read() == b"hello"  # nothing else would wake the loop
    gevent.spawn_later(0.01, one.write, b"again", 1.0)
    assert other.read() == b"again"


def test_the_first_write_of_a_hub_needs_no_other_event() -> None:
    got = []

    def first() -> None:
        with gevent.Timeout(2, False):
            gevent.sleep(0)  # woken where the loop's turn ends
            with connected() as (one, other):
                one.write(b"hello", 1.0)
                got.append(other.read())

    pool = ThreadPool(1)  # its threads have hubs of their own
    pool.apply(first)
    pool.kill()
    assert got == [b"hello"]


def test_large_writes_are_sent_at_once_and_in_order(pair: Pair) -> None:
    one, other = pair
    one.write(b"a", 1.0)
    one.write(b"b" * (TOGETHER_BYTES + 1), 1.0)
    first = other.read_now()
    assert first is not None
    assert first[:2] == b"ab"


def test_a_push_sends(pair: Pair) -> None:
    one, other = pair
    one.write(b"now", 1.0)
    one.push(1.0)
    assert other.read_now() == b"now"


@pytest.mark.parametrize("end", ["close", "reset", "finish_writing"])
def test_an_end_sends_what_was_written_before(pair: Pair, end: str) -> None:
    one, other = pair
    one.write(b"last words", 1.0)
    getattr(one, end)()
    assert other.read_now() == b"last words"


def test_a_slow_reader_gets_all_of_it(pair: Pair) -> None:
    one, other = pair
    pieces = [bytes([65 + number % 26]) * 10_000 for number in range(200)]

    def send() -> None:
        for piece in pieces:
            one.write(piece, 5.0)
            gevent.sleep(0)

    task = gevent.spawn(send)
    got = b""
    while len(got) < 2_000_000:
        got += other.read()
    task.get()
    assert got == b"".join(pieces)


def test_a_write_to_nobody_is_told_by_the_next_one(pair: Pair) -> None:
    one, other = pair
    other.close()
    one.write(b"x", 1.0)
    gevent.sleep(0.01)
    with pytest.raises(Gone):
        one.write(b"y", 1.0)
    with pytest.raises(Gone):
        other.write(b"z", 1.0)


def test_one_that_takes_nothing_for_too_long_is_closed(pair: Pair) -> None:
    one, _ = pair
    while one.write_deadline == NEVER:  # until the socket is full
        one.write(b"x" * 10_000, 5.0)
        gevent.sleep(0.001)
    one.expire(one.write_deadline + 1)
    assert one.closed


class Overran(Exception):
    pass


class Waiting:
    """A greenlet as sessions borrow them: waits for a connection, then for something else."""

    def __init__(self, wait: Callable[[], object]) -> None:
        self._wait = wait
        self._next = gevent.event.Event()
        self.seen: list[str] = []
        hub = gevent.get_hub()
        self._greenlet = greenlet(self._run, hub)
        self._in_hub = hub.loop.run_callback
        self._in_hub(self._greenlet.switch)
        gevent.sleep(0.01)

    def throw(self, error: Exception) -> None:
        self._in_hub(self._greenlet.throw, error)
        gevent.sleep(0.01)

    def go_on(self) -> None:
        self._next.set()
        gevent.sleep(0.01)

    def _run(self) -> None:
        for wait in (self._wait, self._next.wait):
            try:
                wait()
                self.seen.append("woken")
            except (Overran, Gone) as error:
                self.seen.append(type(error).__name__)


@pytest.mark.parametrize("end", ["a byte", "a close"])
def test_a_reader_that_was_thrown_into_does_not_wait_any_more(pair: Pair, end: str) -> None:
    one, other = pair
    heard = []
    one.on_readable = lambda: (heard.append("byte"), one.pause())[1]
    waiting = Waiting(one.wait_readable)
    waiting.throw(Overran())
    if end == "a byte":
        other.write(b"late", 1.0)
    else:
        one.close()
    gevent.sleep(0.01)
    assert waiting.seen == ["Overran"]
    waiting.go_on()
    assert waiting.seen == ["Overran", "woken"]
    assert heard == (["byte"] if end == "a byte" else [])


@pytest.mark.parametrize("end", ["room", "a close"])
def test_a_writer_that_was_thrown_into_does_not_wait_any_more(pair: Pair, end: str) -> None:
    one, other = pair
    waiting = Waiting(lambda: one.write(b"x" * 10_000_000, 5.0))
    waiting.throw(Overran())
    assert one.write_deadline == NEVER
    if end == "room":
        while other.read_now():
            gevent.sleep(0)
    else:
        one.close()
    gevent.sleep(0.01)
    assert waiting.seen == ["Overran"]
    waiting.go_on()
    assert waiting.seen == ["Overran", "woken"]


def test_a_hub_has_one_outbox() -> None:
    hub = gevent.get_hub()
    assert outbox(hub) is outbox(hub)
    assert repr(outbox(hub)) == "<Outbox 0>"
