"""What /proc says of processes: who they are, whose they are, what they listen on."""

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

MARK: Final = "EDGED_INSTANCE"
"""The variable by which the processes of an instance are known, wherever they forked to. It holds
the place of its pipes, which no instance of another edged has."""

_VARIABLE: Final = f"\0{MARK}=".encode()
_LISTENING: Final = "0A"


class Listener(NamedTuple):
    """A TCP socket that listens."""

    address: str
    port: int
    uid: int


class Stat(NamedTuple):
    """One process. Its pid and the time of its start are it: a pid alone is used again."""

    pid: int
    state: str
    parent: int
    session: int
    start_ticks: int

    @property
    def is_alive(self) -> bool:
        """Whether it is more than an exit code that nobody has read."""
        return self.state not in "ZX"


def stat_of(pid: int) -> Stat | None:
    """The process of that pid; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            # The program's name comes second, and may hold anything, spaces and brackets too.
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return Stat(pid, fields[0], int(fields[1]), int(fields[3]), int(fields[19]))


def stats() -> Iterator[Stat]:
    """All live processes."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = stat_of(int(name))
            if stat is not None and stat.is_alive:
                yield stat


def uid_of(pid: int) -> int:
    """Whose process it is; -1 when there is none."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


def is_marked(pid: int, mark: str) -> bool:
    """Whether it has inherited that mark, as far as we may look."""
    return mark_of(pid) == mark


def mark_of(pid: int) -> str:
    """The mark that it has inherited; "" for none, or where we may not look."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            _, _, text = (b"\0" + file.read()).partition(_VARIABLE)
    except OSError:
        return ""
    return text.partition(b"\0")[0].decode(errors="replace")


def listeners() -> Iterator[tuple[int, Listener]]:
    """Every TCP socket that listens, with its inode. Who has found the one needs no others."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/net/{table}", encoding="ascii") as file:
            file.readline()
            for line in file:
                fields = line.split()
                if fields[3] != _LISTENING:
                    break  # listeners come first, and there may be 100,000 connections
                address, _, port = fields[1].partition(":")
                yield int(fields[9]), Listener(_address(address), int(port, 16), int(fields[7]))


def sockets_of(pids: Iterable[int]) -> tuple[set[int], bool]:
    """The inodes of the sockets of these processes, and whether we could look at all of them."""
    found, complete = set(), True
    for pid in pids:
        try:
            found |= _sockets_of(pid)
        except PermissionError:  # also when the folder may be read, and what is in it not
            complete = False
        except OSError:
            continue
    return found, complete


# Private


def _sockets_of(pid: int) -> set[int]:
    found = set()
    with os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                target = os.readlink(entry.path)
                if target.startswith("socket:["):
                    found.add(int(target[8:-1]))
    return found


def _address(text: str) -> str:
    words = [int(text[at : at + 8], 16).to_bytes(4, "little") for at in range(0, len(text), 8)]
    packed = b"".join(words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
