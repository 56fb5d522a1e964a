"""Lines out of a pipe, none of them lost when this process is killed.

What is in the pipe is looked at by tee(2), which leaves it there; the lines are handed on, and only
then taken out. So a control that is killed has handed on what it took, and the next one begins with
a whole line: in the worst case some are seen twice. The beginning of a line stays in the pipe until
its end is there; it is looked for ever less often.
"""

import array
import contextlib
import ctypes
import fcntl
import functools
import os
import termios
from collections.abc import Callable
from typing import Any, Final

import gevent

from control.instances.pipes import ROOM_BYTES

CHUNK_BYTES: Final = 65536
"""Taken at once, and the longest line: what is longer is handed on in pieces."""

BREATH_S: Final = 0.005
"""After a whole chunk others have their turn: a flood is read at 12 MiB/s, and then waits."""

FIRST_LOOK_S: Final = 0.01
LAST_LOOK_S: Final = 0.25

Take = Callable[[str, bytes], None]
"""Gets the stream's name and a line without its end. It must have kept it when it returns."""


class Lines:
    """One pipe that is read."""

    def __init__(self, stream: str, fd: int, take: Take) -> None:
        self.stream = stream
        self._fd = fd
        self._take = take
        loop = gevent.get_hub().loop
        self._watcher: Any = loop.io(fd, 1)
        self._timer: Any = loop.timer(0)
        self._look_s = FIRST_LOOK_S
        self._seen = 0  # of a line whose end is not there

    def __repr__(self) -> str:
        return f"<Lines {self.stream}{' closed' if self._fd < 0 else ''}>"

    def start(self) -> None:
        """Read on, as it comes."""
        self._watcher.start(self._read)

    def finish(self) -> None:
        """Hand on what is there now, also a line without an end, and close."""
        self._watcher.stop()
        self._timer.stop()
        left = _waiting(self._fd)  # and no more: someone may go on writing
        while left > 0 and (chunk := first_of(self._fd)):
            left -= self._hand_on(chunk, is_piece=False) or self._hand_on_all(chunk)
        self.close()

    def close(self) -> None:
        """Read no more; what is there stays there."""
        for watcher in (self._watcher, self._timer):
            watcher.stop()
            watcher.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # Private

    def _read(self) -> None:
        self._timer.stop()
        chunk = first_of(self._fd)
        if not chunk:
            self._watcher.start(self._read)
            return
        taken = self._hand_on(chunk, is_piece=_waiting(self._fd) > len(chunk))
        if taken == len(chunk) < CHUNK_BYTES:
            self._seen, self._look_s = 0, FIRST_LOOK_S
            self._watcher.start(self._read)
            return
        self._watcher.stop()
        is_waiting = not taken and len(chunk) == self._seen
        self._look_s = min(self._look_s * 2, LAST_LOOK_S) if is_waiting else FIRST_LOOK_S
        self._seen = len(chunk) - taken
        self._look_again(BREATH_S if len(chunk) >= CHUNK_BYTES else self._look_s)

    def _look_again(self, pause_s: float) -> None:
        self._timer.close()
        self._timer = gevent.get_hub().loop.timer(pause_s)
        self._timer.start(self._read)

    def _hand_on(self, chunk: bytes, *, is_piece: bool) -> int:
        """Hand on the lines in a chunk; the result is how many bytes that was.

        With `is_piece` there is more behind it: without an end of a line it is part of a long one.
        """
        end = chunk.rfind(b"\n") + 1
        if end == 0:
            return self._hand_on_all(chunk) if is_piece or len(chunk) >= CHUNK_BYTES else 0
        for line in chunk[: end - 1].split(b"\n"):
            self._take(self.stream, line)
        _skip(self._fd, end)
        return end

    def _hand_on_all(self, chunk: bytes) -> int:
        self._take(self.stream, chunk)
        _skip(self._fd, len(chunk))
        return len(chunk)


def first_of(fd: int) -> bytes:
    """The first bytes in a pipe, which stay in it; none when it is empty."""
    out, into = _copy()
    count = _libc.tee(fd, into, CHUNK_BYTES, _SPLICE_F_NONBLOCK)
    chunk = b""
    while len(chunk) < count:
        chunk += os.read(out, count - len(chunk))
    return chunk


# Private

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.tee.restype = ctypes.c_ssize_t
_libc.tee.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint]
_SPLICE_F_NONBLOCK: Final = 2


@functools.cache
def _copy() -> tuple[int, int]:
    """A pipe for what is in another and is to stay there: empty but within `first_of`."""
    out, into = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    with contextlib.suppress(OSError):
        # Room for as many buffers as that pipe may have, each of which may be almost empty.
        fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, ROOM_BYTES)
    return out, into


def _waiting(fd: int) -> int:
    found = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, found)
    return found[0]


def _skip(fd: int, count: int) -> None:
    while count > 0:
        count -= len(os.read(fd, count))
