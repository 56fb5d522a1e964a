"""What is left of an instance: the processes that it has forked, wherever they went.

Its cgroup knows them all. Without one they are found by its session, and those that have left it
by the mark in their environment. What has left the session and thrown away its environment, too,
is not found.
"""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import gevent

from control.instances import procfs
from control.instances.cgroup import Cgroup

KILL_S: Final = 2.0
"""A process that was killed and is still there by then hangs in the kernel: it is left alone."""

_FIRST_PAUSE_S: Final = 0.001
_TURN: Final = 200
"""After so many processes of a machine others have their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """By what the processes of an instance are known."""

    mark: str
    pid: int  # of the first one: the session has its number
    start_ticks: int
    uid: int
    cgroup: Cgroup | None

    def pids(self) -> list[int]:
        """All that are alive, the first one too."""
        if self.cgroup is not None:
            return self.cgroup.pids()
        return [stat.pid for stat in self._searched()]

    def shortage(self) -> str:
        """Why the kernel has killed them for their memory, as the end of a sentence; or ""."""
        return self.cgroup.shortage() if self.cgroup is not None else ""

    def kill(self) -> bool:
        """Kill them all; False when some are still there after a while."""
        deadline, pause_s = time.monotonic() + KILL_S, _FIRST_PAUSE_S
        while True:
            if not self._kill_once():
                return True
            if time.monotonic() >= deadline:
                return False
            gevent.sleep(pause_s)
            pause_s *= 2

    # Private

    def _kill_once(self) -> bool:
        """Whether there was anything to kill."""
        if self.cgroup is not None:
            if self.cgroup.is_empty():
                return False
            if self.cgroup.kill():
                return True
        pids = self.pids()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return bool(pids)

    def _searched(self) -> Iterator[procfs.Stat]:
        first = procfs.stat_of(self.pid)
        # A number is not used again while there is a session of that number: if the process that
        # has it now is another one, no session of ours is left.
        has_session = first is None or first.start_ticks == self.start_ticks
        for count, stat in enumerate(procfs.stats(), 1):
            if count % _TURN == 0:
                gevent.sleep(0)
            # None of ours is older than the first: a number that is used again is told by that.
            is_younger = stat.start_ticks >= self.start_ticks
            if is_younger and self.uid in (0, procfs.uid_of(stat.pid)):
                is_in_session = has_session and stat.session == self.pid
                if is_in_session or procfs.is_marked(stat.pid, self.mark):
                    yield stat
