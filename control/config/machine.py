"""What a configuration depends on besides its own text: the machine and the user."""

import grp
import os
import pwd
import socket
from dataclasses import dataclass
from typing import Protocol


class Machine(Protocol):
    """The questions that checking and resolving ask."""

    @property
    def cores(self) -> int:
        """How many cores this process may use."""

    @property
    def user(self) -> str:
        """The user that edged was started as; "root" for uid 0."""

    @property
    def may_bind_80(self) -> bool:
        """Whether port 80 is open to this process."""

    @property
    def has_ipv6(self) -> bool:
        """Whether sockets of IPv6 can be made."""

    def has_user(self, name: str) -> bool:
        """Whether there is such a user."""

    def has_group(self, name: str) -> bool:
        """Whether there is such a group."""

    def in_group(self, name: str) -> bool:
        """Whether this process is in that group."""

    def is_file(self, path: str) -> bool:
        """Whether there is such a file."""

    def is_folder(self, path: str) -> bool:
        """Whether there is such a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThisMachine:
    """The machine that this process runs on."""

    cores: int
    user: str
    may_bind_80: bool
    has_ipv6: bool

    @classmethod
    def look(cls) -> "ThisMachine":
        """Ask the system once."""
        is_root = os.geteuid() == 0
        return cls(
            cores=len(os.sched_getaffinity(0)),
            user="root" if is_root else _user_name(),
            may_bind_80=is_root or _lowest_free_port() <= 80,
            has_ipv6=_has_ipv6(),
        )

    def has_user(self, name: str) -> bool:
        """Whether there is such a user."""
        try:
            pwd.getpwnam(name)
        except KeyError:
            return False
        return True

    def has_group(self, name: str) -> bool:
        """Whether there is such a group."""
        return _group_id(name) is not None

    def in_group(self, name: str) -> bool:
        """Whether this process is in that group."""
        return _group_id(name) in {os.getegid(), *os.getgroups()}

    def is_file(self, path: str) -> bool:
        """Whether there is such a file."""
        return os.path.isfile(path)

    def is_folder(self, path: str) -> bool:
        """Whether there is such a folder."""
        return os.path.isdir(path)


# Private


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())  # a user without a name, as in some containers


def _group_id(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _lowest_free_port() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 1024


def _has_ipv6() -> bool:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True
