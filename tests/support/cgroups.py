"""Cgroups (v2) as the kernel tells of them: those of an app's instances, and what edged runs in.

[held] = cgroups_of(edged, shop)
assert held.number("pids.current") <= 20
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.app_stories import app_of
from tests.support.app_trouble import Shop
from tests.support.edged import Edged
from tests.support.eventually import eventually

MOUNT: Final = Path("/sys/fs/cgroup")
CONTROLLERS: Final = {"cpu", "memory", "pids"}


@dataclass(frozen=True, slots=True)
class Held:
    """A cgroup."""

    path: Path

    def read(self, name: str) -> str:
        """A file of it, such as "memory.max"."""
        return (self.path / name).read_text().strip()

    def number(self, name: str) -> int:
        """A file that is one number."""
        return int(self.read(name))

    def counts(self, name: str) -> dict[str, int]:
        """A file of counts by their names, such as "cpu.stat"."""
        pairs = (line.split() for line in self.read(name).splitlines())
        return {name: int(count) for name, count in pairs}

    def pids(self) -> list[int]:
        """The processes in it."""
        return [int(pid) for pid in self.read("cgroup.procs").split()]

    @property
    def is_there(self) -> bool:
        return self.path.exists()


def lacking() -> str:
    """What apps cannot be limited without here; "" when they can."""
    if os.geteuid() != 0:
        return "only root may give apps cgroups"
    try:
        there = set((MOUNT / "cgroup.controllers").read_text().split())
    except OSError:
        return f"there are no cgroups (v2) at {MOUNT}: make test-guest"
    missing = sorted(CONTROLLERS - there)
    return f"cgroups (v2) have no {', '.join(missing)} here: make test-guest" if missing else ""


def cgroup_of(pid: int) -> Held:
    """That of a process."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    own = next(line for line in lines if line.startswith("0::"))
    return Held(MOUNT / own.removeprefix("0::/"))


def cgroups_of(edged: Edged, shop: Shop) -> list[Held]:
    """Those of the instances that an app has, once all have a process."""

    def found() -> list[Held]:
        pids = [each["pid"] for each in app_of(edged, shop.id)["instances"]]
        return [cgroup_of(pid) for pid in pids] if all(pids) else []

    return eventually(found)


@contextmanager
def delegated(name: str, *, controllers: str = "+cpu +memory +pids") -> Iterator[Held]:
    """A folder as systemd makes it for a service with `Delegate=yes`, beneath one of its own."""
    slice_ = Held(MOUNT / f"{name}.slice")
    service = Held(slice_.path / f"{name}.service")
    slice_.path.mkdir()
    for folder in (MOUNT, slice_.path):
        (folder / "cgroup.subtree_control").write_text(
            "+cpu +memory +pids" if folder == MOUNT else controllers
        )
    service.path.mkdir()
    os.setxattr(service.path, "trusted.delegate", b"1")
    try:
        yield service
    finally:
        for path in [*service.path.glob("*/"), service.path, slice_.path]:
            eventually(lambda path=path: path.rmdir() or True)


def born_in(cgroup: Held, edged: Edged) -> list[str]:
    """The command that starts edged in a cgroup."""
    enter = f'echo $$ >{cgroup.path}/cgroup.procs && exec "$@"'
    serve = [sys.executable, "-m", "control.serve", "--config", str(edged.config)]
    return ["/bin/sh", "-c", enter, "sh", *serve]
