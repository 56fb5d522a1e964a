"""Processes of instances that nobody knows: control was killed before it had written them down.

Each is known by its pipes, which are there before it is, and by its mark. A process that had not
executed its program when control was killed has neither, and ends by itself.
"""

import logging
import os
import signal
import time
from collections.abc import Collection, Iterable, Iterator
from typing import Final

import gevent

from control.instances import pipes, procfs
from control.instances.cgroup import Cgroups
from control.instances.rest import KILL_S

log = logging.getLogger("control.apps")

_FIRST_PAUSE_S: Final = 0.001


def names(folder: str, cgroups: Cgroups) -> frozenset[str]:
    """All instances of which pipes or a cgroup are there."""
    return frozenset(pipes.names(folder)).union(cgroups.left_of(()))


def end(folder: str, cgroups: Cgroups, unknown: Collection[str]) -> frozenset[str]:
    """End these instances; the result is those of them that had pipes.

    All of them cost one look at the processes of the machine, and a second one to be sure.
    """
    listed = frozenset(pipes.names(folder)).intersection(unknown)
    left = {name: each for name, each in cgroups.left_of(()).items() if name in unknown}
    for name in listed.intersection(left):
        left[name].kill()
    if listed and not _kill(folder, listed):
        log.error("some processes of %s cannot be killed", " ".join(sorted(listed)))
    for name in listed:
        pipes.remove(folder, name)
    for cgroup in left.values():
        cgroup.remove()
    return listed


def running(folder: str, names: Iterable[str]) -> dict[str, int]:
    """Those of these instances that run, with the oldest process of each."""
    marks = {pipes.mark_of(folder, name): name for name in names}
    found: dict[str, procfs.Stat] = {}
    for stat in procfs.stats() if marks else ():
        name = marks.get(procfs.mark_of(stat.pid))
        if name is not None and (name not in found or stat.start_ticks < found[name].start_ticks):
            found[name] = stat
    return {name: stat.pid for name, stat in found.items()}


# Private


def _kill(folder: str, names: frozenset[str]) -> bool:
    """Kill until none is found; False when some are still there after a while."""
    marks = {pipes.mark_of(folder, name) for name in names}
    deadline, pause_s = time.monotonic() + KILL_S, _FIRST_PAUSE_S
    while pids := [*_marked(marks)]:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() >= deadline:
            return False
        gevent.sleep(pause_s)
        pause_s *= 2
    return True


def _marked(marks: Collection[str]) -> Iterator[int]:
    """Those with one of the marks, and what has lost it in a session that one of them leads."""
    listed = [*procfs.stats()]
    found = {stat.pid for stat in listed if procfs.mark_of(stat.pid) in marks}
    for stat in listed:
        if stat.pid in found or stat.session in found:
            yield stat.pid
