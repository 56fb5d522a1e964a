"""One process of an app: launched or adopted, watched, read, and ended with all that it forked.

Its pid and the time of its start are it. A pidfd tells of its exit and takes its signals, also when
it is not our child: the master's, after a control before us has died. Only of a child we learn the
exit code.
"""

import contextlib
import logging
import os
import signal
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any, Final

import gevent
from gevent.event import Event

from control.instances import pipes, procfs
from control.instances.cgroup import Cgroup
from control.instances.lines import Lines, Take, first_of
from control.instances.rest import Kin

log = logging.getLogger("control.apps")

LAST_LINES: Final = 50
LONGEST_BYTES: Final = 2000
"""Of each of the last lines; whole lines are with whoever takes them."""

READY_BYTES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the next control needs to find the process again."""

    name: str
    pid: int
    start_ticks: int
    uid: int
    host: str
    port: int  # 0: it chooses
    folder: str  # of its pipes
    cgroup: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `Record(**values)`."""
        return asdict(self)

    @property
    def kin(self) -> Kin:
        """By what its processes are known."""
        return Kin(
            mark=pipes.mark_of(self.folder, self.name),
            pid=self.pid,
            start_ticks=self.start_ticks,
            uid=self.uid,
            cgroup=Cgroup(self.cgroup) if self.cgroup else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended."""

    text: str  # "exited with code 1"
    status: int | None = None  # as wait(2) has it; None when it was not our child
    out_of_memory: bool = False


class Process:
    """One process, until it has ended and all its output is read."""

    def __init__(self, record: Record, pidfd: int, take: Take, *, is_child: bool) -> None:
        self.record = record
        self.exit: Exit | None = None
        self.ended = Event()  # all is over, `exit` says how
        self.news = Event()  # it has said something on its descriptor 4, or ended
        self.last_lines: deque[bytes] = deque(maxlen=LAST_LINES)
        self._pidfd = pidfd
        self._take = take
        self._ready_fd = -1
        self._streams: list[Lines] = []
        self._watchers: list[Any] = []
        self._watch(is_child=is_child)

    def __repr__(self) -> str:
        state = self.exit.text if self.exit else "runs"
        return f"<Process {self.record.name} pid={self.record.pid} {state}>"

    def read(self) -> None:
        """Open its pipes and read them. Raises `OSError`."""
        record, loop = self.record, gevent.get_hub().loop
        for kind in (pipes.OUT, pipes.ERR):
            fd = pipes.open_ours(record.folder, record.name, kind)
            self._streams.append(Lines(kind, fd, self._keep))
        self._ready_fd = pipes.open_ours(record.folder, record.name, pipes.READY)
        said = loop.io(self._ready_fd, 1)
        self._watchers.append(said)

        def hear() -> None:
            said.stop()  # what it said stays there, and would be told again and again
            self.news.set()

        said.start(hear)
        for stream in self._streams:
            stream.start()

    def said(self) -> str:
        """What it has written to its descriptor 4. It stays there, for the next control too."""
        if self._ready_fd < 0:
            return ""
        return first_of(self._ready_fd)[:READY_BYTES].decode("ascii", "replace")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, and to the group that it leads; one that is gone gets none."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, 0)  # its number is still its own
                with contextlib.suppress(PermissionError):
                    os.killpg(self.record.pid, number)
                    return
                signal.pidfd_send_signal(self._pidfd, number)

    def end(self, drain_s: float) -> Exit:
        """Ask it to finish, kill it when its time is over; returns when nothing is left of it."""
        self.send(signal.SIGTERM)
        if not self.ended.wait(drain_s):
            log.warning("%s did not end in %.1f s: killing it", self.record.name, drain_s)
            self.kill()
            self.ended.wait()
        assert self.exit is not None
        return self.exit

    def kill(self) -> None:
        """Kill it and all that it has forked."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def leave(self) -> None:
        """Watch and read no more. It goes on, for another control."""
        for stream in self._streams:
            stream.close()
        self._close()

    # Private

    def _watch(self, *, is_child: bool) -> None:
        loop = gevent.get_hub().loop
        if is_child:
            # libev reaps all children as soon as anything here watches one: only it has the code.
            loop.install_sigchld()
            child = loop.child(self.record.pid, False)
            self._watchers.append(child)
            child.start(lambda: self._exited(child.rstatus))
        else:
            gone = loop.io(self._pidfd, 1)
            self._watchers.append(gone)
            gone.start(self._exited, None)

    def _keep(self, stream: str, line: bytes) -> None:
        self.last_lines.append(line[:LONGEST_BYTES])
        self._take(stream, line)

    def _exited(self, status: int | None) -> None:
        self._close_watchers()
        gevent.spawn(self._wind_up, status)

    def _wind_up(self, status: int | None) -> None:
        """Its end is told when the rest of it is gone and its last lines are read."""
        kin = self.record.kin
        has_gone_on = status == 0 and bool(kin.pids())
        if not kin.kill():
            log.error("%s: some of its processes cannot be killed", self.record.name)
        for stream in self._streams:
            stream.finish()
        shortage = kin.shortage()
        text = ending(os.waitstatus_to_exitcode(status)) if status is not None else "ended"
        if has_gone_on:
            text += " and went to the background (an app must stay in the foreground)"
        text += shortage
        self.exit = Exit(text=text, status=status, out_of_memory=bool(shortage))
        if kin.cgroup is not None and not kin.cgroup.remove():
            log.error("the cgroup %s cannot be removed", kin.cgroup.path)
        pipes.remove(self.record.folder, self.record.name)
        self._close()
        self.ended.set()
        self.news.set()

    def _close(self) -> None:
        self._close_watchers()
        for fd in (self._pidfd, self._ready_fd):
            if fd >= 0:
                os.close(fd)
        self._pidfd = self._ready_fd = -1

    def _close_watchers(self) -> None:
        for watcher in self._watchers:
            watcher.stop()
            watcher.close()
        self._watchers.clear()


def adopt(record: Record, take: Take) -> Process | None:
    """The process of a record, when it still is that process; None when it has ended.

    When it has ended, what it has left is ended, too.
    """
    pidfd = -1
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(record.pid)
    stat = procfs.stat_of(record.pid)
    if pidfd < 0 or stat is None or not stat.is_alive or stat.start_ticks != record.start_ticks:
        if pidfd >= 0:
            os.close(pidfd)
        clear(record)
        return None
    process = Process(record, pidfd, take, is_child=stat.parent == os.getpid())
    try:
        process.read()
    except OSError as error:
        log.error("%s goes on without its output: %s", record.name, error)
    return process


def clear(record: Record) -> None:
    """End what is left of a process that is gone."""
    kin = record.kin
    kin.kill()
    if kin.cgroup is not None:
        kin.cgroup.remove()
    pipes.remove(record.folder, record.name)


def ending(code: int) -> str:
    """How a process ended, by its exit code; below 0 it is a signal's number."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
