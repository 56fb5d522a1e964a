"""Which minutes have begun, by a wall clock that people and programs set.

A clock that is set forward by a little has its minutes told all the same, each once; one that is
set back by a little is waited for. Set by more than `SMALL_MINUTES` it is a new clock: what lies
between is not told, and what comes is.
"""

from typing import Final

SMALL_MINUTES: Final = 60
MINUTE_S: Final = 60


class Minutes:
    """The minutes since it was made; that in which it was made is none of them."""

    def __init__(self, now_s: float) -> None:
        self._last = int(now_s // MINUTE_S)

    def __repr__(self) -> str:
        return f"<Minutes until {self._last}>"

    def begun(self, now_s: float) -> range:
        """Those that were not told yet, counted since 1970."""
        now = int(now_s // MINUTE_S)
        passed = now - self._last
        if -SMALL_MINUTES <= passed <= 0:
            return range(0)
        first = self._last + 1 if 0 < passed <= SMALL_MINUTES else now
        self._last = now
        return range(first, now + 1)
