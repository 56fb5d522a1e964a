"""The shared memory of one edged: one memfd, one layout, one writer per byte.

Header cells say what the segment is (magic, format, size, rows, checksum); the generation of the
published table is the one header cell that changes, and only control stores it. Then come the
scoreboard and the counters, a row each per worker process, the names of `edge.shared`'s user API,
the peers, the bans, and the places of limits. All cells are 8-byte unsigned integers in native
order: a store is one instruction, so a reader never sees half a value. What nobody touches takes no
memory.

The layout is described inside the segment, so that the master of a newer version can carry the
counters of an older one over by name (see `carry_over`).
"""

import json
import mmap
import os
import zlib
from typing import Final

from edge.shared import bans, counters, peers, places, scoreboard
from edge.shared.registry import Kind, Registry

MAGIC: Final = int.from_bytes(b"edged-sm", "little")
FORMAT: Final = 1
HEADER_CELLS: Final = 64
DESCRIPTION_BYTES: Final = 16384
USERS: Final = Kind(what="shared name", names=512, name_bytes=64, shared=1, own=1)

TICKET_BYTES: Final = 80
_TICKETS: Final = 16
"""The header cell that counts the keys of session tickets; they stand in the ten behind it."""

_TICKETS_MADE: Final = _TICKETS + 1 + TICKET_BYTES // 8
"""When they were made."""

_READS: Final = 100

_MAGIC, _FORMAT, _SIZE, _ROWS, _CHECKSUM, _GENERATION = range(6)


class SegmentMismatch(Exception):
    """A descriptor holds no segment of this format. The message says what differs."""


class Segment:
    """A mapped segment. `fd` stays open and inheritable: children map it again after an exec."""

    def __init__(self, fd: int, rows: int) -> None:
        self.fd = fd
        self.rows = rows
        self.memory = mmap.mmap(fd, size_bytes(rows))
        self.cells = memoryview(self.memory).cast("Q")
        self._scoreboard = HEADER_CELLS + DESCRIPTION_BYTES // 8
        self._counters = self._scoreboard + rows * scoreboard.ROW_CELLS
        start = self._counters + rows * counters.ROW_CELLS
        self.users = Registry(self.memory, self.cells, fd, start, USERS)
        start += _cells_of(USERS, rows)
        self.peers = Registry(self.memory, self.cells, fd, start, peers.KIND)
        start += _cells_of(peers.KIND, rows)
        self.bans = Registry(self.memory, self.cells, fd, start, bans.KIND)
        self._buckets = start + _cells_of(bans.KIND, rows)

    def __repr__(self) -> str:
        return f"<Segment generation={self.generation} rows={self.rows} fd={self.fd}>"

    @classmethod
    def create(cls, rows: int) -> "Segment":
        """Make a new, zeroed segment for that many worker processes alive at once."""
        fd = os.memfd_create("edged-shared", 0)
        os.ftruncate(fd, size_bytes(rows))
        segment = cls(fd, rows)
        cells = segment.cells
        cells[_FORMAT] = FORMAT
        cells[_SIZE] = size_bytes(rows)
        cells[_ROWS] = rows
        description = _description()
        start = HEADER_CELLS * 8
        segment.memory[start : start + len(description)] = description
        cells[_CHECKSUM] = _checksum(rows)
        cells[_MAGIC] = MAGIC
        return segment

    @classmethod
    def attach(cls, fd: int) -> "Segment":
        """Map an inherited segment; raises `SegmentMismatch` when it is not exactly ours."""
        with mmap.mmap(fd, HEADER_CELLS * 8, access=mmap.ACCESS_READ) as header:
            cells = memoryview(header).cast("Q")
            magic, form, size, rows, checksum = cells[:5].tolist()
            cells.release()
        if magic != MAGIC:
            raise SegmentMismatch(f"descriptor {fd} holds no edged segment")
        if form != FORMAT or size != size_bytes(rows) or checksum != _checksum(rows):
            raise SegmentMismatch(f"descriptor {fd} holds a segment of another layout")
        return cls(fd, rows)

    @property
    def generation(self) -> int:
        """The generation of the table that is published."""
        return self.cells[_GENERATION]

    def publish(self, generation: int) -> None:
        """Store a new generation. Only control calls this, after its rows are committed."""
        self.cells[_GENERATION] = generation

    def ticket_keys(self) -> bytes:
        """The keys of session tickets that control made last; b"" before there are any."""
        cells = self.cells
        for _ in range(_READS):
            before = cells[_TICKETS]
            start = (_TICKETS + 1) * 8
            keys = self.memory[start : start + TICKET_BYTES]
            if before and not before & 1 and cells[_TICKETS] == before:
                return keys
        return b""

    @property
    def ticket_keys_made_ns(self) -> int:
        """When those were made, by the machine's monotonic clock; they outlive controls."""
        return self.cells[_TICKETS_MADE]

    def store_ticket_keys(self, keys: bytes, made_ns: int) -> None:
        """Give all workers other keys. Only control calls this."""
        if len(keys) != TICKET_BYTES:
            raise ValueError(f"ticket keys have {TICKET_BYTES} bytes, not {len(keys)}")
        start = (_TICKETS + 1) * 8
        odd = (self.cells[_TICKETS] + 1) | 1  # also after a control that was killed at this
        self.cells[_TICKETS] = odd  # nobody may read
        self.memory[start : start + TICKET_BYTES] = keys
        self.cells[_TICKETS_MADE] = made_ns
        self.cells[_TICKETS] = odd + 1

    def scoreboard_row(self, row: int) -> memoryview:
        """The scoreboard cells of one worker process; see `edge.shared.scoreboard`."""
        return self._row(self._scoreboard, row, scoreboard.ROW_CELLS)

    def counter_row(self, row: int) -> memoryview:
        """The counter cells of one worker process; see `edge.shared.counters`."""
        return self._row(self._counters, row, counters.ROW_CELLS)

    def bucket_row(self, row: int) -> memoryview:
        """The cells of limits for one worker process; see `edge.shared.buckets`."""
        return self._row(self._buckets, row, places.ROW_CELLS)

    # Private

    def _row(self, start: int, row: int, width: int) -> memoryview:
        if not 0 <= row < self.rows:
            raise IndexError(f"row {row} of {self.rows}")
        return self.cells[start + row * width : start + (row + 1) * width]


def size_bytes(rows: int) -> int:
    """The size of a segment with that many rows, in whole pages."""
    per_row = scoreboard.ROW_CELLS + counters.ROW_CELLS + places.ROW_CELLS
    cells = HEADER_CELLS + DESCRIPTION_BYTES // 8 + rows * per_row
    cells += sum(_cells_of(kind, rows) for kind in (USERS, peers.KIND, bans.KIND))
    return -(-(cells * 8) // mmap.PAGESIZE) * mmap.PAGESIZE


def carry_over(old_fd: int, new: Segment) -> int:
    """Add the counters of a segment of another layout to row 0 of `new`, by name.

    For an upgrade that changes the layout. Returns how many counters were carried; 0 when the
    old segment cannot be read, which loses history and nothing else.
    """
    try:
        totals = _totals(old_fd)
    except (ValueError, KeyError, OSError, TypeError):
        return 0
    row = new.counter_row(0)
    carried = 0
    for index, counter in enumerate(counters.TABLE):
        if counter.key in totals:
            row[index] += totals[counter.key]
            carried += 1
    return carried


def _cells_of(kind: Kind, rows: int) -> int:
    return kind.fixed_cells + rows * kind.row_cells


def _totals(fd: int) -> dict[str, int]:
    size = os.fstat(fd).st_size
    with mmap.mmap(fd, size, access=mmap.ACCESS_READ) as memory:
        text = memory[HEADER_CELLS * 8 : HEADER_CELLS * 8 + DESCRIPTION_BYTES].rstrip(b"\0")
        layout = json.loads(text)
        cells = memoryview(memory).cast("Q")
        rows = cells[_ROWS]
        start = HEADER_CELLS + DESCRIPTION_BYTES // 8 + rows * layout["scoreboard"]
        width = layout["counters"]
        totals = {
            key: sum(cells[start + row * width + index] for row in range(rows))
            for index, key in enumerate(layout["keys"])
        }
        cells.release()
    return totals


def _description() -> bytes:
    text = json.dumps(
        {
            "scoreboard": scoreboard.ROW_CELLS,
            "counters": counters.ROW_CELLS,
            "keys": [counter.key for counter in counters.TABLE],
        },
        separators=(",", ":"),
    ).encode()
    if len(text) > DESCRIPTION_BYTES:
        raise ValueError("the layout's description outgrew its place: raise DESCRIPTION_BYTES")
    return text


def _checksum(rows: int) -> int:
    return zlib.crc32(_description(), rows)
