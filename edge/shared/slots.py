"""Limits of what goes on at the same time, over all workers and without a lock.

Each worker counts its own in its own cells, and the sum over the live workers decides: exact, but
for what others begin within the same microseconds. What a dead worker held counts no more, since
its row is left out until its successor has cleared it.
"""

from collections.abc import Callable, Sequence
from typing import Final

from edge.shared.places import HELD, KEEP, claim, find, tag_of

LOOK_S: Final = 0.1
"""How often it is looked which workers live."""

_COUNT: Final = 1


class Slots:
    """One limit, with slots for each key."""

    __slots__ = ("_clock", "_count", "_find_others", "_look_at", "_others", "_own", "_salt",
                 "name")  # fmt: skip

    def __init__(
        self,
        name: str,
        count: int,
        own: memoryview,
        others: Callable[[], Sequence[memoryview]],
        clock: Callable[[], float],
    ) -> None:
        """`others` gives the rows of all other workers that live."""
        self.name = name
        self._count = count
        self._own = own
        self._find_others = others
        self._others: Sequence[memoryview] = ()
        self._look_at = 0.0
        self._clock = clock
        self._salt = f"slots {name}".encode()[:64]

    def __repr__(self) -> str:
        return f"<Slots {self.name} {self._count} at once>"

    def enter(self, key: str) -> bool:
        """Take a slot; False when all are taken, and then nothing is to be left."""
        tag = tag_of(key, self._salt)
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._others = self._find_others()
        own = self._own
        place = claim(own, self._others, tag, int(now * 1000))
        if place < 0:
            return True  # no place is free to count it: as with a bucket
        if own[place + _COUNT] + self._elsewhere(tag) >= self._count:
            return False
        own[place + _COUNT] += 1
        own[place + KEEP] = HELD
        return True

    def leave(self, key: str) -> None:
        """Give a slot back that `enter` gave."""
        own = self._own
        place = find(own, tag_of(key, self._salt))
        if place < 0 or not own[place + _COUNT]:
            return
        own[place + _COUNT] -= 1
        if not own[place + _COUNT]:
            own[place + KEEP] = 0

    def taken(self, key: str) -> int:
        """How many are taken now, over all workers."""
        tag = tag_of(key, self._salt)
        place = find(self._own, tag)
        return (self._own[place + _COUNT] if place >= 0 else 0) + self._elsewhere(tag)

    # Private

    def _elsewhere(self, tag: int) -> int:
        count = 0
        for row in self._others:
            place = find(row, tag)
            if place >= 0:
                count += row[place + _COUNT]
        return count
