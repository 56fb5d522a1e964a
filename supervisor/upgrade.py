"""Upgrade: the master execs itself into the code that is on disk now, and stays who it is.

Before the exec everything can still fail without a trace: the rehearsal, the state, the exec
itself. What comes after it is in `supervisor.takeover`.
"""

import logging
import os
import signal
import sys
from dataclasses import replace

from supervisor import handover
from supervisor.channel import Channel
from supervisor.handle import WorkerHandle
from supervisor.handover import ControlState, GroupState, Handover, WorkerState
from supervisor.journal import Packet
from supervisor.rehearsal import Rehearsal
from supervisor.spec import Spec, from_json, to_json
from supervisor.tree import Tree

log = logging.getLogger("edged.upgrade")


class Upgrade:
    """One `upgrade` of control's, up to the exec."""

    def __init__(self, tree: Tree, channel: Channel, request: Packet) -> None:
        self._tree = tree
        self._channel = channel
        self._request = request
        self._command: list[str] = []
        self._rehearsal: Rehearsal | None = None

    def __repr__(self) -> str:
        return f"<Upgrade {self._rehearsal!r}>"

    def progress(self) -> bool:
        """Rehearse, then exec: then this does not return."""
        if self._rehearsal is None:
            try:
                self._command = command(self._request.get("executable", ""))
                self._rehearsal = Rehearsal(self._tree, self._command, capture(self._tree))
            except (ValueError, OSError) as error:
                self._channel.answer(self._request, error=f"{error}")
                return True
            log.info("upgrade: rehearsing %s", " ".join(self._command))
        if not self._rehearsal.finished:
            return False
        if self._rehearsal.error:
            why = f"the new version does not start, the old one goes on: {self._rehearsal.error}"
            log.error("upgrade refused: %s", why)
            self._channel.answer(self._request, error=why)
            return True
        self._channel.answer(self._request)
        self._tree.notifier.reloading()
        state = capture(self._tree)
        try:
            exec_in_place(self._command, replace(state, previous=tuple(command())))
        except OSError as error:
            text = f"the upgrade failed, the old version goes on: cannot run: {error}"
            self._tree.journal.report("upgrade-failed", text)
            self._tree.notifier.ready()
        return True

    def abandon(self, why: str) -> None:
        """The tree stops in the middle of it."""
        if self._rehearsal is not None:
            self._rehearsal.kill()
        self._channel.answer(self._request, error=why)


def command(executable: object = "") -> list[str]:
    """The command line that runs this program again, or another version's with its arguments.

    Raises `ValueError` when that is no program.
    """
    if not executable:
        return [sys.executable, *sys.orig_argv[1:]]
    if not isinstance(executable, str) or not os.path.isabs(executable):
        raise ValueError(f"the executable must be an absolute path: {executable!r}")
    if not os.path.isfile(executable) or not os.access(executable, os.X_OK):
        raise ValueError(f"{executable} is no program that can be run")
    return [executable, *sys.argv[1:]]


def inherited_spec() -> Spec | None:
    """The spec of the master that exec'ed itself into this process; None when none did.

    It is what the tree runs with, whatever the configuration file says by now.
    """
    fd = handover.inherited_fd()
    if fd < 0:
        return None
    try:
        return from_json(handover.read(fd).spec)
    except (ValueError, KeyError, TypeError):
        return None


def capture(tree: Tree) -> Handover:
    """The state of the tree as it is now."""
    holdings = tree.holdings
    control = tree.control
    return Handover(
        spec=to_json(tree.plan.spec),
        code=tree.plan.code,
        started_s=tree.started_s,
        capacity=holdings.capacity,
        segment_fd=holdings.segment.fd,
        doorbells=holdings.doorbells,
        groups=tuple(
            GroupState(address=g.address, fds=tuple(g.fds), adopted=g.adopted, served=g.served)
            for g in holdings.listeners.groups.values()
        ),
        admin_fd=holdings.admin_fd,
        metrics=holdings.metrics,
        metrics_fd=holdings.metrics_fd,
        lock_fd=holdings.lock_fd,
        workers=tuple(_worker(tree, handle) for handle in tree.pool if handle.is_live),
        control=None
        if not control.is_live or control.channel is None or control.channel.closed
        else ControlState(
            pid=control.pid,
            born=handover.born(control.pid),
            channel_fd=control.channel.fd,
            restarts=control.restarts,
        ),
        events=tuple(tree.journal.queued),
    )


def exec_in_place(argv: list[str], state: Handover) -> None:
    """Become that program, with that state. Returns only by raising `OSError`: nothing changed."""
    memfd = handover.write(state)
    fds = (*state.fds(), memfd)
    # The new code has handlers only after a while, and a signal kills by default.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        for fd in fds:
            os.set_inheritable(fd, True)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(argv[0], argv, {**os.environ, handover.VARIABLE: str(memfd)})
    finally:
        for fd in fds:
            os.set_inheritable(fd, False)
        os.close(memfd)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# Private


def _worker(tree: Tree, handle: WorkerHandle) -> WorkerState:
    timer = handle.timer
    return WorkerState(
        slot=handle.slot,
        pid=handle.pid,
        born=handover.born(handle.pid),
        row=handle.row if handle.watched else -1,
        code=handle.plan.code,
        state=handle.state.name,
        current=tree.pool.current.get(handle.slot) is handle,
        stack_fd=handle.stack_fd,
        started_s=handle.started_s,
        deaths=handle.deaths,
        kill_s=timer.when if timer is not None and timer.callback is not None else 0.0,
    )
