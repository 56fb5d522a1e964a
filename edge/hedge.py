"""Hedging: a second peer is asked when the first takes its time, and whoever answers first counts.

Only what may safely be sent twice is (RFC 9110 section 9.2.1), and only without a body. The second
request costs its peer an exchange like any other.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import gevent
from gevent import getcurrent

from edge.connection import Connection, Expired, Gone, monotonic
from edge.errors import EdgeError, Reason
from edge.message import Peer
from edge.shared.peers import Own

if TYPE_CHECKING:
    from edge.engine import Engine
    from edge.exchange import Exchange

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class _Late(Exception):
    """The first peer has not begun its answer in time."""


class _Joined(Exception):
    """The second request is sent."""


class Hedge:
    """The second request of one attempt."""

    __slots__ = ("_engine", "_exchange", "_task", "connection", "peer")

    def __init__(self, engine: "Engine", exchange: "Exchange") -> None:
        self._engine = engine
        self._exchange = exchange
        self._task: gevent.Greenlet | None = None
        self.connection: Connection | None = None
        self.peer: Peer | None = None

    def __repr__(self) -> str:
        return f"<Hedge {self.peer or 'none'}>"

    def await_answer(self, first: Connection, delay_s: float, limit_s: float) -> Connection:
        """Wait until an answer begins; the connection that it comes on. The other one is closed.

        Raises `EdgeError` (`timeout`) when neither peer has begun within `limit_s`.
        """
        first.read_deadline = monotonic() + limit_s
        timer = gevent.get_hub().loop.timer(delay_s)
        timer.start(first.interrupt, _Late())
        try:
            _wait_begun(first)
            return first
        except _Late:
            return self._beside(first, limit_s)
        except Expired:
            raise EdgeError(Reason.TIMEOUT, f"no answer for {limit_s:g} s") from None
        finally:
            timer.stop()
            timer.close()

    def end(self) -> None:
        """Let go of the second peer, if there is one."""
        if self._task is not None:
            self._task.kill()
            self._task = None
        if self.peer is not None and self.peer.state is not None:
            self.peer.state.own[Own.UNDER_WAY] -= 1
        self.peer = None

    # Private

    def _beside(self, first: Connection, limit_s: float) -> Connection:
        exchange = self._exchange
        plan = exchange.plan
        other = plan.another(exchange.peer) if plan is not None else None
        if other is None:
            return _waited(first, limit_s)
        self.peer = other
        exchange.attempts += 1
        if other.state is not None:
            other.state.own[Own.UNDER_WAY] += 1
            other.state.own[Own.EXCHANGES] += 1
        self._task = gevent.spawn(self._send, first, other)
        try:
            _wait_begun(first)
            winner = first
        except _Joined:
            winner = self._first_of(first, limit_s)
        except Expired:
            raise EdgeError(Reason.TIMEOUT, f"no answer for {limit_s:g} s") from None
        if winner is first:
            self._drop()
        else:
            first.close()
            self.connection = None
            exchange.peer = other
        return winner

    def _send(self, first: Connection, peer: Peer) -> None:
        engine = self._engine
        timeouts = engine.timeouts
        pool = engine.pool
        try:
            second = pool.take(peer.way) or pool.connect(peer, timeouts.connect_s)
        except EdgeError:
            return  # the first peer may still answer
        try:
            second.write(self._exchange.sent_head, timeouts.write_idle_s)
        except (Gone, Expired):
            second.close()
            return
        except BaseException:
            second.close()
            raise
        self.connection = second
        first.interrupt(_Joined())

    def _first_of(self, first: Connection, limit_s: float) -> Connection:
        second = self.connection
        if second is None:
            return _waited(first, limit_s)
        second.read_deadline = first.read_deadline
        try:
            winner = _first_begun((first, second))
        except Expired:
            self._drop()
            raise EdgeError(Reason.TIMEOUT, f"no answer for {limit_s:g} s") from None
        except BaseException:
            self._drop()
            raise
        if winner is second and second.has_ended() and not first.closed:
            self._drop()  # it closed without an answer: that is none
            return _waited(first, limit_s)
        return winner

    def _drop(self) -> None:
        if self._task is not None:
            self._task.kill()
            self._task = None
        if self.connection is not None:
            self.connection.close()
            self.connection = None


# Private


def _wait_begun(connection: Connection) -> None:
    connection.wait_readable()
    while not connection.has_begun():
        connection.wait_readable()


def _first_begun(connections: Sequence[Connection]) -> Connection:
    """Wait until an answer, or an end, is on one of several. Raises `Expired` for any of them."""
    found = _first_readable(connections)
    while not found.has_begun():
        found = _first_readable(connections)
    return found


def _first_readable(connections: Sequence[Connection]) -> Connection:
    """Wait until one of several has something to read. Raises `Expired` for any of them."""
    current = getcurrent()
    for each in connections:
        if each.closed:
            return each
        each.watch()
        each._reader = current
    try:
        connections[0]._hub_switch()
        return next(each for each in connections if each._reader is None)
    finally:
        for each in connections:
            each._reader = None


def _waited(first: Connection, limit_s: float) -> Connection:
    try:
        _wait_begun(first)
    except Expired:
        raise EdgeError(Reason.TIMEOUT, f"no answer for {limit_s:g} s") from None
    return first
