"""The rehearsal of an upgrade: the new code in a throw-away process, with nothing at stake.

The master starts it as it would exec itself, with the same descriptors. The new code reads the
configuration and the handover, forks one worker that becomes READY in shared memory of its own and
accepts nothing, and exits 0. Whatever goes wrong is on its stderr.
"""

import functools
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from edge.setup import WorkerSetup
from edge.shared import segment as shared
from edge.shared.scoreboard import Column, State
from edge.shared.segment import Segment, SegmentMismatch
from supervisor import handover, identity
from supervisor.fork import EXIT_BOOT, EXIT_DONE, fork
from supervisor.handle import describe_exit
from supervisor.handover import Handover
from supervisor.holdings import doorbell
from supervisor.inherit import Inheritance
from supervisor.spec import Spec, from_json
from supervisor.timers import Timer
from supervisor.tree import Tree

log = logging.getLogger("edged.rehearsal")

VARIABLE: Final = "EDGED_REHEARSE"
LIMIT_S: Final = 60.0
WORKER_S: Final = 30.0
TAIL_BYTES: Final = 4096


class Rehearsal:
    """The master's side: the throw-away process and what it says."""

    def __init__(self, tree: Tree, command: list[str], state: Handover) -> None:
        """Raises `OSError` when the process cannot be made."""
        self.finished = False
        self.error = ""
        self._tree = tree
        self._output = os.memfd_create("edged-rehearsal", os.MFD_CLOEXEC)
        memfd = handover.write(state)
        kept = (*state.fds(), memfd, self._output)
        try:
            main = functools.partial(_exec, command, memfd, self._output, kept)
            self._pid = fork(Inheritance(title="edged: rehearsal", fds=kept), main)
        except OSError:
            os.close(self._output)
            raise
        finally:
            os.close(memfd)
        tree.reapers[self._pid] = self._end
        self._timer: Timer = tree.timers.after(LIMIT_S, self.kill)

    def __repr__(self) -> str:
        return f"<Rehearsal {'finished' if self.finished else 'running'} pid={self._pid}>"

    def kill(self) -> None:
        """It takes too long, or nobody wants to know."""
        if not self.finished:
            self.error = f"it took longer than {LIMIT_S:g} s"
            os.kill(self._pid, signal.SIGKILL)

    # Private

    def _end(self, status: int) -> None:
        self._timer.cancel()
        self.finished = True
        size = os.fstat(self._output).st_size
        tail = os.pread(self._output, TAIL_BYTES, max(0, size - TAIL_BYTES))
        os.close(self._output)
        if status != 0:
            said = tail.decode("utf-8", "replace").strip()
            how = self.error or f"it {describe_exit(status)}"
            self.error = f"{how}: {said}" if said else how


def is_on() -> bool:
    """Whether this process is a rehearsal."""
    return os.environ.get(VARIABLE, "") == "1"


def rehearse(spec: Spec, run_worker: Callable[[WorkerSetup], int]) -> int:
    """The new code's side: the exit code of the throw-away process.

    Raises `StartError` when the handover or the spec's user does not do.
    """
    state = handover.read(handover.inherited_fd())
    try:
        spec = from_json(state.spec)
    except (ValueError, KeyError, TypeError):
        log.warning("the running spec has another format: taking the configuration's")
    scratch = Segment.create(1)
    try:
        scratch.publish(Segment.attach(state.segment_fd).generation)
    except SegmentMismatch:
        shared.carry_over(state.segment_fd, scratch)
        scratch.publish(1)
    pid = _fork_worker(spec, scratch, run_worker)
    cells = scratch.scoreboard_row(0)
    deadline = time.monotonic() + WORKER_S
    while time.monotonic() < deadline:
        reaped, status = os.waitpid(pid, os.WNOHANG)
        if reaped:
            sys.stderr.write(f"the new version's worker {describe_exit(status)}\n")
            return EXIT_BOOT
        if cells[Column.STATE] == State.READY:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return EXIT_DONE
        select.select((), (), (), 0.02)
    os.kill(pid, signal.SIGKILL)
    sys.stderr.write(f"the new version's worker was not ready within {WORKER_S:g} s\n")
    return EXIT_BOOT


# Private


def _exec(command: list[str], memfd: int, output: int, kept: tuple[int, ...]) -> int:
    os.dup2(output, 1)
    os.dup2(output, 2)
    for fd in kept:
        os.set_inheritable(fd, True)
    environment = {**os.environ, handover.VARIABLE: str(memfd), VARIABLE: "1"}
    try:
        os.execve(command[0], command, environment)
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {(error.strerror or str(error)).lower()}\n")
        return EXIT_BOOT


def _fork_worker(spec: Spec, scratch: Segment, run_worker: Callable[[WorkerSetup], int]) -> int:
    stack_fd = os.memfd_create("edged-stack", os.MFD_CLOEXEC)
    setup = WorkerSetup(
        slot=1,
        row=0,
        code=0,
        options=replace(spec.worker, access_log=""),
        segment_fd=scratch.fd,
        doorbell_fd=doorbell(),
        stack_fd=stack_fd,
        master_pid=os.getpid(),
        sockets=(),
    )
    inheritance = Inheritance(
        title="edged: worker (rehearsal)",
        fds=(setup.segment_fd, setup.doorbell_fd, stack_fd),
        identity=identity.resolve(spec),
    )
    return fork(inheritance, functools.partial(run_worker, setup))
