"""Time for the keeper: wall time, for that is what certificates have, and waiting on it."""

from typing import Protocol

import gevent
from gevent.event import Event

from control.events import wall_time


class Clock(Protocol):
    """What a test may have its own of."""

    def now(self) -> float:
        """Seconds since 1970."""

    def pause(self, seconds: float) -> None:
        """Let that much time pass."""

    def wait(self, event: Event, seconds: float) -> None:
        """Until the event is set, but no longer than that."""


class WallClock:
    """The machine's own."""

    def now(self) -> float:
        """Seconds since 1970."""
        return wall_time()

    def pause(self, seconds: float) -> None:
        """Let that much time pass."""
        gevent.sleep(seconds)

    def wait(self, event: Event, seconds: float) -> None:
        """Until the event is set, but no longer than that."""
        event.wait(timeout=seconds)
