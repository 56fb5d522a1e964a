"""Watching the scoreboard: who is ready, who stands still, who drains unasked.

A worker that stands still is asked where (SIGUSR2 has it write its stack), given a moment, and
killed when its heart has not beaten meanwhile. Its slot's sockets lose nothing: a neighbour
accepts from them, and the next worker inherits them.
"""

import functools
import signal
import time
from typing import Final

from edge.shared.scoreboard import Column
from edge.shared.scoreboard import State as RowState
from supervisor.handle import WorkerHandle
from supervisor.journal import Journal
from supervisor.lifecycle import Event, State
from supervisor.timers import Timers
from supervisor.workers import Pool

BOOT_S: Final = 30.0
"""A worker that is not ready after that long stands still."""

STACK_S: Final = 0.5
"""How long a standing worker gets to write its stack, and to prove that it lives."""

BLIND_S: Final = 2.0
"""The master itself was not running for that long: nobody's heartbeat says anything yet."""


class Watch:
    """Reads the rows of a pool."""

    def __init__(self, pool: Pool, journal: Journal, timers: Timers) -> None:
        self._pool = pool
        self._journal = journal
        self._timers = timers
        self._checked_s = time.monotonic()
        self._trusted_s = self._checked_s

    def __repr__(self) -> str:
        return f"<Watch {self._pool!r}>"

    def check(self) -> None:
        """Take in what the rows say now."""
        now_s = time.monotonic()
        if now_s - self._checked_s > BLIND_S:
            self._trusted_s = now_s
        self._checked_s = now_s
        for handle in self._pool:
            if handle.pid and handle.watched:
                self._check(handle, now_s)

    # Private

    def _check(self, handle: WorkerHandle, now_s: float) -> None:
        row = self._pool.holdings.segment.scoreboard_row(handle.row)
        if handle.state is State.STARTING:
            if row[Column.STATE] == RowState.READY:
                self._pool.say_ready(handle)
            elif now_s - max(handle.started_s, self._trusted_s) > BOOT_S:
                self._suspect(handle, f"was not ready within {BOOT_S:g} s")
        elif handle.state is State.READY and row[Column.STATE] == RowState.DRAINING:
            self._pool.replace(handle)
        elif handle.state in (State.READY, State.DRAINING):
            still_s = self._still_s(handle, now_s)
            if still_s > handle.plan.spec.hang_s and not handle.why_hung:
                self._suspect(handle, f"stood still for {still_s:.1f} s")

    def _still_s(self, handle: WorkerHandle, now_s: float) -> float:
        row = self._pool.holdings.segment.scoreboard_row(handle.row)
        beat_s = row[Column.HEARTBEAT] / 1e9
        return now_s - max(beat_s, handle.started_s, self._trusted_s)

    def _suspect(self, handle: WorkerHandle, why: str) -> None:
        handle.why_hung = why
        if handle.state is not State.DRAINING:
            handle.advance(Event.STOOD_STILL)
        handle.clear_stack()
        handle.send(signal.SIGUSR2)
        judge = functools.partial(self._judge, handle, handle.pid)
        self._timers.after(STACK_S, judge)

    def _judge(self, handle: WorkerHandle, pid: int) -> None:
        """Its moment is over: kill it, unless its heart beats again."""
        if handle.pid != pid or handle.state not in (State.HUNG, State.DRAINING):
            return
        stack = handle.read_stack() or "(no stack: the process does not run)"
        row = self._pool.holdings.segment.scoreboard_row(handle.row)
        is_up = row[Column.STATE] in (RowState.READY, RowState.DRAINING)
        if is_up and self._still_s(handle, time.monotonic()) < 2 * STACK_S:
            self._tell("worker-stalled", f"{handle.name} {handle.why_hung}", handle, stack)
            handle.why_hung = ""
            handle.clear_stack()
            if handle.state is State.HUNG:
                handle.advance(Event.RECOVERED)
            return
        self._tell("worker-hung", f"{handle.name} {handle.why_hung}: killing it", handle, stack)
        handle.clear_stack()  # told already: not once more as the reason of its death
        if handle.state is State.DRAINING:
            self._pool.kill(handle)
        else:
            handle.send(signal.SIGKILL)

    def _tell(self, event: str, text: str, handle: WorkerHandle, stack: str) -> None:
        self._journal.report(event, text, detail=stack, slot=handle.slot, pid=handle.pid)
