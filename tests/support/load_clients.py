"""The clients of the load generator: state machines on one epoll, no threads, no framework.

A request fails when its connection is refused or reset, closes with no answer or half of one, when
its answer is 5xx, or none comes in time. A kept connection that closes before the next request was
written on it is not a failure: it is opened again, as a browser does.
"""

import os
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

MAX_FAILURES: Final = 500
SAMPLE_EVERY: Final = 8
PATIENCE_S: Final = 10.0
PING_S: Final = 0.25
_BIND_ADDRESS_NO_PORT: Final = 24
_READ: Final = select.EPOLLIN | select.EPOLLRDHUP
_PING: Final = b"\x81\x84\x00\x00\x00\x00ping"  # a masked text frame
_PONG: Final = b"\x81\x04ping"


@dataclass
class Tally:
    """What happened. Times are seconds since the start."""

    started: float = field(default_factory=time.monotonic)
    ok: int = 0
    failed: int = 0
    opened: int = 0
    reopened: int = 0  # after `Connection: close`
    idle_closed: int = 0  # closed by the edge while no request was on it
    failures: list[dict[str, Any]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    slowest_s: float = 0.0
    websockets: list[int] = field(default_factory=list)  # echoes of each that lives
    streams: list[int] = field(default_factory=list)  # events of each that lives
    sample_every: int = SAMPLE_EVERY

    def fail(self, reason: str, kind: str, port: int) -> None:
        """Count a failed request and keep its particulars."""
        self.failed += 1
        self.reasons[f"{kind}: {reason}"] += 1
        if len(self.failures) < MAX_FAILURES:
            at_s = round(time.monotonic() - self.started, 4)
            self.failures.append({"reason": reason, "kind": kind, "port": port, "at_s": at_s})

    def succeed(self, status: int, lasted_s: float) -> None:
        """Count an answered request."""
        self.ok += 1
        self.statuses[status] += 1
        if lasted_s > self.slowest_s:
            self.slowest_s = lasted_s
        if self.ok % self.sample_every == 0:
            self.latencies_s.append(lasted_s)


@dataclass
class Target:
    """Where the load goes."""

    address: tuple[str, int]
    host: str
    path: str
    sources: int = 4  # local addresses 127.0.0.1 … for new connections: more ports

    def request(self, path: str = "", extra: str = "") -> bytes:
        """The bytes of a request."""
        return f"GET {path or self.path} HTTP/1.1\r\nHost: {self.host}\r\n{extra}\r\n".encode()


class Loop:
    """One epoll and a clock. Clients register themselves; paced ones wait for their turn."""

    def __init__(self, target: Target, rate: float) -> None:
        self.target = target
        self.tally = Tally(sample_every=1 if rate else SAMPLE_EVERY)  # a paced load is small
        self.epoll = select.epoll()
        self.clients: dict[int, Client] = {}
        self.waiting: deque[Requester] = deque()
        self.stopping = False
        self._rate = rate
        self._sent = 0

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Serve events until told to stop and every request under way is answered."""
        next_check = 0.0
        while True:
            self._release()
            for fd, _ in self.epoll.poll(0.002 if self.waiting else 0.05):
                client = self.clients.get(fd)
                if client is not None:
                    client.on_event()
            now = time.monotonic()
            if now < next_check:
                continue
            next_check = now + 0.05
            for client in list(self.clients.values()):
                client.on_tick(now)
            if not self.stopping and should_stop():
                self.stopping = True
            if self.stopping and not any(client.is_busy for client in self.clients.values()):
                return

    def turn(self, requester: "Requester") -> None:
        """Let it send now, or when the rate allows it."""
        if self._rate and not self.stopping:
            self.waiting.append(requester)
        else:
            self._start(requester)

    def finish(self) -> None:
        """Note which long-lived clients are still there, and close everything."""
        for client in list(self.clients.values()):
            client.on_finish()
            client.close()

    # Private

    def _release(self) -> None:
        if self.stopping:
            self.waiting.clear()
            return
        due = len(self.waiting)  # without a rate: those that could not connect try again
        if self._rate:
            allowed = (time.monotonic() - self.tally.started) * self._rate
            # The first at once: a load that is stopped right away has seen an answer, too.
            due = min(due, 1 + int(allowed) - self._sent)
        for _ in range(due):
            self._sent += 1
            self._start(self.waiting.popleft())

    def _start(self, requester: "Requester") -> None:
        if not self.stopping:
            requester.start()


class Client:
    """One connection at a time on the loop."""

    kind = ""

    def __init__(self, loop: Loop, number: int) -> None:
        self.loop = loop
        self.number = number
        self.socket: socket.socket | None = None
        self.buffer = b""
        self.is_busy = False  # a request was written and not answered yet
        self.began = 0.0
        self.port = 0

    def on_event(self) -> None:
        """Bytes, an end, or the connection is up."""

    def on_tick(self, now: float) -> None:
        """About every 50 ms."""

    def on_finish(self) -> None:
        """The load ends now."""

    def open(self) -> bool:
        """Connect (loopback connects at once); failures are counted."""
        target = self.loop.target
        family = socket.AF_INET6 if ":" in target.address[0] else socket.AF_INET
        link = socket.socket(family, socket.SOCK_STREAM)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.sources > 1 and target.address[0] == "127.0.0.1":
            link.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            link.bind((f"127.0.0.{1 + self.number % target.sources}", 0))
        link.settimeout(PATIENCE_S)
        try:
            link.connect(target.address)
        except OSError as error:
            link.close()
            self.loop.tally.fail(f"connect: {error.strerror or error}", self.kind, 0)
            return False
        link.setblocking(False)
        self.socket = link
        self.port = link.getsockname()[1]
        self.buffer = b""
        self.loop.tally.opened += 1
        self.loop.clients[link.fileno()] = self
        self.loop.epoll.register(link.fileno(), _READ)
        return True

    def close(self) -> None:
        """Close the connection, if any."""
        if self.socket is not None:
            del self.loop.clients[self.socket.fileno()]
            self.socket.close()
            self.socket = None

    def fail(self, reason: str) -> None:
        """Count a failure and drop the connection."""
        self.is_busy = False
        self.loop.tally.fail(reason, self.kind, self.port)
        self.close()

    def receive(self) -> bytes | None:
        """What has come; b"" at the end, None after a reset. `BlockingIOError` for nothing."""
        assert self.socket is not None
        try:
            return self.socket.recv(262144)
        except BlockingIOError:
            raise
        except OSError:
            return None


class Requester(Client):
    """Sends one request after the other: on one connection, or each on its own."""

    def __init__(self, loop: Loop, number: int, *, kept: bool) -> None:
        super().__init__(loop, number)
        self.kept = kept
        self.kind = "kept" if kept else "fresh"
        # Half of the fresh ones ask the edge to close, the others close by themselves.
        asks = not kept and number % 2 == 0
        self._request = loop.target.request(extra="Connection: close\r\n" if asks else "")
        self._need = -1  # bytes of the whole answer, once its head is there
        self._status = 0
        self._closes = False

    def start(self) -> None:
        """Send a request, on the kept connection if it still lives."""
        if self.socket is not None and self._has_ended():
            self.loop.tally.idle_closed += 1
            self.close()
        if self.socket is None and not self.open():
            self.loop.waiting.append(self)
            return
        assert self.socket is not None
        self.began = time.monotonic()
        self.is_busy = True
        try:
            self.socket.send(self._request)
        except OSError as error:
            self.fail(f"send: {error.strerror}")
            self._again()

    def on_event(self) -> None:
        """An answer, or the end of an idle connection."""
        try:
            data = self.receive()
        except BlockingIOError:
            return
        if not self.is_busy:
            if data:
                self.loop.tally.fail(f"bytes nobody asked for: {data[:60]!r}", self.kind, self.port)
            self.loop.tally.idle_closed += 1
            self.close()
            return
        if not data:
            how = "reset" if data is None else "closed"
            self.fail(f"{how} {'in the middle of' if self.buffer else 'before'} the answer")
            self._again()
            return
        self.buffer = self.buffer + data if self.buffer else data
        if self._is_whole():
            self._finish()

    def on_tick(self, now: float) -> None:
        """Give up on an answer that does not come."""
        if self.is_busy and now - self.began > PATIENCE_S:
            self.fail(f"no answer for {PATIENCE_S:g} s")
            self._again()

    # Private

    def _has_ended(self) -> bool:
        assert self.socket is not None
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _is_whole(self) -> bool:
        buffer = self.buffer
        if self._need < 0:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = buffer[:end].lower()
            self._status = int(head[9:12])
            self._closes = b"\r\nconnection: close" in head
            place = head.find(b"\r\ncontent-length:")
            if place >= 0:
                self._need = end + 4 + int(head[place + 17 :].partition(b"\r")[0])
            elif b"\r\ntransfer-encoding: chunked" in head:
                return buffer.endswith(b"0\r\n\r\n")
            else:
                self._need = end + 4
        return len(buffer) >= self._need

    def _finish(self) -> None:
        tally = self.loop.tally
        self.is_busy = False
        extra = self._need >= 0 and len(self.buffer) > self._need
        if self._status >= 500 or extra:
            text = self.buffer[:300].decode("latin-1")
            more = " with more behind it" if extra else ""
            tally.fail(f"{self._status}{more}: {text}", self.kind, self.port)
        else:
            tally.succeed(self._status, time.monotonic() - self.began)
        if self._closes and self.kept:
            tally.reopened += 1
        if self._closes or not self.kept:
            self.close()
        self._again()

    def _again(self) -> None:
        self.buffer = b""
        self._need = -1
        self.loop.turn(self)


class WebSocket(Client):
    """Lives as long as the load; sends a frame now and then and counts the echoes."""

    kind = "websocket"
    path = "/ws"

    def __init__(self, loop: Loop, number: int) -> None:
        super().__init__(loop, number)
        self.count = 0
        self._up = False
        self._pinged = 0.0
        if self.open():
            key = os.urandom(16).hex()
            extra = (
                "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            )
            assert self.socket is not None
            self.socket.send(loop.target.request(self.path, extra))
            self.began = time.monotonic()

    def on_event(self) -> None:
        """The 101, echoes, or the end that must not come."""
        try:
            data = self.receive()
        except BlockingIOError:
            return
        if not data:
            self.fail("reset" if data is None else "closed")
            return
        self.buffer += data
        if not self._up:
            head, mark, rest = self.buffer.partition(b"\r\n\r\n")
            if not mark:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.fail(f"not upgraded: {head[:60]!r}")
                return
            self._up, self.buffer = True, rest
        self._count()

    def on_tick(self, now: float) -> None:
        """Send a frame; fail when the last one is not answered."""
        if not self._up or self.socket is None:
            return
        if self._pinged and now - self.began > PATIENCE_S:
            self.fail(f"no echo for {PATIENCE_S:g} s")
        elif not self._pinged and now - self.began > PING_S:
            self.began = self._pinged = now
            self.socket.send(_PING)

    def on_finish(self) -> None:
        """It is alive."""
        self.loop.tally.websockets.append(self.count)

    # Private

    def _count(self) -> None:
        while self.buffer.startswith(_PONG):
            self.buffer = self.buffer[len(_PONG) :]
            self.count += 1
            self._pinged = 0.0
        if self.buffer and not _PONG.startswith(self.buffer):
            self.fail(f"not an echo: {self.buffer[:60]!r}")


class EventStream(Client):
    """Lives as long as the load; counts events, which must come in order."""

    kind = "stream"
    path = "/sse"

    def __init__(self, loop: Loop, number: int) -> None:
        super().__init__(loop, number)
        self.count = 0
        if self.open():
            assert self.socket is not None
            self.socket.send(loop.target.request(self.path))
            self.began = time.monotonic()

    def on_event(self) -> None:
        """Events, or the end that must not come."""
        try:
            data = self.receive()
        except BlockingIOError:
            return
        if not data:
            self.fail("reset" if data is None else "closed")
            return
        self.buffer += data
        wanted = b"data: %d\n\n" % (self.count + 1)
        while (place := self.buffer.find(wanted)) >= 0:
            self.buffer = self.buffer[place + len(wanted) :]
            self.count += 1
            self.began = time.monotonic()
            wanted = b"data: %d\n\n" % (self.count + 1)

    def on_tick(self, now: float) -> None:
        """Fail when no event comes."""
        if self.socket is not None and now - self.began > PATIENCE_S:
            self.fail(f"no event for {PATIENCE_S:g} s: {self.buffer[:60]!r}")

    def on_finish(self) -> None:
        """It is alive."""
        self.loop.tally.streams.append(self.count)
