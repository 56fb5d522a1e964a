"""What a master hands to the code that it execs itself into: its state, as JSON in a memfd.

The pid, the children, the sockets and the memory stay what they are; this says which descriptor
is what, and which child is whose. Both versions must agree on this format only: fields that the
reader does not know are ignored, and those that are missing have a default.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from supervisor.errors import HandoverError

VARIABLE: Final = "EDGED_INHERIT"
"""Holds the number of the memfd."""

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """One worker process."""

    slot: int
    pid: int
    born: int  # its start time in the kernel's ticks: tells it from a later process of that pid
    row: int
    code: int
    state: str  # name of a `lifecycle.State`
    current: bool
    stack_fd: int
    started_s: float
    deaths: int = 0
    kill_s: float = 0.0  # monotonic; 0: never


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlState:
    """The control process, its end of the channel and how often it was started again."""

    pid: int
    born: int
    channel_fd: int
    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """The sockets of one address."""

    address: str
    fds: tuple[int, ...]
    adopted: bool = False
    served: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """The whole state."""

    format: int = FORMAT
    spec: str  # as `spec.to_json` wrote it
    code: int
    started_s: float
    capacity: int
    segment_fd: int
    doorbells: tuple[int, ...]
    groups: tuple[GroupState, ...]
    admin_fd: int
    metrics: str
    metrics_fd: int
    lock_fd: int
    workers: tuple[WorkerState, ...] = ()
    control: ControlState | None = None
    events: tuple[dict[str, Any], ...] = ()
    previous: tuple[str, ...] = ()  # the command line of the code that hands over
    failed: str = ""  # why a new version handed back
    rolled: tuple[int, ...] = ()  # the slots whose workers run that version

    def fds(self) -> Iterator[int]:
        """Every descriptor that must survive the exec."""
        yield from (self.segment_fd, self.admin_fd, self.lock_fd, *self.doorbells)
        if self.metrics_fd >= 0:
            yield self.metrics_fd
        for group in self.groups:
            yield from group.fds
        for worker in self.workers:
            if worker.stack_fd >= 0:
                yield worker.stack_fd
        if self.control is not None:
            yield self.control.channel_fd


def write(handover: Handover) -> int:
    """A new memfd that holds it."""
    fd = os.memfd_create("edged-handover", os.MFD_CLOEXEC)
    with open(os.dup(fd), "wb") as file:
        file.write(json.dumps(asdict(handover), separators=(",", ":")).encode())
    return fd


def read(fd: int) -> Handover:
    """What such a memfd holds; raises `HandoverError`."""
    try:
        raw = json.loads(os.pread(fd, os.fstat(fd).st_size, 0))
        if raw["format"] != FORMAT:
            raise HandoverError(f"the handover has format {raw['format']}, this edged reads 1.")
        control = raw.get("control")
        known = {
            **_known(Handover, raw),
            "doorbells": tuple(raw["doorbells"]),
            "groups": tuple(_group(group) for group in raw["groups"]),
            "workers": tuple(WorkerState(**_known(WorkerState, w)) for w in raw["workers"]),
            "control": ControlState(**_known(ControlState, control)) if control else None,
            "events": tuple(raw.get("events", ())),
            "previous": tuple(raw.get("previous", ())),
            "rolled": tuple(raw.get("rolled", ())),
        }
        handover = Handover(**known)
        for inherited in handover.fds():
            os.fstat(inherited)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HandoverError(f"the handover cannot be read: {error!r}.") from None
    return handover


def inherited_fd() -> int:
    """The memfd that this process was exec'ed with, or -1."""
    value = os.environ.get(VARIABLE, "")
    return int(value) if value.isdigit() else -1


def born(pid: int) -> int:
    """When that child of ours started, in the kernel's ticks; 0 when it is none of ours."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name, in brackets, may hold anything.
            columns = file.read().rpartition(b")")[2].split()
        if int(columns[1]) == os.getpid():
            return int(columns[19])
    return 0


# Private


def _known(kind: type, raw: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in raw.items() if name in names}


def _group(raw: dict[str, Any]) -> GroupState:
    return GroupState(**{**_known(GroupState, raw), "fds": tuple(raw["fds"])})
