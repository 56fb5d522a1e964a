"""Opening a file beneath a root, so that nothing outside of it is ever opened.

The path is walked from the root's own descriptor, one component at a time, and no symbolic link is
followed on the way: neither "..", nor an encoding, nor somebody who swaps a directory for a link in
between can lead out. The root itself may be a link (as deploys make them); it is looked up anew for
each file.
"""

import errno
import io
import os
import posix
import stat
from dataclasses import dataclass
from typing import Final

from edge.static.cache import Identity, identity_of

# gevent's own `os.close` looks for watchers of a descriptor, and these never have any.
_close = posix.close

_WALK: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_ROOT: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC

SHOWN: Final = ".well-known"
"""The one name with a leading dot that is served (RFC 8615)."""


class NotServed(Exception):
    """There is no such file, or none that may be served; the message is for the log."""


class IsFolder(Exception):
    """The path is a folder's."""


@dataclass(slots=True)
class Opened:
    """An open regular file. It closes when nobody refers to it any more."""

    file: io.FileIO
    size: int
    mtime_ns: int
    identity: Identity
    name: str  # in its folder


class Folder:
    """A folder beneath a root, open for looking names up. Use it as a context manager."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *_: object) -> None:
        _close(self._fd)

    def open(self, name: str) -> Opened:
        """A regular file in it. Raises `NotServed` or `IsFolder`."""
        try:
            fd = os.open(name, _READ, dir_fd=self._fd)
        except OSError as error:
            raise NotServed(_reason(name, error)) from None
        found = os.fstat(fd)
        if stat.S_ISREG(found.st_mode):
            file = io.FileIO(fd)
            return Opened(file, found.st_size, found.st_mtime_ns, identity_of(found), name)
        _close(fd)
        if stat.S_ISDIR(found.st_mode):
            raise IsFolder(name)
        raise NotServed(f"{name!r} is no regular file")


def names_of(path: str) -> list[str]:
    """The components of a decoded path without dot segments. Raises `NotServed` for hidden ones."""
    names = [name for name in path.split("/") if name]
    for name in names:
        if name[0] == "." and name != SHOWN:
            raise NotServed(f"{name!r} is hidden")
    return names


def walk(root: str, names: list[str]) -> Folder:
    """The folder that the names lead to. Raises `NotServed`."""
    try:
        fd = os.open(root, _ROOT)
    except OSError as error:
        raise NotServed(_reason(root, error)) from None
    for name in names:
        try:
            inner = os.open(name, _WALK, dir_fd=fd)
        except OSError as error:
            raise NotServed(_reason(name, error)) from None
        finally:
            _close(fd)
        fd = inner
    return Folder(fd)


# Private


def _reason(name: str, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return f"{name!r} is a symbolic link: those are not followed"
    return f"{name!r}: {error.strerror}"
