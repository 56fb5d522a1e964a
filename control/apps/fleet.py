"""The instances of one release that serve, or of one of its processes beside."""

from collections.abc import Callable, Iterable

import gevent

from control.apps.record import Release, Running
from control.instances.instance import Instance
from control.instances.life import State

Make = Callable[[Release, str], Instance]
"""Makes an instance of a release for a role, and does not start it."""

_LIVE = (State.STARTING, State.READY, State.UNHEALTHY, State.BACKOFF)


class Fleet:
    """Instances that are alike."""

    def __init__(self, release: Release, make: Make, role: str = "") -> None:
        self.release = release
        self.role = role
        self.instances: list[Instance] = []
        self._make = make

    def __repr__(self) -> str:
        states = " ".join(each.state.name for each in self.instances)
        return f"<Fleet {self.role or 'serving'} of release {self.release.number}: {states}>"

    def __len__(self) -> int:
        return len(self.instances)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it can be asked. Unwell instances count when there are no others: an answer of
        theirs says more than none."""
        found = self._in(State.READY) or self._in(State.UNHEALTHY)
        return tuple(f"{each.plan.launch.host}:{each.port}" for each in found)

    @property
    def is_ready(self) -> bool:
        """Whether all serve."""
        return bool(self.instances) and all(each.state is State.READY for each in self.instances)

    @property
    def has_failed(self) -> bool:
        """Whether nothing will come of it by itself."""
        return bool(self.instances) and not any(each.state in _LIVE for each in self.instances)

    @property
    def deaths(self) -> int:
        """Of all, so far."""
        return sum(each.deaths for each in self.instances)

    def explain(self) -> str:
        """What was wrong last, with the last lines of who it was."""
        for each in self.instances:
            if each.why:
                output = each.last_output
                return f"{each.why}\n{output}" if output else each.why
        return "it has ended"

    def grow_to(self, count: int) -> None:
        """Start as many as are lacking. Raises `Refused` when their secrets cannot be read."""
        while len(self.instances) < count:
            made = self._make(self.release, self.role)
            made.start()
            self.instances.append(made)

    def adopt(self, running: Running) -> None:
        """One that an earlier control has started."""
        made = self._make(self.release, self.role)
        self.instances.append(made)
        made.adopt(running.record, was_ready=running.was_ready)

    def part(self, count: int) -> list[Instance]:
        """Those beyond so many are its own no more: first those that do not serve."""
        ranked = sorted(self.instances, key=lambda each: each.state is not State.READY)
        self.instances, gone = ranked[:count], ranked[count:]
        return gone

    def running(self) -> list[Running]:
        """What the next control must know."""
        number = self.release.number
        return [running_of(each, number, self.role) for each in self.instances if each.record]

    # Private

    def _in(self, state: State) -> list[Instance]:
        return [each for each in self.instances if each.state is state]


def running_of(instance: Instance, release: int, role: str) -> Running:
    """What the next control must know of an instance that has a process."""
    record = instance.record
    assert record is not None
    ready = instance.state in (State.READY, State.UNHEALTHY)
    return Running(record=record, release=release, role=role, was_ready=ready)


def end_all(instances: Iterable[Instance], drain_s: float | None = None) -> None:
    """Have them end; returns when nothing is left of any."""
    ending = [*instances]
    for each in ending:
        each.stop(drain_s)
    gevent.wait([each.stopped for each in ending])
