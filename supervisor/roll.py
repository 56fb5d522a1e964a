"""Taking the slots from one plan to the next, one at a time.

The new worker of a slot is READY before the old one is told to drain. The first one that does not
become ready ends the roll: its slot and those after it keep what they have.
"""

import logging
import signal
from collections import deque
from collections.abc import Iterable

from supervisor.handle import Plan, WorkerHandle
from supervisor.lifecycle import State
from supervisor.workers import Pool

log = logging.getLogger("edged.roll")


class Roll:
    """One roll. `progress` is called at every turn of the loop until it is over."""

    def __init__(self, pool: Pool, plan: Plan, slots: Iterable[int] | None = None) -> None:
        self.plan = plan
        self.done: list[int] = []
        self.error = ""
        self._pool = pool
        self._left = deque(range(1, plan.spec.workers + 1) if slots is None else slots)
        self._successor: WorkerHandle | None = None

    def __repr__(self) -> str:
        return f"<Roll code={self.plan.code} done={self.done} left={list(self._left)}>"

    def progress(self) -> bool:
        """Go as far as one can now; True when it is over, and then `error` says how."""
        while self._left:
            if self._successor is None:
                self._successor = self._pool.start_successor(self._left[0], self.plan)
            successor = self._successor
            if successor.state is State.READY:
                self._pool.promote(successor)
                self._pool.holdings.listeners.serve(successor.slot)
                self.done.append(self._left.popleft())
                self._successor = None
            elif successor.state in (State.STARTING, State.HUNG):
                return False
            else:
                self.error = f"worker {successor.slot} {successor.last_end}"
                self.abandon()
                return True
        return True

    def abandon(self) -> None:
        """End the successor that is on its way up."""
        if self._successor is not None:
            self._pool.stop(self._successor, signal.SIGKILL)
            self._successor = None
