"""Cgroups (v2): what holds an instance's processes together, limits them, and ends them at once.

An instance has one of its own, beneath a folder that is edged's: the one that systemd has delegated
to the service, or, for root, one at the top. In a delegated one edged's own processes go into a
leaf, since a cgroup that gives controllers to others may hold no processes.
"""

import contextlib
import errno
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import gevent

from control.config.units import show_size

CONTROLLERS: Final = ("cpu", "memory", "pids")
LEAF: Final = "edge"
PERIOD_US: Final = 100_000
REMOVE_S: Final = 2.0
_PAUSE_S: Final = 0.005
_TRIES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one instance may use; 0 is no limit."""

    memory_bytes: int = 0
    reserved_bytes: int = 0  # what its runtime reserves besides, and hardly uses
    cpu_cores: float = 0.0
    pids: int = 0


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One instance's."""

    path: str

    def open(self) -> int:
        """A descriptor, for a process to be born into it."""
        return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def pids(self) -> list[int]:
        """The processes in it."""
        return [int(pid) for pid in _read(self.path, "cgroup.procs").split()]

    def is_empty(self) -> bool:
        """Whether no live process is in it."""
        return "populated 1" not in _read(self.path, "cgroup.events")

    def kill(self) -> bool:
        """Kill all that is in it, whatever it forks meanwhile; False when that cannot be done."""
        return _write(self.path, "cgroup.kill", "1")

    def shortage(self) -> str:
        """Why the kernel has killed it for its memory, as the end of a sentence; "" if it has not.

        `oom_kill` counts whatever was short, `oom` only its own limit.
        """
        lines = _read(self.path, "memory.events").splitlines()
        counts = {name: int(count) for name, count in (line.split() for line in lines)}
        if not counts.get("oom_kill"):
            return ""
        limit = _read(self.path, "memory.max").strip()
        if not counts.get("oom") or not limit.isdigit():
            return " since the machine, or edged's own part of it, had no memory left"
        return f" since it used more memory than its limit of {show_size(int(limit))}"

    def remove(self) -> bool:
        """Remove it as soon as nothing is in it any more."""
        deadline = time.monotonic() + REMOVE_S
        while True:
            try:
                os.rmdir(self.path)
            except FileNotFoundError:
                return True
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() >= deadline:
                    return False
                gevent.sleep(_PAUSE_S)
            else:
                return True


class Cgroups:
    """The folder that is edged's, and what may be limited in it."""

    def __init__(self, root: str, controllers: frozenset[str]) -> None:
        self.root = root  # "" when there are no cgroups
        self.controllers = controllers

    def __repr__(self) -> str:
        return f"<Cgroups {self.root or 'none'} {' '.join(sorted(self.controllers))}>"

    @classmethod
    def find(cls, label: str) -> "Cgroups":
        """Those of this machine. `label` tells this edged from others that are root's."""
        mount, own = _mount(), _own()
        if mount and own:
            with contextlib.suppress(OSError):
                if base := _delegated(mount + own):
                    return cls(base, _make_room(base))
                if os.geteuid() == 0:
                    base = os.path.join(mount, f"edged-{label}")
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(base, 0o755)
                    _give_controllers(mount)
                    return cls(base, _give_controllers(base))
        return cls("", frozenset())

    def make(self, name: str, limits: Limits) -> Cgroup | None:
        """One for an instance, with its limits; None where there are none. Raises `OSError`."""
        if not self.root:
            return None
        made = Cgroup(os.path.join(self.root, name))
        with contextlib.suppress(FileExistsError):
            os.mkdir(made.path, 0o755)
        for file, value in self._settings(limits):
            # Some kernels have no such file; a limit that is refused is not passed over.
            with contextlib.suppress(FileNotFoundError):
                _put(made.path, file, value)
        return made

    def left_of(self, known: Collection[str]) -> dict[str, Cgroup]:
        """Those that were made for others than these, by their names."""
        if not self.root:
            return {}
        with os.scandir(self.root) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        others = set(names).difference(known, {LEAF})
        # What begins with a dot is systemd's, for `ExecReload` and the like.
        return {
            name: Cgroup(os.path.join(self.root, name))
            for name in others
            if not name.startswith(".")
        }

    def close(self) -> None:
        """Remove the folder, if nothing is in it. Only root's own is removed."""
        if os.path.basename(self.root).startswith("edged-"):
            with contextlib.suppress(OSError):
                os.rmdir(self.root)

    # Private

    def _settings(self, limits: Limits) -> Iterator[tuple[str, str]]:
        if "memory" in self.controllers:
            yield "memory.max", str(limits.memory_bytes or "max")
            # A leak ends at the limit: with swap it would first drag the whole machine down.
            yield "memory.swap.max", "0" if limits.memory_bytes else "max"
            yield "memory.oom.group", "1"
        if "cpu" in self.controllers:
            quota = int(limits.cpu_cores * PERIOD_US)
            yield "cpu.max", f"{quota or 'max'} {PERIOD_US}"
        if "pids" in self.controllers:
            yield "pids.max", str(limits.pids or "max")


# Private


def _mount() -> str:
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            fields, _, kind = line.partition(" - ")
            if kind.startswith("cgroup2 "):
                return fields.split()[4]
    return ""


def _own() -> str:
    with contextlib.suppress(OSError), open("/proc/self/cgroup", encoding="utf-8") as file:
        for line in file:
            if line.startswith("0::"):
                return line.rstrip("\n").removeprefix("0::")
    return ""


def _delegated(path: str) -> str:
    """The folder that was delegated to us: our own, or when we are in the leaf the one above."""
    base = os.path.dirname(path) if os.path.basename(path) == LEAF else path
    for name in ("trusted.delegate", "user.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(base, name) == b"1" and os.access(base, os.W_OK):
                return base
    return ""


def _make_room(base: str) -> frozenset[str]:
    """Move what is in the folder itself into the leaf, then give its controllers on."""
    leaf = os.path.join(base, LEAF)
    with contextlib.suppress(FileExistsError):
        os.mkdir(leaf, 0o755)
    for _ in range(_TRIES):  # the master may fork meanwhile
        pids = _read(base, "cgroup.procs").split()
        if not pids:
            break
        for pid in pids:
            _write(leaf, "cgroup.procs", pid)
    return _give_controllers(base)


def _give_controllers(path: str) -> frozenset[str]:
    for name in set(_read(path, "cgroup.controllers").split()) & set(CONTROLLERS):
        _write(path, "cgroup.subtree_control", f"+{name}")
    given = _read(path, "cgroup.subtree_control").split()
    return frozenset(given) & frozenset(CONTROLLERS)


def _read(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def _write(folder: str, name: str, value: str) -> bool:
    try:
        _put(folder, name, value)
    except OSError:
        return False
    return True


def _put(folder: str, name: str, value: str) -> None:
    fd = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
