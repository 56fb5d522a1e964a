"""TCP connections as the kernel lists them: who holds them, and what waits in them."""

import contextlib
import os
import socket
from pathlib import Path

from tests.support.ports import split_address

ESTABLISHED = "01"


def client_ports_of(pid: int, address: str) -> set[int]:
    """The far ports of the connections that a process has accepted on an IPv4 address."""
    port = split_address(address)[1]
    held = _inodes(pid)
    ports = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *rest = line.split()
        if state == ESTABLISHED and int(local.partition(":")[2], 16) == port and rest[5] in held:
            ports.add(int(remote.partition(":")[2], 16))
    return ports


def is_read_by_the_other(accepted: socket.socket) -> bool:
    """Whether the program at the other end of an IPv4 connection has read all that was sent."""
    here, there = accepted.getsockname()[1], accepted.getpeername()[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if int(local.partition(":")[2], 16) == there and int(remote.partition(":")[2], 16) == here:
            return int(queues.partition(":")[2], 16) == 0
    return True


# Private


def _inodes(pid: int) -> set[str]:
    found = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(entry.path)
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found
