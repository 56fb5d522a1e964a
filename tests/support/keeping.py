"""A real keeper in the test's own process, with its vault, its database and its clock."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import gevent
from gevent.event import Event

from control.acme.keeper import Keeper
from control.acme.solver import Solver
from control.acme.spec import CertSpec
from control.acme.vault import Cert, Vault
from control.events import Events, wall_time
from control.state import State

T = TypeVar("T")

TICK_S: Final = 0.01
ASKED_S: Final = 2.0


class ShiftedClock:
    """Goes as the real one does, and can be set on."""

    def __init__(self) -> None:
        self.shift_s = 0.0

    def now(self) -> float:
        return wall_time() + self.shift_s

    def jump(self, seconds: float) -> None:
        """So much later, everywhere."""
        self.shift_s += seconds

    def pause(self, seconds: float) -> None:
        self.wait(Event(), seconds)

    def wait(self, event: Event, seconds: float) -> None:
        until = self.now() + seconds
        while not event.is_set() and (left := until - self.now()) > 0:
            event.wait(timeout=min(TICK_S, left))


class Keeping:
    """One control's life with its keeper; another one on the same folder is the next life."""

    def __init__(
        self,
        folder: Path,
        solver: Solver,
        *,
        clock: ShiftedClock | None = None,
        state: State | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.clock = clock or ShiftedClock()
        self.vault = Vault(str(folder / "vault"))
        self.state = state or State(str(folder / "state.db"))
        self.events = Events(self.state)
        self.keeper = Keeper(self.vault, self.state, self.events, solver, self.clock)
        self.installed: list[Cert] = []
        self.keeper.installed = self.installed.append

    def begin(self, *specs: CertSpec) -> None:
        """Want them, and start."""
        self.keeper.want(specs)
        self.keeper.start()

    def end(self) -> None:
        """No more of it, and nobody is asked any more: but for one who hangs."""
        self.keeper.stop()
        with gevent.Timeout(ASKED_S, False):
            self.keeper.desk.steps.join()

    def obtain(self, *specs: CertSpec, within_s: float = 40.0) -> list[Cert]:
        """Begin, and wait until each has its certificate."""
        self.begin(*specs)
        self.until(lambda: all(self.keeper.latest(spec.id) for spec in specs), within_s)
        return [cert for spec in specs if (cert := self.keeper.latest(spec.id))]

    def line(self, name: str) -> dict[str, Any]:
        """What `edgectl certs` says of it."""
        [found] = [line for line in self.keeper.listed() if line["id"] == name]
        return found

    def kinds(self) -> list[str]:
        """The kinds of the events, in their order."""
        return [event["event"] for event in self.events.latest(100)]

    def until(self, condition: Callable[[], T], within_s: float = 40.0) -> T:
        """As `eventually`, with the keeper running meanwhile."""
        with gevent.Timeout(within_s, AssertionError(f"not within {within_s} s: {self}")):
            while not (found := condition()):
                gevent.sleep(TICK_S)
        return found

    def __str__(self) -> str:
        return f"{self.keeper.listed()} {self.events.latest(20)}"
