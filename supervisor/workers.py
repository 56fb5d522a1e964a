"""The pool of workers: a current one per slot, and those that come and go beside it.

Rule 1: a slot whose current worker dies gets the next one, the first time at once.
Rule 2: an old worker is told to drain only when its successor is READY.
Rule 3: a row of the shared memory belongs to one process at a time. Its scoreboard cells are
        zeroed for the next one; its counters never are.
"""

import contextlib
import errno
import faulthandler
import functools
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Final

from edge.setup import WorkerSetup
from edge.shared.scoreboard import Column
from edge.shared.scoreboard import State as RowState
from supervisor import backoff, folders
from supervisor.fork import fork
from supervisor.handle import Plan, WorkerHandle, describe_exit
from supervisor.holdings import Holdings
from supervisor.inherit import Inheritance
from supervisor.journal import Journal
from supervisor.lifecycle import Event, State
from supervisor.spec import DRAINING_PER_SLOT
from supervisor.timers import Timer, Timers

log = logging.getLogger("edged.workers")

KILL_S: Final = 5.0
"""A worker that was told to stop at once is killed after that long."""

DRAIN_MARGIN_S: Final = 10.0
"""So much longer than its own limits a draining worker may take before it is killed."""

RunWorker = Callable[[WorkerSetup], int]


class Pool:
    """All workers of the tree."""

    def __init__(
        self, holdings: Holdings, journal: Journal, timers: Timers, run_worker: RunWorker
    ) -> None:
        self.holdings = holdings
        self.current: dict[int, WorkerHandle] = {}
        self.others: list[WorkerHandle] = []  # successors in a roll, and who drains or stops
        self.restarts = 0
        self.last_problem = ""
        self._journal = journal
        self._timers = timers
        self._run_worker = run_worker

    def __repr__(self) -> str:
        return f"<Pool {self.count_ready()}/{len(self.current)} others={len(self.others)}>"

    def __iter__(self) -> Iterator[WorkerHandle]:
        yield from list(self.current.values())
        yield from list(self.others)

    @property
    def is_empty(self) -> bool:
        """Whether no worker process is left."""
        return not any(handle.is_live for handle in self)

    @property
    def is_waiting(self) -> bool:
        """Whether a worker is on its way up: then the scoreboard is worth a closer look."""
        return any(handle.state in (State.STARTING, State.HUNG) for handle in self)

    def count_ready(self) -> int:
        """How many slots have a READY worker."""
        return sum(handle.state is State.READY for handle in self.current.values())

    # Starting

    def start(self, slot: int, plan: Plan) -> WorkerHandle:
        """Start the slot's worker."""
        self.current[slot] = handle = WorkerHandle(slot, plan)
        self._start(handle)
        return handle

    def start_successor(self, slot: int, plan: Plan) -> WorkerHandle:
        """Start a worker beside the slot's current one, which goes on as it is."""
        handle = WorkerHandle(slot, plan)
        self.others.append(handle)
        self._start(handle)
        return handle

    def promote(self, successor: WorkerHandle) -> None:
        """Make a READY successor the slot's current worker and drain the one before."""
        old = self.current.get(successor.slot)
        self.others.remove(successor)
        self.current[successor.slot] = successor
        if old is not None:
            self.others.append(old)
            self.drain(old)

    def say_ready(self, handle: WorkerHandle) -> None:
        """The scoreboard says that it accepts."""
        handle.advance(Event.SAID_READY)
        took_s = time.monotonic() - handle.started_s
        self._tell("worker-ready", f"{handle.name} is ready after {took_s:.2f} s", handle)

    # Ending

    def drain(self, handle: WorkerHandle) -> None:
        """Have it finish what it has; whoever cannot drain is ended."""
        if handle.state is not State.READY:
            self.stop(handle, signal.SIGTERM)
            return
        handle.advance(Event.DRAIN)
        handle.send(signal.SIGTERM)
        options = handle.plan.spec.worker
        limit_s = max(options.drain_s, options.drain_upgraded_s) + DRAIN_MARGIN_S
        handle.set_timer(self.kill_after(handle, limit_s))
        self._limit_draining(handle.slot)

    def stop(self, handle: WorkerHandle, number: signal.Signals = signal.SIGQUIT) -> None:
        """End it soon: with that signal, and SIGKILL when it does not go."""
        if handle.is_gone:
            return
        handle.advance(Event.STOP)
        if handle.is_gone:  # it waited for its next start
            self._forget(handle)
            return
        handle.send(number)
        handle.set_timer(self.kill_after(handle, KILL_S))

    def kill_after(self, handle: WorkerHandle, delay_s: float) -> Timer:
        """The timer that ends it when it has not ended itself by then."""
        return self._timers.after(delay_s, functools.partial(self.kill, handle))

    def kill(self, handle: WorkerHandle) -> None:
        """End it now, for good."""
        if handle.is_live:
            log.warning("killing %s, which was %s", handle.name, handle.state.name.lower())
            handle.advance(Event.STOP)
            handle.send(signal.SIGKILL)

    def replace(self, handle: WorkerHandle) -> None:
        """A current worker drains that nobody of us told to: start the slot's next one now."""
        handle.advance(Event.DRAIN)
        self.others.append(handle)
        self._tell("worker-draining", f"{handle.name} drains by a signal from outside", handle)
        self.start(handle.slot, handle.plan)
        self._limit_draining(handle.slot)

    def retire(self, slot: int) -> None:
        """Drain a slot's worker and have none in its place."""
        handle = self.current.pop(slot)
        self.others.append(handle)
        self.drain(handle)

    def reap(self, pid: int, status: int) -> bool:
        """A process has ended; False when it is none of the pool's."""
        for handle in self:
            if handle.pid == pid:
                self._end(handle, describe_exit(status))
                return True
        return False

    def signal_all(self, number: signal.Signals) -> None:
        """Signal every worker process."""
        for handle in self:
            handle.send(number)

    # Private

    def _start(self, handle: WorkerHandle) -> None:
        """Fork its process. A machine that has no room for it is answered by the back-off."""
        handle.started_s = time.monotonic()
        try:
            handle.stack_fd = os.memfd_create("edged-stack", os.MFD_CLOEXEC)
            handle.row = self._take_row(handle)
            self._fork(handle)
        except OSError as error:
            self._end(handle, f"could not be started: {error.strerror or error}")

    def _fork(self, handle: WorkerHandle) -> None:
        plan, holdings = handle.plan, self.holdings
        folders.make_access_log(plan.spec, plan.identity)
        setup = WorkerSetup(
            slot=handle.slot,
            row=handle.row,
            code=plan.code,
            options=plan.spec.worker,
            segment_fd=holdings.segment.fd,
            doorbell_fd=holdings.doorbells[handle.row],
            stack_fd=handle.stack_fd,
            master_pid=os.getpid(),
            sockets=holdings.listeners.of(plan.spec.http, plan.spec.https),
        )
        inheritance = Inheritance(
            title=f"edged: worker {handle.slot}",
            fds=(
                setup.segment_fd,
                setup.doorbell_fd,
                setup.stack_fd,
                *(socket.fd for socket in setup.sockets),
            ),
            identity=plan.identity,
        )
        handle.pid = fork(inheritance, functools.partial(_main, self._run_worker, setup))
        handle.watched = True

    def _take_row(self, handle: WorkerHandle) -> int:
        taken = {other.row for other in self}
        free = (row for row in range(self.holdings.segment.rows) if row not in taken)
        row = next(free, -1)
        if row < 0:
            raise OSError(errno.EAGAIN, "no row of the scoreboard is free")
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.holdings.doorbells[row])
        cells = self._zero(row)
        cells[Column.SLOT] = handle.slot
        cells[Column.CODE] = handle.plan.code
        cells[Column.STARTED] = time.monotonic_ns()
        cells[Column.STATE] = RowState.STARTING
        return row

    def _zero(self, row: int) -> memoryview:
        cells = self.holdings.segment.scoreboard_row(row)
        for column in range(len(cells)):
            cells[column] = 0
        return cells

    def _end(self, handle: WorkerHandle, how: str) -> None:
        """Its process is gone: clear up after it, and see whether there is a next one."""
        name, before = handle.name, handle.state
        detail = handle.read_stack()
        handle.set_timer(None)
        if handle.watched and handle.row >= 0:
            self._zero(handle.row)
        handle.close_stack()
        handle.last_end = f"{how}: {handle.why_hung}" if handle.why_hung else how
        pid, handle.pid, handle.row, handle.why_hung = handle.pid, 0, -1, ""
        handle.advance(Event.EXITED)
        if handle.state is State.GONE:
            self._forget(handle)
            if before is State.DRAINING and how != "exited with code 0":
                text = f"{name} {how} while it drained"
                self._journal.report("worker-died", text, detail=detail, slot=handle.slot, pid=pid)
            else:
                log.info("%s %s", name, how)
            return
        lived_s = time.monotonic() - handle.started_s
        handle.deaths, delay_s = backoff.after_death(handle.deaths, lived_s)
        text = f"{name} {how}"
        if self.current.get(handle.slot) is handle:
            text += f"; starting it again in {delay_s:g} s" if delay_s else "; starting it again"
            handle.set_timer(self._timers.after(delay_s, functools.partial(self._restart, handle)))
        self.last_problem = text
        self._journal.report("worker-died", text, detail=detail, slot=handle.slot, pid=pid)

    def _restart(self, handle: WorkerHandle) -> None:
        if handle.state is State.BACKOFF:
            handle.advance(Event.RESTART)
            self.restarts += 1
            self._start(handle)

    def _limit_draining(self, slot: int) -> None:
        draining = [h for h in self.others if h.slot == slot and h.state is State.DRAINING]
        for handle in draining[:-DRAINING_PER_SLOT]:
            log.warning("%s still drains, and newer ones do: stopping it", handle.name)
            self.stop(handle)

    def _forget(self, handle: WorkerHandle) -> None:
        if handle in self.others:
            self.others.remove(handle)
        if self.current.get(handle.slot) is handle:
            del self.current[handle.slot]

    def _tell(self, event: str, text: str, handle: WorkerHandle) -> None:
        self._journal.report(event, text, slot=handle.slot, pid=handle.pid)


# Private


def _main(run_worker: RunWorker, setup: WorkerSetup) -> int:
    """The first lines of a worker process: a crash writes its stack where the master reads it."""
    faulthandler.enable(setup.stack_fd, all_threads=False)
    return run_worker(setup)
