"""The folders of an app: its releases, its data, its log.

An app's user may read the release and change nothing in it; what it writes goes into the data
folder, which outlives releases. Nobody else's app enters either.
"""

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from shutil import rmtree
from typing import Final

import gevent

from control import durable
from control.durable import Owner
from control.instances.isolation import make_data, make_passable, make_release

log = logging.getLogger("control.apps")

BUILT: Final = "built"


@dataclass(frozen=True, slots=True)
class Home:
    """One app's."""

    folder: str
    owner: Owner | None

    @property
    def data(self) -> str:
        """What the app keeps."""
        return os.path.join(self.folder, "data")

    @property
    def log(self) -> str:
        """Its output."""
        return os.path.join(self.folder, "log")

    @property
    def releases(self) -> str:
        """All releases, each in a folder of its number."""
        return os.path.join(self.folder, "releases")

    def release(self, number: int) -> str:
        """One release."""
        return os.path.join(self.releases, str(number))

    def make(self) -> None:
        """Have them. Raises `OSError`."""
        for path in (os.path.dirname(self.folder), self.folder, self.releases):
            make_passable(path)
        make_data(self.data, self.owner)
        make_data(self.log, None)

    def has_built(self, packages: str) -> bool:
        """Whether `note_built` has said so."""
        try:
            with open(os.path.join(self.folder, BUILT), encoding="ascii") as file:
                return file.read() == packages
        except OSError:
            return False

    def note_built(self, packages: str) -> None:
        """That an app in place has these packages. Raises `OSError`."""
        with open(os.path.join(self.folder, BUILT), "w", encoding="ascii") as file:
            file.write(packages)

    def link(self, number: int, folder: str) -> None:
        """A release that is another folder, which stays as it is. Raises `OSError`."""
        os.symlink(folder, self.release(number))

    def is_link(self, number: int) -> bool:
        """Whether it is one of these."""
        return os.path.islink(self.release(number))

    def write(self, number: int, name: str, text: str) -> None:
        """A file of edged's own in a release that nobody runs yet. Raises `OSError`."""
        path = os.path.join(self.release(number), name)
        folder = os.path.dirname(path)
        # What was unpacked may be a link: nothing is written where it leads.
        for each in (folder, path):
            if os.path.islink(each) or os.path.isfile(each):
                os.unlink(each)
        os.makedirs(folder, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)

    def hand_over(self, number: int) -> None:
        """Let the app's user build in a release that was unpacked. Raises `OSError`."""
        if self.is_link(number):
            return
        _give(self.release(number), self.owner or Owner())
        os.chmod(self.release(number), 0o700)

    def seal(self, number: int) -> None:
        """What was built is ours from now on: the app reads it. Raises `OSError`."""
        if self.is_link(number):
            return
        if self.owner is not None:
            _give(self.release(number), Owner(os.geteuid(), self.owner.gid))
            _change_modes(self.release(number), _apps_own)
        make_release(self.release(number), self.owner)

    def open_files(self, number: int, folder: str) -> None:
        """Let workers, and so everybody, read the files that are served. Raises `OSError`."""
        if self.is_link(number):
            return
        top = self.release(number)
        place = os.path.normpath(os.path.join(top, folder))
        while place.startswith(top) and place != top:
            os.chmod(place, os.stat(place).st_mode | 0o011)
            place = os.path.dirname(place)
        os.chmod(top, os.stat(top).st_mode | 0o011)
        _change_modes(os.path.join(top, folder), _public)

    def drop(self, number: int) -> None:
        """Remove a release. Others run meanwhile."""
        _remove(self.release(number))

    def tidy(self, known: set[int]) -> None:
        """Remove what a crash has left of releases that nobody knows."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self.releases):
                if durable.is_unfinished(name) or (name.isdigit() and int(name) not in known):
                    _remove(os.path.join(self.releases, name))

    def remove(self) -> None:
        """All of it, and the folder above when no other environment is in there. Others run
        meanwhile."""
        _remove(self.folder)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(self.folder))


# Private


def _remove(folder: str) -> None:
    if os.path.islink(folder):
        os.unlink(folder)
        return
    # In a thread: a folder of a hundred thousand files takes seconds.
    gevent.get_hub().threadpool.apply(rmtree, (folder,), {"ignore_errors": True})
    if os.path.lexists(folder):
        log.error("%s cannot be removed: remove it by hand", folder)


def _give(folder: str, owner: Owner) -> None:
    if owner == Owner():
        return
    for name, parent in _within(folder):
        os.chown(name, owner.uid, owner.gid, dir_fd=parent, follow_symlinks=False)


def _change_modes(folder: str, change: Callable[[int], int]) -> None:
    """By descriptors that are no link's: an app that serves may still be at work in there."""
    for name, parent in _within(folder):
        try:
            fd = os.open(name, _LOOK, dir_fd=parent)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
                continue
            raise
        try:
            os.fchmod(fd, stat.S_IMODE(change(os.fstat(fd).st_mode)))
        finally:
            os.close(fd)


_LOOK: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def _within(folder: str) -> Iterator[tuple[str, int]]:
    """All names in a folder, each with a descriptor of where it is; itself first."""
    for path, folders, files, fd in os.fwalk(folder):
        if path == folder:
            yield ".", fd
        for name in (*folders, *files):
            yield name, fd


def _apps_own(mode: int) -> int:
    """The group, which is the app's, reads and executes what the user could; others nothing."""
    return (mode & 0o700) | (mode >> 3 & 0o050)


def _public(mode: int) -> int:
    return mode | (0o055 if stat.S_ISDIR(mode) else 0o044)
