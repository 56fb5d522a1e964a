"""Token buckets over all workers, without a lock: each writes its own cells, the sum decides.

A bucket holds `burst` tokens and gets `rate` more each second. What it lacks at a time is

    lack = tokens taken by all workers + base - rate * now        (0 when that is less)

where `base` is the largest of the workers' bases. A worker counts the tokens that it took; one that
finds nothing lacking stores the base that makes the lack 0 at that moment. So a bucket is exact but
for what other workers take within the same microseconds.

Keys are hashed into places (`edge.shared.places`). A key loses its place to another only when its
bucket is full. Where none is free the request passes: a flood of keys (each with its own bucket)
costs nobody else his answer, and takes no more memory.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from edge.shared.places import IN_USE, PLACE_CELLS, PLACES, claim, find, tag_of

LOOK_S: Final = 0.1
"""How often a bucket looks which workers count."""

_TAKEN, _BASE = 1, 2
"""The cells of a place behind the key's tag; it is kept until the bucket is full at the latest.
`admit` has the numbers themselves, for its speed."""

_TOKEN: Final = 1000  # cells count thousandths
_ZERO: Final = 1 << 62  # bases may be below 0: what stands for 0
_TAGS: Final = 10_000


class Verdict(NamedTuple):
    """Whether the tokens were there, and what the `RateLimit-*` fields say."""

    allowed: bool
    remaining: int  # whole tokens left
    wait_s: float  # until the tokens would be there; 0 when they were
    full_s: float  # until the bucket is full again


class Bucket:
    """One limit, with a bucket for each key."""

    __slots__ = ("_clock", "_fills_ms", "_find_rows", "_lack", "_look_at", "_others", "_own",
                 "_rate", "_salt", "_size", "_tags", "name")  # fmt: skip

    def __init__(
        self,
        name: str,
        rate: float,
        burst: int,
        rows: Callable[[], Sequence[memoryview]],
        clock: Callable[[], float],
    ) -> None:
        """`rate` is tokens per second; `rows` gives the rows of all workers, one's own first."""
        self.name = name
        self._rate = rate * _TOKEN
        self._find_rows = rows
        self._others: Sequence[memoryview] = ()
        self._look_at = 0.0
        self._lack = 0  # after the last `admit`
        self._own = rows()[0]
        self._clock = clock
        # Another rate or burst counts anew: the cells of this one mean nothing to it.
        self._salt = f"{name} {rate!r} {burst}".encode()[:64]
        self._tags: dict[str, tuple[int, int]] = {}
        self._size = burst * _TOKEN
        self._fills_ms = int(burst / rate * 1000) + 1

    def __repr__(self) -> str:
        return f"<Bucket {self.name} {self._rate / _TOKEN:g}/s burst={self._size // _TOKEN}>"

    def take(self, key: str, tokens: int = 1) -> Verdict:
        """Take tokens if they are there."""
        return self.verdict(tokens, allowed=self.admit(key, tokens))

    def admit(self, key: str, tokens: int = 1) -> bool:
        """`take` for who needs no more than whether; `verdict` has the rest."""
        tag, place = self._tags.get(key) or self._tag(key)
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._others = [row for row in self._find_rows()[1:] if row[IN_USE]]
        own = self._own
        if own[place] != tag:
            place = claim(own, self._others, tag, int(now * 1000))
            if place < 0:
                self._lack = 0
                return True
        taken = own[place + 1]
        base = own[place + 2]
        if self._others:
            taken, base = self._with_others(tag, taken, base)
        due = int(self._rate * now)
        lack = taken + base - _ZERO - due
        if lack < 0:  # also when no worker has a base yet
            own[place + 2] = due - taken + _ZERO
            lack = 0
        wanted = tokens * _TOKEN
        if lack + wanted > self._size:
            self._lack = lack
            return False
        own[place + 1] += wanted
        own[place + 3] = int(now * 1000) + self._fills_ms
        self._lack = lack + wanted
        return True

    def verdict(self, tokens: int = 1, *, allowed: bool) -> Verdict:
        """What there is to say about the last `admit`, which allowed it or did not."""
        lack, rate = self._lack, self._rate
        left = self._size - lack
        if allowed:
            return Verdict(True, left // _TOKEN, 0.0, lack / rate)
        return Verdict(False, 0, (tokens * _TOKEN - left) / rate, lack / rate)

    # Private

    def _tag(self, key: str) -> tuple[int, int]:
        """What stands for a key in the cells, and its first place."""
        tag = tag_of(key, self._salt)
        if len(self._tags) >= _TAGS:
            self._tags.clear()
        found = self._tags[key] = tag, tag % PLACES * PLACE_CELLS
        return found

    def _with_others(self, tag: int, taken: int, base: int) -> tuple[int, int]:
        """What all workers took, and the largest base."""
        for row in self._others:
            place = find(row, tag)
            if place >= 0:
                taken += row[place + _TAKEN]
                base = max(base, row[place + _BASE])
        return taken, base
