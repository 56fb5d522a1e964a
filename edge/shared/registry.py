"""Names with cells: each name has cells that all processes share, and cells per row.

Who asks for a name first gives it its place, under a file lock that is held for microseconds; what
stands in the cells needs no lock, since each cell has one writer at a time. A name that was given
back leaves a gap for the next one, and `version` counts up, so that whoever remembers places knows
when to look again.
"""

import fcntl
import mmap
from dataclasses import dataclass
from typing import Final

_COUNT, _VERSION, _STAMP = 0, 1, 2
_HEADER_CELLS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How many names there may be, and what each has."""

    what: str
    names: int
    name_bytes: int
    shared: int  # cells that are the same for all
    own: int  # cells in each row

    @property
    def fixed_cells(self) -> int:
        """Cells that do not depend on the rows."""
        return _HEADER_CELLS + self.names * (self.name_bytes // 8 + self.shared)

    @property
    def row_cells(self) -> int:
        """Cells of one row."""
        return self.names * self.own


class Registry:
    """One kind of names in a segment. `start` is its first cell."""

    def __init__(
        self, memory: mmap.mmap, cells: memoryview, fd: int, start: int, kind: Kind
    ) -> None:
        self.kind = kind
        self._memory = memory
        self._fd = fd
        self._cells = cells
        self._header = cells[start : start + _HEADER_CELLS]
        self._names = (start + _HEADER_CELLS) * 8
        self._shared = start + _HEADER_CELLS + kind.names * kind.name_bytes // 8
        self._rows = start + kind.fixed_cells

    def __repr__(self) -> str:
        return f"<Registry {len(self.names())} of {self.kind.names} {self.kind.what}s>"

    @property
    def version(self) -> int:
        """Another one: a name was given back, and its place may be another's."""
        return self._header[_VERSION]

    @property
    def stamp(self) -> int:
        """Another one: somebody has given a name back, or called `touch`."""
        return self._header[_STAMP]

    def touch(self) -> None:
        """Tell who looks at `stamp` that cells have changed."""
        fcntl.lockf(self._fd, fcntl.LOCK_EX)
        try:
            self._header[_STAMP] += 1
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def names(self) -> list[str]:
        """All names by their place; "" for a place that was given back."""
        return [self._name(index) for index in range(self._header[_COUNT])]

    def claim(self, name: str) -> int:
        """The place of a name, given to it now if it has none.

        Raises `ValueError` for a name of the wrong length, `MemoryError` when all are taken.
        """
        encoded = name.encode()
        if not 0 < len(encoded) < self.kind.name_bytes:
            limit = self.kind.name_bytes - 1
            raise ValueError(f"the name of a {self.kind.what} has 1 to {limit} bytes: {name!r}")
        names = self.names()
        if name in names:
            return names.index(name)
        fcntl.lockf(self._fd, fcntl.LOCK_EX)
        try:
            names = self.names()
            return names.index(name) if name in names else self._add(encoded, names)
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def release(self, index: int) -> None:
        """Give a name's place back. The caller knows that nobody uses it; its cells become 0."""
        fcntl.lockf(self._fd, fcntl.LOCK_EX)
        try:
            self._write_name(index, b"")
            shared = self.shared(index)
            for cell in range(len(shared)):
                shared[cell] = 0
            self._header[_VERSION] += 1
            self._header[_STAMP] += 1
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def shared(self, index: int) -> memoryview:
        """The cells of a name that are the same for all."""
        start = self._shared + index * self.kind.shared
        return self._cells[start : start + self.kind.shared]

    def row(self, row: int) -> memoryview:
        """All names' cells of one row, one after the other."""
        start = self._rows + row * self.kind.row_cells
        return self._cells[start : start + self.kind.row_cells]

    def own(self, row: int, index: int) -> memoryview:
        """The cells of a name in one row."""
        start = self._rows + row * self.kind.row_cells + index * self.kind.own
        return self._cells[start : start + self.kind.own]

    # Private

    def _add(self, encoded: bytes, names: list[str]) -> int:
        index = names.index("") if "" in names else len(names)
        if index >= self.kind.names:
            raise MemoryError(f"all {self.kind.names} {self.kind.what}s are taken")
        self._write_name(index, encoded)
        self._header[_COUNT] = max(self._header[_COUNT], index + 1)
        return index

    def _name(self, index: int) -> str:
        start = self._names + index * self.kind.name_bytes
        return self._memory[start : start + self.kind.name_bytes].rstrip(b"\0").decode()

    def _write_name(self, index: int, encoded: bytes) -> None:
        start = self._names + index * self.kind.name_bytes
        self._memory[start : start + self.kind.name_bytes] = encoded.ljust(
            self.kind.name_bytes, b"\0"
        )
