"""An archive that was sent becomes a folder: whole, or not at all.

Rule 1: nothing is written outside of the folder, and nothing through a link. The checks are here
        and not the standard library's filters (PEP 706): Debian 12's Python has none, and versions
        of them could be led out by links and by long paths.
Rule 2: what the folder has is asked of the folder. Nothing is remembered of a member, so memory
        does not grow with the archive.
Rule 3: it is made beside its place, brought to the disk, and renamed when it is whole.

Everything here blocks: it is for a thread.
"""

import contextlib
import ctypes
import errno
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, NoReturn

from control import durable
from control.apps.links import leads_out
from control.apps.tarstream import Source, TarStream, shown
from control.refusal import Refused
from control.text import is_text

FOLDER_MODE: Final = 0o755
NAME_BYTES: Final = 1024
DEPTH: Final = 100

_KINDS: Final = {
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}
_LAST_TIME: Final = 1 << 33
"""Later ones no file system has to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much an archive may become."""

    files: int = 100_000  # folders and links count too
    unpacked_bytes: int = 2 << 30


class Unpacked(NamedTuple):
    """What it became."""

    files: int
    unpacked_bytes: int


def unpack(source: Source, folder: str, limits: Limits | None = None) -> Unpacked:
    """Make `folder`, which is not there, of a `.tar.gz`. Raises `Refused`, and leaves nothing."""
    if os.path.lexists(folder):
        raise Refused("busy", f"{folder} is there already.")
    try:
        with durable.folder_beside(folder) as fresh:
            growing = _Growing(fresh, limits or Limits())
            stream = TarStream(source)
            for member in stream.members():
                growing.add(member, stream.take(member))
            growing.finish()
    except OSError as error:
        raise _unwritable(folder, error) from None
    return Unpacked(growing.files, growing.unpacked_bytes)


# Private


class _Growing:
    """The folder that members are added to. Nobody else writes in it."""

    def __init__(self, root: str, limits: Limits) -> None:
        self.files = 0
        self.unpacked_bytes = 0
        self._root = root
        self._limits = limits
        self._above = ""  # a folder of which it is known that it is there
        self._has_links = False

    def add(self, member: tarfile.TarInfo, content: Iterable[bytes]) -> None:
        """Add a member, or say why not."""
        name = _vetted_name(member)
        _vet_kind(member)
        _vet_target(member, name)
        if not name:
            return  # the folder itself
        try:
            self._have_folder(name if member.isdir() else os.path.dirname(name), member)
            if member.isdir():
                return
            self._count(member, member.size if member.isreg() else 0)
            if member.issym():
                self._add_link(member, name)
            elif member.islnk():
                self._add_name(member, name)
            else:
                self._add_file(member, name, content)
        except FileExistsError:
            _refuse(member, "archive-malformed", "is there twice")
        except OSError as error:
            raise _unwritable(shown(member.name), error) from None

    def finish(self) -> None:
        """Look at the links once more, now that all is there that they may lead through."""
        if self._has_links:
            for name in _links_in(self._root):
                if leads_out(self._root, name):
                    raise Refused(
                        "archive-unsafe",
                        f"The archive is refused: {shown(name)} is a link that leads out of it.",
                    )
        _bring_to_disk(self._root)

    # Private

    def _have_folder(self, name: str, member: tarfile.TarInfo) -> None:
        """Make a folder and those above it; what is no folder is not gone through."""
        if name == self._above:
            return
        path = self._root
        for part in name.split("/") if name else ():
            path = os.path.join(path, part)
            try:
                os.mkdir(path, FOLDER_MODE)
            except FileExistsError:
                if not stat.S_ISDIR(os.lstat(path).st_mode):
                    above = shown(os.path.relpath(path, self._root))
                    _refuse(member, "archive-unsafe", f"lies beneath {above}, which is no folder")
            else:
                os.chmod(path, FOLDER_MODE)  # the mask may have taken bits away
                self._count(member)
        self._above = name

    def _count(self, member: tarfile.TarInfo, size: int = 0) -> None:
        self.files += 1
        if self.files > self._limits.files:
            most = f"{self._limits.files:,} files"
            _refuse(member, "archive-too-large", f"is one more than the {most} that there may be")
        self.unpacked_bytes += size
        if self.unpacked_bytes > self._limits.unpacked_bytes:
            most = f"{self._limits.unpacked_bytes:,} bytes"
            _refuse(member, "archive-too-large", f"makes it more than {most} unpacked")

    def _add_file(self, member: tarfile.TarInfo, name: str, content: Iterable[bytes]) -> None:
        path = os.path.join(self._root, name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(path, flags, durable.SECRET), "wb", buffering=0) as file:
            for piece in content:
                _write_whole(file.fileno(), piece)
            os.fchmod(file.fileno(), _mode_of(member))
            os.utime(file.fileno(), (_time_of(member), _time_of(member)))

    def _add_link(self, member: tarfile.TarInfo, name: str) -> None:
        os.symlink(member.linkname, os.path.join(self._root, name))
        self._has_links = True
        if leads_out(self._root, name):
            _refuse(member, "archive-unsafe", f"is a link that leads out, to {_target(member)}")

    def _add_name(self, member: tarfile.TarInfo, name: str) -> None:
        """A further name of a file that came before."""
        target = os.path.normpath(member.linkname)
        path = self._root
        mode = stat.S_IFDIR
        with contextlib.suppress(OSError):
            for part in target.split("/"):
                path = os.path.join(path, part)
                if part == ".." or not stat.S_ISDIR(mode):
                    mode = 0
                    break
                mode = os.lstat(path).st_mode
        if not stat.S_ISREG(mode):
            what = f"is a hard link to {_target(member)}, which is no file that came before it"
            _refuse(member, "archive-unsafe", what)
        os.link(path, os.path.join(self._root, name), follow_symlinks=False)


def _vetted_name(member: tarfile.TarInfo) -> str:
    """The name without what says nothing; "" is the folder itself."""
    for text in (member.name, member.linkname):
        if not is_text(text):
            _refuse(member, "archive-unsafe", "has a name that is not UTF-8")
        if "\0" in text or len(text.encode()) > NAME_BYTES:
            _refuse(
                member, "archive-unsafe", f"has a name of more than {NAME_BYTES} bytes, or a NUL"
            )
    if member.name.startswith("/"):
        _refuse(member, "archive-unsafe", "has an absolute name")
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if ".." in parts:
        _refuse(member, "archive-unsafe", "leads out of the folder by ..")
    if len(parts) > DEPTH:
        _refuse(member, "archive-unsafe", f"lies beneath more than {DEPTH} folders")
    if not parts and not member.isdir():
        _refuse(member, "archive-malformed", "has no name")
    return "/".join(parts)


def _vet_kind(member: tarfile.TarInfo) -> None:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        what = _KINDS.get(member.type, "neither a file nor a folder nor a link")
        _refuse(member, "archive-unsafe", f"is {what}")
    if member.mode & (stat.S_ISUID | stat.S_ISGID) and not member.issym():
        _refuse(member, "archive-unsafe", "would run as its owner: it has a setuid or setgid bit")


def _vet_target(member: tarfile.TarInfo, name: str) -> None:
    """What a link itself says. Where it leads by way of others is asked of the folder."""
    if not (member.issym() or member.islnk()):
        return
    if member.linkname.startswith("/"):
        _refuse(member, "archive-unsafe", f"is a link to an absolute name, {_target(member)}")
    start = os.path.dirname(name) if member.issym() else ""
    if os.path.normpath(os.path.join(start, member.linkname)).split("/")[0] == "..":
        _refuse(member, "archive-unsafe", f"leads out of the folder, to {_target(member)}")


def _target(member: tarfile.TarInfo) -> str:
    return shown(member.linkname)


def _mode_of(member: tarfile.TarInfo) -> int:
    """Its owner reads and writes it; others write nothing, and run only what the owner runs."""
    mode = member.mode & 0o755
    return (mode if mode & 0o100 else mode & ~0o111) | durable.SECRET


def _time_of(member: tarfile.TarInfo) -> float:
    return member.mtime if 0 <= member.mtime < _LAST_TIME else 0.0


def _write_whole(fd: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(fd, left) :]


def _links_in(root: str) -> Iterator[str]:
    for above, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(above, name)
            if os.path.islink(path):
                yield os.path.relpath(path, root)


def _bring_to_disk(root: str) -> None:
    """All of its file system at once: measured, 30 times as fast as file by file."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(fd)


def _refuse(member: tarfile.TarInfo, code: str, what: str) -> NoReturn:
    raise Refused(code, f"The archive is refused: {shown(member.name)} {what}.")


def _unwritable(where: str, error: OSError) -> Refused:
    code = "disk-full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "archive-unwritable"
    return Refused(code, f"{where} cannot be written: {error.strerror or error}.")
