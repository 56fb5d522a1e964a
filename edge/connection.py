"""A raw non-blocking socket with one persistent watcher and deadlines as plain fields.

Reading waits first and then reads, so there is no exception per would-block; the watcher stays
registered with the loop across requests. Small writes are sent together when the loop's turn ends:
who is woken by the first is still awake for the others, and waking a process costs more than a
`send`. A deadline is a number that the worker's sweeper compares
twice a second, not a timer. `OSError` does not leave this file: the other side's going away is
`Gone`, a passed deadline is `Expired`.
"""

import _socket
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Final

import gevent
from gevent import getcurrent

READ_BYTES: Final = 65536
BULK_BYTES: Final = 262144
FILE_BYTES: Final = 1 << 20
NEVER: Final = float("inf")

TOGETHER_BYTES: Final = 16384
"""A write up to this size waits for the end of the loop's turn."""

_READ, _WRITE = 1, 2
_RESET: Final = struct.pack("ii", 1, 0)

monotonic = time.monotonic


class Gone(Exception):
    """The other side reset or closed the connection."""


class Expired(Exception):
    """A deadline passed while waiting."""


class Connection:
    """One socket, either side. At most one greenlet reads it and one writes it at a time."""

    __slots__ = (
        "_box",
        "_hub_switch",
        "_idle_s",
        "_is_boxed",
        "_loop",
        "_lost",
        "_out",
        "_reader",
        "_watcher",
        "_watching",
        "_write_watcher",
        "_writer",
        "closed",
        "has_more",
        "idle",
        "on_expired",
        "on_readable",
        "read_deadline",
        "registry",
        "sock",
        "write_deadline",
    )

    def __init__(self, sock: _socket.socket, registry: "set[Connection]") -> None:
        hub = gevent.get_hub()
        self._loop = hub.loop
        self._hub_switch: Callable[[], Any] = hub.switch
        self._box = outbox(hub)
        self._is_boxed = False
        self._out = b""  # written, and not sent yet
        self._idle_s = 0.0
        self._lost = ""  # why what was written cannot be sent
        self.sock = sock
        self.registry = registry  # all open connections of the worker, for its sweeper
        self._watcher = self._loop.io(sock.fileno(), _READ)
        self._write_watcher: Any = None
        self._watching = False
        self._reader: Any = None
        self._writer: Any = None
        self.read_deadline = NEVER
        self.write_deadline = NEVER
        self.on_readable: Callable[[], None] = self.pause
        self.on_expired: Callable[[], None] = self.close
        self.closed = False
        self.has_more = False  # there may be something to read that the socket does not tell of
        self.idle = False  # kept in a pool
        registry.add(self)

    def __repr__(self) -> str:
        if self.closed:
            return "<Connection closed>"
        return f"<Connection {'waiting' if self._reader else 'open'} fd={self.sock.fileno()}>"

    # Reading

    def read(self, limit_bytes: int = READ_BYTES) -> bytes:
        """Wait until there is something, and return it; b"" at the end of the stream."""
        while True:
            self.wait_readable()
            try:
                return self.sock.recv(limit_bytes)
            except BlockingIOError:
                continue
            except OSError as error:
                raise Gone(error.strerror) from None

    def read_now(self, limit_bytes: int = READ_BYTES) -> bytes | None:
        """What is there without waiting; None when nothing is, b"" at the end of the stream."""
        try:
            return self.sock.recv(limit_bytes)
        except BlockingIOError:
            return None
        except OSError as error:
            raise Gone(error.strerror) from None

    def wait_readable(self) -> None:
        """Let the loop turn until the socket is readable or `read_deadline` has passed."""
        if self.closed:
            raise Gone("closed")
        if not self._watching:
            self._watcher.start(self._readable)
            self._watching = True
        self._reader = me = getcurrent()
        try:
            self._hub_switch()
        except BaseException:  # thrown by anybody: this greenlet does not wait here any more
            if self._reader is me:
                self._reader = None
            raise

    def watch(self) -> None:
        """Have `on_readable` called, in the loop, while nobody waits to read."""
        if not self._watching and not self.closed:
            self._watcher.start(self._readable)
            self._watching = True

    def pause(self) -> None:
        """Stop watching until the next read: the other side must wait."""
        if self._watching:
            self._watcher.stop()
            self._watching = False

    def has_part(self) -> bool:
        """Whether something was taken from the socket that makes nothing to read yet."""
        return False

    def has_begun(self) -> bool:
        """Of a readable one: whether that is something to read, or the end. Takes neither."""
        return True

    def is_stale(self) -> bool:
        """Whether an idle connection was closed by the other side, or holds unasked bytes."""
        if self.closed:
            return True
        try:
            self.sock.recv(1, _socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def has_ended(self) -> bool:
        """Whether the other side will send nothing more: end of stream or reset, read or not."""
        try:
            return self.sock.recv(1, _socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    # Writing

    def write(self, data: bytes, idle_s: float) -> None:
        """Send all of it, waiting at most `idle_s` for each piece to be taken.

        A small one is sent when the loop's turn ends. That it fails is told by the next call, and
        by reading.
        """
        if self._lost or self.closed:
            raise Gone(self._lost or "closed")
        if not self._out:
            if len(data) <= TOGETHER_BYTES:
                self._out = data
                self._idle_s = idle_s
                self._is_boxed = True
                self._box.append(self)
                return
        elif self._is_boxed and len(self._out) + len(data) <= TOGETHER_BYTES:
            self._out += data
            return
        self._write_now(data, idle_s)

    def push(self, idle_s: float) -> None:
        """Send what was written, now; waits as `write` does."""
        if self._out:
            self._write_now(b"", idle_s)

    def send_file(self, fd: int, offset: int, count: int, idle_s: float) -> int:
        """Send a part of a file without copying it, as far as there is one; how much was sent."""
        self.push(idle_s)
        left = count
        while left:
            try:
                sent = os.sendfile(self.sock.fileno(), fd, offset, min(left, FILE_BYTES))
            except BlockingIOError:
                self.wait_writable(idle_s)
                continue
            except OSError as error:
                raise Gone(error.strerror) from None
            if not sent:
                break
            offset += sent
            left -= sent
            if left:
                # The socket may take it all at once: others have their turn between.
                self.wait_writable(idle_s)
        return count - left

    def wait_writable(self, idle_s: float) -> None:
        """Let the loop turn until the socket takes bytes; `Expired` after `idle_s`."""
        if self.closed:
            raise Gone("closed")
        if self._write_watcher is None:
            self._write_watcher = self._loop.io(self.sock.fileno(), _WRITE)
        self.write_deadline = monotonic() + idle_s
        self._writer = me = getcurrent()
        watcher = self._write_watcher
        watcher.start(self._writable)
        try:
            self._hub_switch()
        except BaseException:  # as in `wait_readable`
            if self._writer is me:
                self._writer = None
            raise
        finally:
            watcher.stop()
            self.write_deadline = NEVER

    def finish_writing(self) -> None:
        """Tell the other side that no more bytes come, once all is sent."""
        try:
            self.push(self._idle_s)
        except (Gone, Expired):
            return
        try:
            self.sock.shutdown(_socket.SHUT_WR)
        except OSError:
            self.pause()

    # Ending

    def interrupt(self, error: BaseException) -> None:
        """Raise `error` in whoever waits here, from the loop and not from the caller's greenlet."""
        reader, self._reader = self._reader, None
        writer, self._writer = self._writer, None
        for waiter in (reader, writer):
            if waiter is not None:
                self._loop.run_callback(waiter.throw, error)
                if reader is writer:
                    break

    def expire(self, now: float) -> None:
        """Called by the sweeper: end a wait whose deadline has passed."""
        if self.write_deadline < now and self._writer is not None:
            waiter, self._writer = self._writer, None
            self.write_deadline = NEVER
            waiter.throw(Expired())
        elif self.write_deadline < now:
            self.close()  # it did not take what was left of a small write
        if self.read_deadline < now and not self.closed:
            self.read_deadline = NEVER
            waiter, self._reader = self._reader, None
            if waiter is not None:
                waiter.throw(Expired())
            else:
                self.on_expired()

    def close(self) -> None:
        """Close the socket; whoever still waits gets `Gone`. Closing twice is fine.

        What was written is sent as far as that is possible without waiting: `push` comes first
        where it matters.
        """
        if self.closed:
            return
        if self._out:
            self.send_out()
        self.closed = True
        self._out = b""
        self._watcher.stop()
        self._watcher.close()
        if self._write_watcher is not None:
            self._write_watcher.stop()
            self._write_watcher.close()
        self.sock.close()
        self.registry.discard(self)
        if self._reader is not None or self._writer is not None:
            self.interrupt(Gone("closed"))

    def reset(self) -> None:
        """Close so that the other side cannot take what came for whole: with a RST."""
        if not self.closed:
            try:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            except OSError:
                self.pause()
            self.close()

    def send_out(self) -> None:
        """Called when the loop's turn ends: send what was written in it. Raises nothing."""
        self._is_boxed = False
        data = self._out
        if not data or self.closed:
            return
        try:
            sent = self._transmit(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lost, self._out = error.strerror or str(error), b""
            return
        if sent == len(data):
            self._out = b""
            return
        self._out = data[sent:]
        self._send_later()

    # Private

    def _transmit(self, data: bytes | memoryview) -> int:
        return self.sock.send(data)

    def _write_now(self, data: bytes, idle_s: float) -> None:
        if self._out:
            data, self._out = self._out + data, b""
        try:
            sent = self._transmit(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise Gone(error.strerror) from None
        if sent != len(data):
            self._write_rest(memoryview(data)[sent:], idle_s)

    def _send_later(self) -> None:
        """The other side takes no more now: go on when it does."""
        if self._write_watcher is None:
            self._write_watcher = self._loop.io(self.sock.fileno(), _WRITE)
        self.write_deadline = monotonic() + self._idle_s
        self._write_watcher.start(self._writable)

    def _readable(self) -> None:
        waiter = self._reader
        if waiter is not None:
            self._reader = None
            waiter.switch()
        else:
            self.on_readable()

    def _writable(self) -> None:
        waiter = self._writer
        if waiter is not None:
            self._writer = None
            waiter.switch()
            return
        self._write_watcher.stop()
        self.write_deadline = NEVER
        self.send_out()

    def _write_rest(self, view: memoryview, idle_s: float) -> None:
        while view:
            self.wait_writable(idle_s)
            try:
                view = view[self._transmit(view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise Gone(error.strerror) from None


class Outbox(list[Connection]):
    """The connections that have something to send when the turn of one hub's loop ends."""

    def __init__(self, hub: gevent.hub.Hub) -> None:
        super().__init__()
        self.hub = hub
        # After gevent's own, which runs greenlets that may write.
        self._watcher = hub.loop.prepare(ref=False, priority=hub.loop.MINPRI)
        self._watcher.start(self._send)
        # One that starts while the turn's watchers run is not among them: have a turn after it.
        self._again = hub.loop.timer(0.0, ref=False)
        self._again.start(int)

    def __repr__(self) -> str:
        return f"<Outbox {len(self)}>"

    # Private

    def _send(self) -> None:
        """Runs in the hub, just before it waits."""
        if self:
            batch = self[:]
            self.clear()
            for connection in batch:
                connection.send_out()


def outbox(hub: gevent.hub.Hub) -> Outbox:
    """The outbox of a hub, made when it is asked for first."""
    global _outbox
    if _outbox is None or _outbox.hub is not hub:
        _outbox = Outbox(hub)
    return _outbox


_outbox: Outbox | None = None
