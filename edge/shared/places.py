"""A worker's table of keys: which cells of its row a hashed key has.

A row holds `PLACES` places of four cells: the key's tag, two numbers of whoever uses the place, and
the time until which it must be kept (CLOCK_MONOTONIC milliseconds). A key has one of `PROBES`
places, and loses it only when nothing of it must be kept. Only the row's worker writes it; all
others read.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

PLACES: Final = 16384
PLACE_CELLS: Final = 4
ROW_CELLS: Final = PLACES * PLACE_CELLS + 1
IN_USE: Final = PLACES * PLACE_CELLS
"""The last cell of a row: 1 once a worker has had it, and so may have counted in it."""

PROBES: Final = 8
KEEP: Final = 3
"""The cell of a place that says until when it must be kept."""

HELD: Final = 1 << 62
"""In that cell: for as long as its worker lives."""

_MOVING: Final = (1 << 64) - 1


def tag_of(key: str, salt: bytes) -> int:
    """What stands for a key in the cells. Never 0, which marks a place that was never used."""
    digest = blake2b(key.encode("utf-8", "surrogateescape"), key=salt, digest_size=8)
    return int.from_bytes(digest.digest(), "little") or 1


def find(row: memoryview, tag: int) -> int:
    """The place of a key in a row, or -1. A place that was never used ends the search."""
    start = tag % PLACES
    place = start * PLACE_CELLS
    found = row[place]
    if found == tag:
        return place
    for step in range(1, PROBES):
        if not found:
            return -1
        place = (start + step) % PLACES * PLACE_CELLS
        found = row[place]
        if found == tag:
            return place
    return -1


def claim(own: memoryview, others: Sequence[memoryview], tag: int, now_ms: int) -> int:
    """The key's place in our own row, taken now if it has none; -1 when none is free."""
    place = find(own, tag)
    if place >= 0:
        return place
    start = tag % PLACES
    for step in range(PROBES):
        place = (start + step) % PLACES * PLACE_CELLS
        old = own[place]
        if not old or (own[place + KEEP] < now_ms and _is_over((own, *others), old, now_ms)):
            own[place] = _MOVING
            own[place + 1] = own[place + 2] = own[place + KEEP] = 0
            own[place] = tag
            return place
    return -1


def begin(row: memoryview) -> None:
    """A worker takes the row over: what the one before it held is held no more."""
    if row[IN_USE]:
        for place in range(0, IN_USE, PLACE_CELLS):
            if row[place + KEEP] == HELD:
                row[place + 1] = row[place + KEEP] = 0
    row[IN_USE] = 1  # the other workers look here from now on


# Private


def _is_over(rows: Sequence[memoryview], tag: int, now_ms: int) -> bool:
    """Whether nothing of that key must be kept in any worker."""
    for row in rows:
        place = find(row, tag)
        if place >= 0 and row[place + KEEP] >= now_ms:
            return False
    return True
