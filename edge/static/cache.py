"""Small files that were served lately, in memory.

An entry counts while the path still leads to the very same state of the same file, which one `stat`
tells. That call may follow links, as it decides nothing but identity: what is in the entry was
opened beneath the root.
"""

import os
from dataclasses import dataclass
from typing import Final

MOST_BYTES: Final = 32 << 20
"""What all entries of a worker hold; past it all are forgotten, and those in use come back."""

LARGEST: Final = 65536
LASTS_S: Final = 1.0
"""An entry is made anew after that long, since a precompressed file may have come to be."""

Identity = tuple[int, int, int, int]
Key = tuple[str, str, str]
"""Pattern of the route, path, and codings that the client takes."""


@dataclass(slots=True)
class Entry:
    """One file as it is answered to a plain GET."""

    place: str  # where it was found
    identity: Identity
    options: object  # of the route that it was made for
    block: bytes  # the fields of the answer
    data: bytes
    until: float


def identity_of(found: os.stat_result) -> Identity:
    """What tells one state of a file from another."""
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


class Cache:
    """The entries of one worker."""

    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = {}
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Cache {len(self._entries)} files, {self._bytes} bytes>"

    def find(self, key: Key, options: object, now: float) -> Entry | None:
        """The entry of a file that is still the same."""
        entry = self._entries.get(key)
        if entry is None or entry.until < now or entry.options is not options:
            return None
        try:
            found = os.stat(entry.place)
        except OSError:
            return None
        same = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size) == entry.identity
        return entry if same else None

    def keep(self, key: Key, entry: Entry) -> None:
        """Remember a file."""
        old = self._entries.get(key)
        self._bytes += len(entry.data) - (len(old.data) if old is not None else 0)
        if self._bytes > MOST_BYTES:
            self._entries.clear()
            self._bytes = len(entry.data)
        self._entries[key] = entry
