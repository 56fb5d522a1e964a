"""The access log: one JSON object per answer, batched and written off the lane.

Lines gather in memory and a native thread writes them, so a slow or full disk never delays a
request. What does not fit into `LIMIT_BYTES` meanwhile is dropped and counted.
"""

import json.encoder
import logging
import os
import stat
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import gevent

from edge.shared.counters import LOG_DROPPED

if TYPE_CHECKING:
    from edge.exchange import Exchange

log = logging.getLogger("edge.access_log")

FLUSH_S: Final = 0.2
LIMIT_BYTES: Final = 4 * 1024 * 1024
PIPE_BYTES: Final = 4096  # PIPE_BUF: what a pipe takes without mixing it with other writers'

_quote: Callable[[str], str] = json.encoder.encode_basestring_ascii
_wall: Callable[[], float] = time.time  # noqa: TID251  a log line says when it was


class AccessLog:
    """One worker's access log. `path` is a file, "-" for stdout, or "" for none."""

    def __init__(self, path: str, cells: memoryview) -> None:
        self.path = path
        self.enabled = bool(path)
        self.broken = ""  # why it cannot be written, for the scoreboard
        self._cells = cells
        self._lines: list[str] = []
        self._waiting = 0  # characters in `_lines`
        self._fd = -1
        self._whole = True  # a regular file: write a batch at once
        self._writing = False
        if self.enabled:
            self.reopen()

    def reopen(self) -> None:
        """Open the file anew: after a rotation has moved it away. Keeps the old one if it fails."""
        if not self.enabled:
            return
        try:
            fd = os.dup(1) if self.path == "-" else os.open(self.path, _FLAGS, 0o640)
        except OSError as error:
            self._fail(f"cannot open {self.path}: {error.strerror}")
            return
        old, self._fd = self._fd, fd
        self._whole = stat.S_ISREG(os.fstat(fd).st_mode)
        self.broken = ""
        if old >= 0:
            os.close(old)

    def write(self, exchange: "Exchange") -> None:
        """Add the line of a finished exchange."""
        if self._waiting > LIMIT_BYTES:
            self._cells[LOG_DROPPED] += 1
            return
        line = line_of(exchange)
        self._waiting += len(line)
        self._lines.append(line)

    def flush(self) -> None:
        """Hand what has gathered to a thread. Called every `FLUSH_S`; does nothing while one
        writes."""
        if self._lines and not self._writing:
            gevent.spawn(self.flush_now)

    def flush_now(self) -> None:
        """Write what has gathered and wait until it is written, or dropped and counted."""
        while self._writing:
            gevent.sleep(0.01)
        lines, self._lines = self._lines, []
        self._waiting = 0
        if not lines:
            return
        self._writing = True
        try:
            pool = gevent.get_hub().threadpool
            written, why = pool.apply(_write_all, (self._fd, lines, self._whole))
        finally:
            self._writing = False
        if why:
            self._cells[LOG_DROPPED] += len(lines) - written
            self._fail(why)
        else:
            self.broken = ""

    # Private

    def _fail(self, why: str) -> None:
        if why != self.broken:
            log.error("access log: %s; lines are dropped and counted", why)
        self.broken = why


_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK


def line_of(exchange: "Exchange") -> str:
    """The JSON line: times are milliseconds, -1 where a step was not reached."""
    request = exchange.request
    route = exchange.route
    peer = exchange.peer
    started = exchange.started
    connected = exchange.connected
    first = exchange.first_byte
    sent = exchange.sent_upstream
    return (  # by "%": half the time of an f-string's seven formatted numbers
        '{"time":%.3f,"id":"%s","client":"%s","host":%s,"method":"%s","path":%s,"route":%s,'  # noqa: UP031
        '"peer":%s,"status":%d,"bytes":%d,"received":%d,"attempts":%d,"queue_ms":%.2f,'
        '"connect_ms":%.2f,"first_byte_ms":%.2f,"total_ms":%.2f,"reason":"%s"}\n'
    ) % (
        _wall(),
        exchange.id,
        exchange.client.address,
        _quote(request.host),
        request.method,
        _quote(request.target.partition("?")[0]),
        _quote(route.pattern) if route is not None else '""',
        _quote(peer.address) if peer is not None else '""',
        exchange.status,
        exchange.sent_bytes,
        exchange.received_bytes,
        exchange.attempts,
        (exchange.asked - started) * 1000 if exchange.asked else -1.0,
        (connected - exchange.asked) * 1000 if connected else -1.0,
        (first - sent) * 1000 if first else -1.0,
        (exchange.ended - started) * 1000,
        exchange.reason,
    )


def _write_all(fd: int, lines: list[str], whole: bool) -> tuple[int, str]:
    """Runs in a thread. How many lines were written, and what stopped it ("" when nothing did)."""
    if fd < 0:
        return 0, "not open"
    written = 0
    for count, batch in _batches(lines, whole):
        why = _write(fd, batch)
        if why:
            return written, why
        written += count
    return written, ""


def _write(fd: int, batch: bytes) -> str:
    view = memoryview(batch)
    deadline = time.monotonic() + 5.0
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            if time.monotonic() > deadline:
                return "its reader does not read"
            time.sleep(0.05)  # noqa: TID251  in a native thread, for a full pipe
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _batches(lines: list[str], whole: bool) -> list[tuple[int, bytes]]:
    if whole:
        return [(len(lines), "".join(lines).encode())]
    batches: list[tuple[int, bytes]] = []
    for line in lines:
        encoded = line.encode()
        if batches and len(batches[-1][1]) + len(encoded) <= PIPE_BYTES:
            batches[-1] = (batches[-1][0] + 1, batches[-1][1] + encoded)
        else:
            batches.append((1, encoded))
    return batches
