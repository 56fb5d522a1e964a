"""The pipes between an instance and us, as files with names (FIFOs) in a folder of edged's.

An instance opens its ends for reading and writing, so it has a reader whatever becomes of us: it is
never sent SIGPIPE, and what it writes stays in the pipe until the next control opens it by its
name. When the pipe is full it waits. Its death while there is no control is the one case in which
what nobody has read is gone.
"""

import contextlib
import fcntl
import functools
import os
from typing import Final

from control.durable import Owner

OUT: Final = "out"
ERR: Final = "err"
READY: Final = "ready"
KINDS: Final = (OUT, ERR, READY)

MODE: Final = 0o600
ROOM_BYTES: Final = 1 << 20
"""What an instance can write while nobody reads, where we may have as much as we like."""

SHARED_ROOM_BYTES: Final = 1 << 18
"""The same where all pipes of our user share 64 MiB (pipe-user-pages-soft): past that, each new
one, of any program, has 8 KiB."""

_CAP_SYS_RESOURCE: Final = 1 << 24


def make(folder: str, name: str, owner: Owner | None) -> None:
    """The pipes of a new instance, in the place of old ones. Raises `OSError`."""
    remove(folder, name)
    for kind in KINDS:
        path = path_of(folder, name, kind)
        os.mkfifo(path, MODE)
        if owner is not None:
            os.chown(path, *owner)  # so that it can open /dev/stdout


def open_theirs(folder: str, name: str, kind: str) -> int:
    """The end that the instance gets. Raises `OSError`."""
    # What is said on the descriptor for readiness is not taken out: too much of it is refused.
    waits = 0 if kind != READY else os.O_NONBLOCK
    return os.open(path_of(folder, name, kind), os.O_RDWR | os.O_CLOEXEC | waits)


def open_ours(folder: str, name: str, kind: str) -> int:
    """The end that we read. Raises `OSError`."""
    # Opened for writing as well, it never tells of an end, which would have to be watched for.
    fd = os.open(path_of(folder, name, kind), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    with contextlib.suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _room_bytes())
    return fd


def remove(folder: str, name: str) -> None:
    """Remove them; what they hold is gone with the last who has them open."""
    for kind in KINDS:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path_of(folder, name, kind))


def names(folder: str) -> set[str]:
    """Of all that have pipes there."""
    try:
        found = os.listdir(folder)
    except FileNotFoundError:
        return set()
    return {name.rpartition(".")[0] for name in found if name.rpartition(".")[2] in KINDS}


def mark_of(folder: str, name: str) -> str:
    """What no other instance on this machine has: the place of its pipes."""
    return os.path.join(os.path.realpath(folder), name)


def path_of(folder: str, name: str, kind: str) -> str:
    """Where one of them is."""
    return os.path.join(folder, f"{name}.{kind}")


# Private


@functools.cache
def _room_bytes() -> int:
    with open("/proc/self/status", encoding="utf-8") as file:
        rights = dict(line.split(":", 1) for line in file)["CapEff"]
    return ROOM_BYTES if int(rights, 16) & _CAP_SYS_RESOURCE else SHARED_ROOM_BYTES
