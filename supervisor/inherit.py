"""Exactly what a child gets: the descriptors, the title and the identity, as one value.

Everything else that the master has open is closed in the child, and then looked for: a socket
that leaks into a child would hold a port, a lock or a client for as long as that child lives.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from supervisor.identity import Identity

STANDARD: Final = (0, 1, 2)

FORGOTTEN: Final = (
    "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS",
    "LISTEN_FDNAMES", "EDGED_INHERIT", "EDGED_REHEARSE",
)  # fmt: skip
"""Variables that speak to the master alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inheritance:
    """What one child gets at the fork."""

    title: str
    fds: tuple[int, ...]  # beside stdin, stdout and stderr
    identity: Identity | None = None  # None: it stays who the master is


def close_others(kept: Iterable[int]) -> None:
    """Close every descriptor that is not among `kept` or a standard one, then check."""
    keep = {*STANDARD, *kept}
    for fd in open_fds() - keep:
        os.close(fd)
    if extra := open_fds() - keep:
        raise AssertionError(f"descriptors {sorted(extra)} are open and not inherited")
    if missing := keep - open_fds() - set(STANDARD):
        raise AssertionError(f"descriptors {sorted(missing)} are inherited and not open")


def open_fds() -> set[int]:
    """The descriptors of this process."""
    # The list names the descriptor that it was read with, which is closed by now.
    return {fd for fd in map(int, os.listdir("/proc/self/fd")) if _is_open(fd)}


def forget_environment() -> None:
    """Remove from the environment what only the master may see."""
    for name in FORGOTTEN:
        os.environ.pop(name, None)


# Private


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
