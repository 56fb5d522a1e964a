"""What keeps apps from each other and from edged: limits, users, folders, and what is missing."""

import os
import resource
import stat
from typing import Final

from control.durable import Owner
from control.instances.cgroup import Cgroups, Limits

OWN_DATA: Final = 0o700
READ_ONLY: Final = 0o750
PASSABLE: Final = 0o711

OOM_ABOVE: Final = 300
"""How much sooner than edged an app is killed when the machine has no memory left."""

FILES: Final = 65536
SPARE_BYTES: Final = 256 << 20
"""What a process may have beyond its memory limit where no cgroup counts what it really uses."""


def rlimits(limits: Limits, cgroups: Cgroups, owner: Owner | None) -> tuple[tuple[int, int], ...]:
    """Limits of each process, for what no cgroup limits.

    Memory is limited by what a process may write to (RLIMIT_DATA), not by its addresses
    (RLIMIT_AS): Node, Go, Java and Bun reserve many GiB of those and never use them. Even so the
    stacks of threads count in full, hence some to spare. Processes are counted per user
    (RLIMIT_NPROC), so they are limited only where an app has a user of its own. Nothing limits the
    part of a core that a process takes; RLIMIT_CPU would end it after a time.
    """
    chosen = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, FILES)]
    if limits.memory_bytes and "memory" not in cgroups.controllers:
        most = limits.memory_bytes + limits.reserved_bytes + SPARE_BYTES
        chosen.append((resource.RLIMIT_DATA, most))
    if limits.pids and "pids" not in cgroups.controllers and owner is not None:
        chosen.append((resource.RLIMIT_NPROC, limits.pids))
    return tuple(chosen)


def oom_score() -> int:
    """The score of apps: they go before edged does."""
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        return min(1000, int(file.read()) + OOM_ABOVE)


def missing(cgroups: Cgroups) -> tuple[str, ...]:
    """What this machine or this user does not let us have, as sentences for an operator."""
    found = []
    has_users = os.geteuid() == 0
    if not has_users:
        found.append(
            "Apps run as the user that edged runs as: they can read its files and each other's."
            " Start edged as root to give each a user of its own."
        )
    if not cgroups.root:
        found.append(
            "There is no cgroup (v2) that edged may use: what an app has forked away is found only"
            " by its session and environment. As a service, edged needs `Delegate=yes`."
        )
    if "memory" not in cgroups.controllers:
        found.append(
            "No cgroup limits memory: an app's limit holds for each of its processes, counts what"
            " it has reserved, and leaves it 256 MiB more."
        )
    if "cpu" not in cgroups.controllers:
        found.append("No cgroup limits cpu: an app can take as much as there is.")
    if "pids" not in cgroups.controllers:
        found.append(
            "No cgroup limits pids: the limit is counted per app, not per instance."
            if has_users
            else "No cgroup limits pids: an app can start as many processes as edged's user may."
        )
    return tuple(found)


def make_passable(path: str) -> None:
    """A folder of edged's in which each app reaches what is its own, and lists nothing."""
    _make(path, PASSABLE, None)


def make_release(path: str, owner: Owner | None) -> None:
    """A folder that the app's user may read and not change, and other apps may not even read."""
    # The group is the app's, the user is us.
    _make(path, READ_ONLY, None if owner is None else Owner(-1, owner.gid))


def make_data(path: str, owner: Owner | None) -> None:
    """A folder that is the app's own."""
    _make(path, OWN_DATA, owner)


def exposed(folder: str) -> tuple[str, ...]:
    """The files right in a folder that any user of this machine may read."""
    return tuple(
        sorted(
            entry.path
            for entry in os.scandir(folder)
            if entry.is_file(follow_symlinks=False)
            and stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode) & stat.S_IROTH
        )
    )


# Private


def _make(path: str, mode: int, owner: Owner | None) -> None:
    os.makedirs(path, OWN_DATA, exist_ok=True)
    # By a descriptor that is no link's: nobody else can have the folder changed under us.
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if owner is not None:
            os.fchown(fd, *owner)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)
