"""An app's folder as one file: a `.tar.gz` that is the same for the same files.

Sorted, with times but without owners; a file is executable or it is not, as in git. What would
not be what it is on another machine is refused with its name: a link out of the folder, a name
that is not UTF-8.
"""

import contextlib
import errno
import gzip
import os
import stat
import tarfile
import tempfile
from collections.abc import Callable
from typing import IO, Final, cast

from control.apps.links import leads_out
from control.apps.selection import select
from control.refusal import Refused
from control.text import is_text

LEVEL: Final = 6
PLAIN: Final = 0o644
EXECUTABLE: Final = 0o755

Progress = Callable[[int], None]
"""Is told how many more bytes of the folder were read."""


def pack(folder: str, progress: Progress = lambda _: None) -> IO[bytes]:
    """The archive of a folder, as an unnamed file at its beginning. Raises `Refused`."""
    try:
        with contextlib.ExitStack() as opened:
            file: IO[bytes] = opened.enter_context(tempfile.TemporaryFile())
            write_archive(folder, file, progress)
            file.seek(0)
            opened.pop_all()  # it is whole: the caller closes it
    except OSError as error:
        code = "disk-full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "pack-failed"
        where = tempfile.gettempdir()
        raise Refused(code, f"The archive cannot be written in {where}: {error}.") from None
    return file


def write_archive(folder: str, into: IO[bytes], progress: Progress = lambda _: None) -> None:
    """Write the archive of a folder. Raises `Refused`, and `OSError` of `into`."""
    names = select(folder)
    if not names:
        raise Refused("nothing-to-pack", f"{folder} has no files, or all of them are ignored.")
    # Without a name and a time in its head the same files make the same bytes.
    with (
        gzip.GzipFile("", "wb", LEVEL, into, mtime=0) as zipped,
        tarfile.open(
            fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8"
        ) as archive,
    ):
        for name in names:
            _add(archive, folder, name, progress)
            archive.getmembers().clear()  # what it keeps of all, for questions that nobody asks


# Private


class _Content:
    """A file as it is read into the archive."""

    def __init__(self, file: IO[bytes], name: str, progress: Progress) -> None:
        self._file = file
        self._name = name
        self._progress = progress

    def read(self, size: int) -> bytes:
        try:
            content = self._file.read(size)
        except OSError as error:
            raise _unreadable(self._name, error) from None
        if len(content) < size:
            raise Refused("folder-changed", f"{self._name} was cut while it was read: try again.")
        self._progress(size)
        return content


def _add(archive: tarfile.TarFile, folder: str, name: str, progress: Progress) -> None:
    if not is_text(name):
        shown = os.fsencode(name).decode(errors="backslashreplace")
        raise Refused("bad-name", f"The name of {shown} is not UTF-8: rename it.")
    member = tarfile.TarInfo(name)
    path = os.path.join(folder, name)
    try:
        if os.path.islink(path):
            _add_link(archive, member, folder)
            return
        # Neither a link nor a pipe that has just taken the file's place is waited for.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(fd)
    except OSError as error:
        raise _unreadable(name, error) from None
    with open(fd, "rb") as file:
        if not stat.S_ISREG(status.st_mode):
            raise Refused("folder-changed", f"{name} is no file any more: try again.")
        member.size = status.st_size
        member.mtime = int(status.st_mtime)
        member.mode = EXECUTABLE if status.st_mode & stat.S_IXUSR else PLAIN
        archive.addfile(member, cast(IO[bytes], _Content(file, name, progress)))


def _add_link(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: str) -> None:
    path = os.path.join(folder, member.name)
    member.type = tarfile.SYMTYPE
    member.linkname = os.readlink(path)
    member.mode = 0o777
    member.mtime = int(os.lstat(path).st_mtime)
    if leads_out(folder, member.name) or not is_text(member.linkname):
        shown = os.fsencode(member.linkname).decode(errors="backslashreplace")
        raise Refused(
            "link-leads-out",
            f"{member.name} is a link that leads out of the folder, to {shown}:"
            " put a copy in its place, or ignore it.",
        )
    archive.addfile(member)


def _unreadable(name: str, error: OSError) -> Refused:
    return Refused("unreadable", f"{name} cannot be read: {error.strerror or error}.")
