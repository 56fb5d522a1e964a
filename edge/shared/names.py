"""Counters and flags by name: the user's part of the shared segment.

A name gets its cell the first time any process asks for it. Giving one out takes a file lock on
the segment for a few microseconds, so ask once (in `__init__` or at import), not per request.
Outside a server (in a hook's own tests) the same calls work on memory private to the process.
"""

import time
from collections.abc import Callable
from typing import Final

from edge.shared.bans import Bans
from edge.shared.buckets import Bucket
from edge.shared.places import begin
from edge.shared.scoreboard import Column
from edge.shared.segment import Segment
from edge.shared.slots import Slots

FASTEST: Final = 10_000_000
"""Tokens per second of a limit at most: the cells of a faster one would overflow in the end."""


class SharedCounter:
    """A number that only grows: each worker adds to its own cell, reading sums them all."""

    __slots__ = ("_cells", "_index", "_own", "name")

    def __init__(self, name: str, index: int, own: memoryview, cells: list[memoryview]) -> None:
        self.name = name
        self._index = index
        self._own = own
        self._cells = cells

    def __repr__(self) -> str:
        return f"<SharedCounter {self.name}={self.value}>"

    def add(self, amount: int = 1) -> None:
        """Count; `amount` is not negative."""
        if amount < 0:
            raise ValueError(f"a counter only grows: {amount}")
        self._own[self._index] += amount

    def adder(self) -> Callable[[int], None]:
        """A function that adds, with nothing left to look up: for code that runs per request."""
        own, index = self._own, self._index

        def add(amount: int) -> None:
            own[index] += amount

        return add

    @property
    def value(self) -> int:
        """The sum over all workers, also those that are gone."""
        index = self._index
        return sum(row[index] for row in self._cells)


class SharedFlag:
    """One number of 0 to 2**64-1 that any worker sets and all see. The last store wins."""

    __slots__ = ("_cell", "name")

    def __init__(self, name: str, cell: memoryview) -> None:
        self.name = name
        self._cell = cell

    def __repr__(self) -> str:
        return f"<SharedFlag {self.name}={self.value}>"

    def __bool__(self) -> bool:
        return self._cell[0] != 0

    @property
    def value(self) -> int:
        """What was stored last; 0 at first."""
        return self._cell[0]

    def set(self, value: int | bool = True) -> None:
        """Store a value for every worker to see."""
        self._cell[0] = int(value)


def counter(name: str) -> SharedCounter:
    """The shared counter of that name (1 to 60 bytes), made at the first asking.

    Raises `ValueError` for a bad name and `MemoryError` when all 512 names are taken.
    """
    index = _index_of(f"c:{name}")
    segment, row = _bound()
    rows = [segment.users.row(number) for number in range(segment.rows)]
    return SharedCounter(name, index, segment.users.row(row), rows)


def flag(name: str) -> SharedFlag:
    """The shared flag of that name (1 to 60 bytes), made (as 0) at the first asking.

    Raises `ValueError` for a bad name and `MemoryError` when all 512 names are taken.
    """
    index = _index_of(f"f:{name}")
    return SharedFlag(name, _bound()[0].users.shared(index))


def limit(name: str, count: int, per_s: float = 1.0, burst: int = 0) -> Bucket:
    """A limit of `count` in `per_s` seconds for each key, counted over all workers.

    `limit("logins", 5, 60.0).take(address).allowed` takes a token of that key's bucket, which holds
    `burst` of them (`count`, if that is 0). Raises `ValueError` for numbers that are not positive.
    """
    if count <= 0 or per_s <= 0 or burst < 0:
        raise ValueError(f"a limit needs positive numbers: {count} in {per_s} s, burst {burst}")
    if count / per_s > FASTEST:
        raise ValueError(f"a limit of more than {FASTEST} a second is none: {count} in {per_s} s")
    segment, row = _bound()
    others = [number for number in range(segment.rows) if number != row]

    def rows() -> list[memoryview]:
        return [segment.bucket_row(number) for number in (row, *others)]

    return Bucket(name, count / per_s, burst or count, rows, time.monotonic)


def slots(name: str, count: int) -> Slots:
    """A limit of `count` at the same time for each key, counted over all workers.

    `enter(key)` takes one and says whether there was one; who got it calls `leave(key)` when it is
    done. What a worker held is free when it has died. Raises `ValueError` for a count below 1.
    """
    if count < 1:
        raise ValueError(f"at least one may be there at a time, not {count}")
    segment, row = _bound()

    def others() -> list[memoryview]:
        return [
            segment.bucket_row(number) for number in range(segment.rows)
            if number != row and segment.scoreboard_row(number)[Column.STATE]
        ]  # fmt: skip

    return Slots(name, count, segment.bucket_row(row), others, time.monotonic)


def ban(network: str, for_s: float) -> None:
    """Refuse an address or a network ("203.0.113.7", "2001:db8::/64") for that long: 403 `banned`.

    All workers know within a heartbeat. Raises `ValueError` for what is no network, `MemoryError`
    when all 4096 places are taken.
    """
    bans().add(network, for_s)


def bans() -> Bans:
    """The addresses that are refused for a while, as this process knows them."""
    global _bans
    if _bans is None:
        _bans = Bans(_bound()[0].bans, time.monotonic)
    return _bans


def bind(segment: Segment, row: int) -> None:
    """Use that segment, and that row for what this process counts. A worker calls it once."""
    global _segment, _row, _bans
    _segment, _row, _bans = segment, row, None
    begin(segment.bucket_row(row))


# Private

_segment: Segment | None = None
_row = 0
_bans: Bans | None = None


def _bound() -> tuple[Segment, int]:
    if _segment is None:
        bind(Segment.create(1), 0)  # a server has bound its own
    assert _segment is not None
    return _segment, _row


def _index_of(name: str) -> int:
    return _bound()[0].users.claim(name)
