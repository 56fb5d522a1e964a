"""The tree of processes as one value: its parts, and what the jobs on it share."""

import selectors
import time
from collections.abc import Callable
from typing import Any, Protocol

from supervisor.control import ControlHandle, RunControl
from supervisor.handle import Plan
from supervisor.holdings import Holdings
from supervisor.journal import Journal, Packet
from supervisor.lifecycle import State
from supervisor.notify import Notifier
from supervisor.timers import Timers
from supervisor.workers import Pool, RunWorker


class Job(Protocol):
    """Something that changes the tree over several turns of the loop. One runs at a time."""

    def progress(self) -> bool:
        """Go as far as one can now; True when it is over."""
        ...

    def abandon(self, why: str) -> None:
        """The tree stops: let go, and tell whoever waits why."""
        ...


class Tree:
    """Everything that the master keeps up."""

    def __init__(
        self, plan: Plan, holdings: Holdings, run_control: RunControl, run_worker: RunWorker
    ) -> None:
        self.plan = plan
        self.holdings = holdings
        self.started_s = time.monotonic()
        self.journal = Journal()
        self.timers = Timers()
        self.selector = selectors.DefaultSelector()
        self.notifier = Notifier()
        self.pool = Pool(holdings, self.journal, self.timers, run_worker)
        self.on_request: Callable[[ControlHandle, Packet], None] = lambda _control, _request: None
        self.retiring: ControlHandle | None = None  # the control of the code before an upgrade
        self.reapers: dict[int, Callable[[int], None]] = {}  # of other children, by pid
        self._run_control = run_control
        self.control = self.new_control()

    def __repr__(self) -> str:
        return f"<Tree code={self.plan.code} {self.pool!r} {self.control!r}>"

    def new_control(self) -> ControlHandle:
        """A control that has not been started."""
        control = ControlHandle(
            self.holdings, self.journal, self.timers, self.selector, self._run_control
        )
        control.on_request = lambda handle, request: self.on_request(handle, request)
        return control

    def reap(self, pid: int, status: int) -> None:
        """A process has ended. Unknown ones are orphans of ours: nobody asks for them."""
        if self.pool.reap(pid, status) or self.control.reap(pid, status):
            return
        if self.retiring is not None and self.retiring.reap(pid, status):
            if self.retiring.state is State.GONE:
                self.retiring = None
            return
        if reaper := self.reapers.pop(pid, None):
            reaper(status)

    def status(self) -> dict[str, Any]:
        """What `edgectl status` shows of the processes."""
        now_s = time.monotonic()
        return {
            "workers": [
                {
                    "slot": handle.slot,
                    "pid": handle.pid,
                    "row": handle.row,
                    "state": handle.state.name.lower(),
                    "code": handle.plan.code,
                    "started_s_ago": round(now_s - handle.started_s, 3),
                    "deaths": handle.deaths,
                    "last_end": handle.last_end,
                    "current": self.pool.current.get(handle.slot) is handle,
                }
                for handle in sorted(self.pool, key=lambda handle: handle.slot)
            ],
            "worker_restarts": self.pool.restarts,
            "control_restarts": self.control.restarts,
            "uptime_s": round(now_s - self.started_s, 3),
            "code": self.plan.code,
            "capacity": self.holdings.capacity,
        }

    def summary(self) -> str:
        """One line for the service manager."""
        ready, wanted = self.pool.count_ready(), self.plan.spec.workers
        text = f"{ready} of {wanted} workers ready"
        if ready < wanted and self.pool.last_problem:
            text += f"; {self.pool.last_problem}"
        return text
