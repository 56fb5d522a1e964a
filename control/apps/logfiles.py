"""The files of a log: numbered, the newest is written, the oldest goes.

Nothing is ever renamed, so a crash leaves at most a last line without its end. That gets its end
when the file is opened again.
"""

import errno
import os
from collections.abc import Iterator
from typing import Final

from control import durable

SIZE_BYTES: Final = 10 << 20
COUNT: Final = 5

_SUFFIX: Final = ".log"
_BLOCK_BYTES: Final = 64 * 1024
_LONGEST_BYTES: Final = 64 * 1024
"""No line is longer; what seems to be was damaged."""


class LogFiles:
    """The folder of one log, which only one process writes."""

    def __init__(self, folder: str, size_bytes: int = SIZE_BYTES, count: int = COUNT) -> None:
        self.folder = folder
        self._size_bytes = size_bytes
        self._count = count
        self._fd = -1
        self._number = 0
        self._size = 0

    def __repr__(self) -> str:
        return f"<LogFiles {'open' if self._fd >= 0 else 'closed'} {self.folder}>"

    def append(self, content: bytes) -> str:
        """Write whole lines. Says what stopped it, or ""; part of them may be written then."""
        try:
            while content:
                if self._fd < 0:
                    self._open()
                room = self._size_bytes - self._size
                part = content
                if len(content) > room:
                    part = content[: content.rfind(b"\n", 0, max(room, 0)) + 1]
                    if not part and self._size:
                        self._rotate()
                        continue
                    part = part or content[: content.index(b"\n") + 1]
                self._write(part)
                content = content[len(part) :]
        except OSError as error:
            self.close()  # opened again it gets its last line's end
            return error.strerror or str(error)
        return ""

    def backward(self) -> Iterator[bytes]:
        """The lines from the last to the first, as long as they can be read."""
        for number in reversed(self._numbers()):
            try:
                yield from _backward(self._path(number))
            except FileNotFoundError:
                return
            except OSError:
                continue

    def close(self) -> None:
        """Until the next line."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # Private

    def _open(self) -> None:
        durable.make_folder(self.folder)
        numbers = self._numbers()
        self._number = numbers[-1] if numbers else 1
        self._create()
        self._size = os.fstat(self._fd).st_size
        if self._size and os.pread(self._fd, 1, self._size - 1) != b"\n":
            self._write(b"\n")

    def _rotate(self) -> None:
        self.close()
        for number in self._numbers()[: 1 - self._count or None]:
            os.unlink(self._path(number))  # first, for the disk may be full
        self._number += 1
        self._create()
        self._size = 0

    def _create(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(self._path(self._number), flags, durable.SECRET)

    def _write(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            count = os.write(self._fd, left)
            if not count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._size += count
            left = left[count:]

    def _numbers(self) -> list[int]:
        try:
            names = os.listdir(self.folder)
        except OSError:
            return []
        stems = (name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
        return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdecimal())

    def _path(self, number: int) -> str:
        return os.path.join(self.folder, f"{number:08d}{_SUFFIX}")


# Private


def _backward(path: str) -> Iterator[bytes]:
    """The lines of a file, the last one first. Raises `OSError`."""
    with open(path, "rb", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        rest = b""
        while end:
            start = max(end - _BLOCK_BYTES, 0)
            file.seek(start)
            lines = (file.read(end - start) + rest).split(b"\n")
            rest = lines[0][:_LONGEST_BYTES]
            yield from (line for line in reversed(lines[1:]) if line)
            end = start
        if rest:
            yield rest
