"""What the master holds for its children, and keeps through their deaths and its own upgrades."""

import contextlib
import errno
import logging
import os
import select
import time
from dataclasses import dataclass
from typing import Final

from edge.shared.segment import Segment
from supervisor import folders, lock, sockets
from supervisor.errors import ListenError
from supervisor.identity import Identity
from supervisor.listeners import Listeners
from supervisor.spec import DRAINING_PER_SLOT, MAX_WORKERS, SOCKET_NAME, Spec, addresses

log = logging.getLogger("edged.holdings")

ADMIN_MODE: Final = 0o660
PORT_WAIT_S: Final = 2.0
"""The workers of a master that was killed let go of their ports in that time."""


@dataclass(slots=True, kw_only=True)
class Holdings:
    """Sockets, shared memory, doorbells and the lock."""

    capacity: int  # slots that the rows suffice for
    segment: Segment
    doorbells: tuple[int, ...]  # one eventfd per row
    listeners: Listeners
    admin_fd: int
    metrics: str
    metrics_fd: int
    lock_fd: int

    def close_admin(self, run_dir: str) -> None:
        """Remove the admin socket: who connects from now on learns that edged is not there."""
        path = admin_path(run_dir)
        with contextlib.suppress(OSError):
            os.unlink(path)


def acquire(spec: Spec, identity: Identity) -> Holdings:
    """Make everything that a start needs, in the order in which it may fail.

    Raises `StartError`.
    """
    folders.make(spec)
    lock_fd = lock.acquire(spec.run_dir)
    activated = sockets.activated()
    capacity = capacity_for(spec.workers)
    admin_fd = _admin(spec, identity, activated)
    listeners = Listeners()
    metrics_fd = -1
    if spec.metrics:
        adopted = activated.pop(spec.metrics, None)
        metrics_fd = adopted[0] if adopted else sockets.listen_alone(spec.metrics)
    listeners.adopt(activated, addresses(spec))
    _listen(listeners, spec)
    segment = Segment.create(rows_for(capacity))
    return Holdings(
        capacity=capacity,
        segment=segment,
        doorbells=tuple(doorbell() for _ in range(segment.rows)),
        listeners=listeners,
        admin_fd=admin_fd,
        metrics=spec.metrics,
        metrics_fd=metrics_fd,
        lock_fd=lock_fd,
    )


def capacity_for(workers: int) -> int:
    """How many slots a start with that many workers makes room for."""
    return min(MAX_WORKERS, max(8, 2 * workers))


def rows_for(capacity: int) -> int:
    """The rows for that many slots: one each, its draining ones, and a successor in a roll."""
    return capacity * (1 + DRAINING_PER_SLOT) + capacity


def doorbell() -> int:
    """A new eventfd that control rings and one worker waits on."""
    return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)


def admin_path(run_dir: str) -> str:
    """Where edgectl finds control."""
    return os.path.join(run_dir, SOCKET_NAME)


# Private


def _admin(spec: Spec, identity: Identity, activated: dict[str, list[int]]) -> int:
    path = admin_path(spec.run_dir)
    adopted = activated.pop(path, None)
    return adopted[0] if adopted else sockets.listen_unix(path, ADMIN_MODE, identity.gid)


def _listen(listeners: Listeners, spec: Spec) -> None:
    deadline = time.monotonic() + PORT_WAIT_S
    while True:
        try:
            listeners.extend(addresses(spec), spec.workers)
            return
        except ListenError as error:
            cause = error.__cause__
            if not isinstance(cause, OSError) or cause.errno != errno.EADDRINUSE:
                raise
            if time.monotonic() >= deadline:
                raise
            select.select((), (), (), 0.05)
