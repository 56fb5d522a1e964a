"""What the master knows of one worker: a place in the tree whose process may die and come back.

A handle is not the worker: that one is `edge.worker.Worker`, in a process of its own.
"""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from typing import Final

from supervisor.identity import Identity
from supervisor.lifecycle import Event, State, advance
from supervisor.spec import Spec
from supervisor.timers import Timer

LIVE: Final = (State.STARTING, State.READY, State.HUNG, State.DRAINING, State.STOPPING)
"""The states in which there is a process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a worker is started from. A roll takes the slots from one plan to the next."""

    spec: Spec
    code: int  # counts the rolls
    identity: Identity


class WorkerHandle:
    """One worker, by its slot and plan."""

    def __init__(self, slot: int, plan: Plan) -> None:
        self.slot = slot
        self.plan = plan
        self.state = State.STARTING
        self.pid = 0
        self.row = -1
        self.stack_fd = -1
        self.started_s = time.monotonic()
        self.deaths = 0  # in a row, see `supervisor.backoff`
        self.last_end = ""  # how its last process ended, in words
        self.timer: Timer | None = None  # the next thing that happens to it: a start or a kill
        self.watched = True  # its row is in the segment that this master reads
        self.why_hung = ""

    def __repr__(self) -> str:
        return (
            f"<WorkerHandle {self.state.name} slot={self.slot} pid={self.pid}"
            f" row={self.row} code={self.plan.code}>"
        )

    @property
    def name(self) -> str:
        """What logs and events call it."""
        return f"worker {self.slot} (pid {self.pid})" if self.pid else f"worker {self.slot}"

    @property
    def is_live(self) -> bool:
        """Whether it has a process."""
        return self.state in LIVE

    @property
    def is_gone(self) -> bool:
        """Whether nobody wants it back and nothing is left of it."""
        return self.state is State.GONE

    def advance(self, event: Event) -> None:
        """Change its state; raises `IllegalTransition` when that is a bug of ours."""
        self.state = advance(self.state, event)

    def send(self, number: signal.Signals) -> None:
        """Signal its process, if there is one that has not been reaped."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def set_timer(self, timer: Timer | None) -> None:
        """Replace what happens to it next."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = timer

    def clear_stack(self) -> None:
        """Make room for the stack that SIGUSR2 asks for."""
        os.ftruncate(self.stack_fd, 0)
        os.lseek(self.stack_fd, 0, os.SEEK_SET)

    def read_stack(self) -> str:
        """What the worker wrote to its stack descriptor: where it hangs, or why it crashed."""
        if self.stack_fd < 0:
            return ""
        return os.pread(self.stack_fd, 1 << 20, 0).decode("utf-8", "replace")

    def close_stack(self) -> None:
        """Give the descriptor back."""
        if self.stack_fd >= 0:
            os.close(self.stack_fd)
            self.stack_fd = -1


def describe_exit(status: int) -> str:
    """A wait status in words: "was killed by SIGKILL", "exited with code 1"."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        core = " (core dumped)" if os.WCOREDUMP(status) else ""
        return f"was killed by {name}{core}"
    code = os.waitstatus_to_exitcode(status)
    return "could not boot (exit code 3)" if code == 3 else f"exited with code {code}"
