"""Files that survive a crash: whole, or as they were before.

A file is written beside its place, brought to the disk, and renamed into it. A folder of several
files is made beside its place and renamed as a whole, so nobody ever sees one of a pair.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

SECRET: Final = 0o600
"""The mode of every file that is written here."""

PRIVATE: Final = 0o700
PASSABLE: Final = 0o711
"""Others pass through to what is theirs, and list nothing."""

_UNFINISHED: Final = ".new-"


class Owner(NamedTuple):
    """Whose something shall be; -1 leaves it ours."""

    uid: int = -1
    gid: int = -1


def make_folder(path: str, mode: int = PRIVATE) -> None:
    """Have a folder of that mode. Raises `OSError`."""
    with contextlib.suppress(FileExistsError):
        os.makedirs(path, PRIVATE)
    if os.stat(path).st_mode & 0o777 != mode:  # the mask may have taken bits away
        os.chmod(path, mode)


def write(path: str, content: bytes) -> None:
    """Write a file in the place of the one that may be there. Raises `OSError`."""
    fresh = _beside(path)
    try:
        _write_new(fresh, content)
        os.rename(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise
    _sync(os.path.dirname(path))


def write_folder(path: str, files: Mapping[str, bytes], owner: Owner | None = None) -> None:
    """Make a folder that is not there, with those files, all of it at once. The files become the
    owner's; the folder stays ours, so nobody puts a link in a file's place. Raises `OSError`."""
    with folder_beside(path) as fresh:
        for name, content in files.items():
            _write_new(os.path.join(fresh, name), content, owner)
        if owner is not None and owner != Owner():
            os.chmod(fresh, PASSABLE)


@contextlib.contextmanager
def folder_beside(path: str) -> Iterator[str]:
    """A new folder to fill and to bring to the disk: put in its place at the end, or removed.

    Raises `OSError`.
    """
    fresh = _beside(path)
    try:
        os.mkdir(fresh, PRIVATE)
        yield fresh
        _sync(fresh)
        os.rename(fresh, path)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    _sync(os.path.dirname(path))


def is_unfinished(name: str) -> bool:
    """Whether a crash has left that beside its place."""
    return name.startswith(_UNFINISHED)


# Private


def _beside(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{_UNFINISHED}{name}-{secrets.token_hex(4)}")


def _write_new(path: str, content: bytes, owner: Owner | None = None) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, SECRET)
    with open(fd, "wb") as file:
        file.write(content)
        file.flush()
        if owner is not None:
            os.fchown(fd, *owner)
        os.fsync(fd)


def _sync(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
