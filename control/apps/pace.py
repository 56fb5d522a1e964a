"""How long an app has been quiet, from looks at what it has under way."""

from collections.abc import Callable


class Pace:
    """Since when nobody asks, and since when one instance less would be enough."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._active_at = clock()
        self._calm_at: float | None = None
        self._total = -1

    def __repr__(self) -> str:
        return f"<Pace {self._total} so far, active at {self._active_at:.1f}>"

    def touch(self) -> None:
        """Somebody has asked."""
        self._active_at = self._clock()

    def count_anew(self) -> None:
        """There are more or fewer instances: what was calm for those says nothing of these."""
        self._calm_at = None

    def idle_s(self, under_way: int, total: int) -> float:
        """For how long nobody has asked."""
        if under_way or total != self._total:
            self._total = total
            self.touch()
        return self._clock() - self._active_at

    def calm_s(self, *, is_calm: bool) -> float:
        """For how long it has been calm."""
        if not is_calm:
            self._calm_at = None
            return 0.0
        if self._calm_at is None:
            self._calm_at = self._clock()
        return self._clock() - self._calm_at
