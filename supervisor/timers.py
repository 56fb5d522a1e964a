"""The master's timers: callbacks with a deadline, run by its one loop."""

import heapq
import itertools
import time
from collections.abc import Callable


class Timer:
    """One callback at one instant; `cancel` forgets it."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def __repr__(self) -> str:
        state = "cancelled" if self.callback is None else "waiting"
        return f"<Timer {state} when={self.when:.3f}>"

    def cancel(self) -> None:
        """Never run it. Harmless when it has run already."""
        self.callback = None


class Timers:
    """All timers of a process, the nearest first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()

    def after(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` once, `delay_s` seconds from now."""
        timer = Timer(self.clock() + delay_s, callback)
        heapq.heappush(self._heap, (timer.when, next(self._order), timer))
        return timer

    def next_s(self) -> float | None:
        """Seconds until the nearest timer, 0 when one is due, None without any."""
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
        return max(0.0, self._heap[0][0] - self.clock()) if self._heap else None

    def due(self) -> list[Callable[[], None]]:
        """Take out the callbacks whose time has come, in order."""
        now = self.clock()
        callbacks = []
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            if timer.callback is not None:
                callbacks.append(timer.callback)
                timer.callback = None
        return callbacks
