"""After the exec: new code takes up the state, rolls everything, or hands it back.

The old workers serve until the new ones are READY, and the old control waits to tell edgectl how it
went. When the new code does not come up within its time, the old workers stay; if the code before
was another program, the master execs itself back into that.
"""

import logging
import os
import signal
import time
from dataclasses import replace
from typing import Final

from edge.shared import segment as shared
from edge.shared.segment import Segment, SegmentMismatch
from supervisor import handover, identity, upgrade
from supervisor.control import RunControl
from supervisor.handle import Plan, WorkerHandle
from supervisor.handover import Handover, WorkerState
from supervisor.holdings import Holdings, doorbell, rows_for
from supervisor.lifecycle import Event, State
from supervisor.listeners import Group, Listeners
from supervisor.roll import Roll
from supervisor.spec import Spec, from_json
from supervisor.tree import Tree
from supervisor.workers import Pool, RunWorker

log = logging.getLogger("edged.takeover")

CONTROL_S: Final = 30.0
"""A new control that does not serve after that long has failed."""


class Takeover:
    """What a new version does with the tree that it was handed."""

    def __init__(self, tree: Tree, state: Handover) -> None:
        self._tree = tree
        self._state = state
        self._deadline_s = time.monotonic() + CONTROL_S
        self._plan = replace(tree.plan, code=tree.plan.code + 1)
        self._roll: Roll | None = None

    def __repr__(self) -> str:
        return f"<Takeover {'back' if self._state.failed else 'forward'} {self._roll!r}>"

    def begin(self) -> None:
        """Take up the old control, and start a new one beside it unless the code came back."""
        tree, old = self._tree, self._state.control
        if old is not None and handover.born(old.pid) == old.born:
            tree.control.adopt(old.pid, old.channel_fd, old.restarts, tree.plan.spec)
            if self._state.failed and tree.control.channel is not None:
                tree.journal.connect(tree.control.channel.send)
        elif self._state.failed:
            tree.control.was_ready = True
            tree.control.start(tree.plan.spec)
        if self._state.failed:
            self._roll = Roll(tree.pool, self._plan, self._state.rolled)
            return
        new = tree.new_control()
        new.was_ready = True
        if tree.control.is_live:
            tree.retiring = tree.control
            new.restarts = tree.control.restarts
        tree.control = new
        new.start(tree.plan.spec)

    def progress(self) -> bool:
        """Wait for the new control, then roll; True when it is over."""
        if self._roll is None:
            return self._wait_for_control()
        if not self._roll.progress():
            return False
        if self._state.failed:
            self._report("upgrade-failed", self._state.failed)
        elif self._roll.error:
            self._give_up(self._roll.error)
        else:
            self._succeed()
        self._tree.notifier.ready()
        return True

    def abandon(self, why: str) -> None:
        """The tree stops in the middle of it."""
        if self._roll is not None:
            self._roll.abandon()
        self._report("upgrade-failed", why)

    # Private

    def _wait_for_control(self) -> bool:
        control = self._tree.control
        if control.state is State.READY:
            self._roll = Roll(self._tree.pool, self._plan)
            return False
        if control.state is State.STARTING and time.monotonic() < self._deadline_s:
            return False
        self._give_up("the new version's control does not come up")
        return True

    def _succeed(self) -> None:
        tree = self._tree
        tree.plan = self._plan
        self._report("upgrade-done", f"upgraded: {self._plan.spec.workers} new workers serve")
        if tree.retiring is not None:
            tree.retiring.stop()

    def _give_up(self, why: str) -> None:
        """Back to the code before, or on with its workers when it is the same program."""
        tree, state = self._tree, self._state
        rolled = tuple(self._roll.done) if self._roll is not None else ()
        text = f"the upgrade failed, the old workers stay: {why}"
        tree.plan = self._plan
        tree.control.stop(signal.SIGKILL)
        if tree.retiring is not None:
            # The old one is the tree's again; the new one is reaped as a stranger.
            tree.control, tree.retiring = tree.retiring, None
        else:
            tree.control = tree.new_control()
            tree.control.was_ready = True
        if list(state.previous) not in ([], upgrade.command()):
            back = replace(upgrade.capture(tree), failed=text, rolled=rolled, previous=())
            try:
                upgrade.exec_in_place(list(state.previous), back)
            except OSError as error:
                text += f"; and the code before cannot be run any more: {error}"
        if tree.control.is_live and tree.control.channel is not None:
            tree.journal.connect(tree.control.channel.send)
        else:
            tree.control.start(tree.plan.spec)
        self._report("upgrade-failed", text)

    def _report(self, event: str, text: str) -> None:
        """To the control that serves, and to the old one, which waits to answer edgectl."""
        packet = self._tree.journal.report(event, text, code=self._plan.code)
        retiring = self._tree.retiring
        if retiring is not None and retiring.channel is not None:
            retiring.channel.send(packet)


def take_up(
    state: Handover, fallback: Spec, run_control: RunControl, run_worker: RunWorker
) -> Tree:
    """The tree that another version handed over; raises `StartError`."""
    for fd in state.fds():
        os.set_inheritable(fd, False)
    try:
        spec = from_json(state.spec)
    except (ValueError, KeyError, TypeError):
        log.warning("the running spec has another format: taking the configuration's")
        spec = fallback
    holdings, is_same_segment = _take_up_holdings(state)
    plan = Plan(spec=spec, code=state.code, identity=identity.resolve(spec))
    tree = Tree(plan, holdings, run_control, run_worker)
    tree.started_s = state.started_s
    tree.journal.queued.extend(state.events)
    for worker in state.workers:
        if worker.pid and handover.born(worker.pid) == worker.born:
            _adopt(tree.pool, plan, worker, watched=is_same_segment and worker.row >= 0)
    return tree


# Private


def _take_up_holdings(state: Handover) -> tuple[Holdings, bool]:
    doorbells = state.doorbells
    try:
        segment, is_same = Segment.attach(state.segment_fd), True
    except SegmentMismatch as mismatch:
        segment, is_same = Segment.create(rows_for(state.capacity)), False
        carried = shared.carry_over(state.segment_fd, segment)
        log.info("%s: new shared memory, %d counters carried over", mismatch, carried)
        os.close(state.segment_fd)
    while len(doorbells) < segment.rows:
        doorbells += (doorbell(),)
    groups = [
        Group(address=g.address, fds=list(g.fds), adopted=g.adopted, served=g.served)
        for g in state.groups
    ]
    holdings = Holdings(
        capacity=state.capacity,
        segment=segment,
        doorbells=doorbells,
        listeners=Listeners(groups),
        admin_fd=state.admin_fd,
        metrics=state.metrics,
        metrics_fd=state.metrics_fd,
        lock_fd=state.lock_fd,
    )
    return holdings, is_same


def _adopt(pool: Pool, plan: Plan, worker: WorkerState, *, watched: bool) -> None:
    handle = WorkerHandle(worker.slot, replace(plan, code=worker.code))
    handle.pid, handle.row, handle.stack_fd = worker.pid, worker.row, worker.stack_fd
    handle.started_s, handle.deaths, handle.watched = worker.started_s, worker.deaths, watched
    if not watched:
        handle.row = -1
    steps = _STEPS.get(worker.state, _STEPS["READY"])
    if worker.state == "STARTING" and watched:
        steps = ()
    for event in steps:
        handle.advance(event)
    if worker.kill_s:
        left_s = max(0.0, worker.kill_s - time.monotonic())
        handle.set_timer(pool.kill_after(handle, left_s))
    if worker.current:
        pool.current[worker.slot] = handle
    else:
        pool.others.append(handle)


_STEPS: Final[dict[str, tuple[Event, ...]]] = {
    "READY": (Event.SAID_READY,),  # one that hangs is found again
    "DRAINING": (Event.SAID_READY, Event.DRAIN),
    "STOPPING": (Event.STOP,),
}
"""How a handle gets to the state that its worker is in; see `supervisor.lifecycle`."""
