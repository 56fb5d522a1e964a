"""Publishing: rows of a new generation, committed, then announced, then acknowledged by workers.

Only rows that differ from what is published get the new generation, so a change costs what changed
and not what there is. A removed key stays as a row without value (a tombstone) for as long as a
worker may have to learn of it.

The order is: `prepare` (rows written in an open transaction), whatever else may fail, `commit`,
`announce` (the generation stored in shared memory, the doorbells rung), `wait` (acks in the
scoreboard). One publish at a time: hold `lock` from `prepare` on.
"""

import grp
import os
import pwd
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import gevent
from gevent.lock import RLock

from control.events import wall_time
from control.refusal import Refused
from control.state import explained, patiently
from edge.shared.scoreboard import Column, State
from edge.shared.segment import Segment
from edge.table.model import TABLE_FORMAT, Route, Settings, encode
from edge.table.reader import SCHEMA
from supervisor.spec import Spec

T = TypeVar("T")

ACK_WAIT_S: Final = 10.0
FIRST_PAUSE_S: Final = 0.0005
LONGEST_PAUSE_S: Final = 0.02
MODE: Final = 0o640
SETTINGS: Final = "settings"
ROUTE: Final = "route:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to be published: texts by key, and the keys that go."""

    put: Mapping[str, str]
    removed: tuple[str, ...] = ()
    added: int = 0  # routes of `put` that are new
    changed: int = 0  # and those that were there; the settings count as neither

    @property
    def gone(self) -> int:
        """Routes of `removed`."""
        return sum(key.startswith(ROUTE) for key in self.removed)

    def __bool__(self) -> bool:
        return bool(self.put or self.removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A generation that workers were told of."""

    generation: int
    unacked: tuple[int, ...] = ()  # slots whose workers have not taken it up in time


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """To whom the table's files belong: -1 leaves it as it is."""

    uid: int = -1
    gid: int = -1


class Publisher:
    """The one writer of table.db, and the one caller of `Segment.publish`."""

    def __init__(
        self, path: str, segment: Segment, doorbells: Sequence[int], owner: Owner | None = None
    ) -> None:
        self.path = path
        self.segment = segment
        self.doorbells = doorbells
        self.owner = owner or Owner()
        self.published: dict[str, str] = {}
        self.generation = 0
        self.problem: Refused | None = None
        self.lock = RLock()
        self.announcing: Callable[[Mapping[str, str]], None] = lambda published: None
        self._connection: sqlite3.Connection | None = None
        self._pending: Changes | None = None

    def __repr__(self) -> str:
        return f"<Publisher generation={self.generation} entries={len(self.published)}>"

    @property
    def is_open(self) -> bool:
        """Whether what is published is known."""
        return self._connection is not None

    @property
    def routes(self) -> int:
        """How many routes are published."""
        return sum(key.startswith(ROUTE) for key in self.published)

    def open(self) -> None:
        """Take up what the file holds. Raises `Refused`.

        The file only repeats what the configuration says. So when no worker uses it, one that
        cannot be read is made anew.
        """
        alone = not any(row[Column.STATE] in _SERVING for row in self._rows())
        try:
            self._try(self._open)
        except Refused as refusal:
            if not alone or refusal.code not in ("database-corrupt", "table-format"):
                raise
            for suffix in ("", "-wal", "-shm"):
                Path(self.path + suffix).unlink(missing_ok=True)
            self._try(self._open)
        if alone:
            self._try(self._purge)

    def changes(self, wanted: Mapping[str, str]) -> Changes:
        """What makes the table that one."""
        published = self.published
        put = {key: text for key, text in wanted.items() if published.get(key) != text}
        removed = tuple(key for key in published if key not in wanted)
        routes = [key for key in put if key.startswith(ROUTE)]
        added = sum(key not in published for key in routes)
        return Changes(put=put, removed=removed, added=added, changed=len(routes) - added)

    def publish(self, changes: Changes, within_s: float = ACK_WAIT_S) -> Published:
        """The whole way. Raises `Refused`; the table is then as it was."""
        with self.lock:
            self.prepare(changes)
            self.commit()
            self.announce()
            return Published(generation=self.generation, unacked=self.wait(within_s))

    def prepare(self, changes: Changes) -> None:
        """Write the rows without committing them. Raises `Refused`: nothing is written then."""

        def write(connection: sqlite3.Connection) -> None:
            patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
            generation = self._next()
            rows: list[tuple[str, int, str | None]] = [
                (key, generation, text) for key, text in changes.put.items()
            ]
            rows += [(key, generation, None) for key in changes.removed]
            connection.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, ?)", rows)
            connection.execute(
                "INSERT OR REPLACE INTO meta VALUES ('generation', ?)", (generation,)
            )

        if not self.is_open:
            self.open()
        self._try(write)
        self._pending = changes

    def commit(self) -> None:
        """Make the prepared rows the table. Raises `Refused`: nothing is written then."""
        if self._pending is None:
            raise RuntimeError("commit without prepare")
        changes, self._pending = self._pending, None
        self._try(lambda connection: connection.execute("COMMIT"))
        self.generation = self._next()
        self.published.update(changes.put)
        for key in changes.removed:
            self.published.pop(key, None)

    def rollback(self) -> None:
        """Forget the prepared rows."""
        self._pending = None
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def announce(self) -> None:
        """Tell the workers the generation that is committed; `announcing` hears of it first."""
        self.announcing(self.published)
        self.segment.publish(self.generation)
        for number, row in enumerate(self._rows()):
            if row[Column.STATE]:
                self._ring(self.doorbells[number])

    def wait(self, within_s: float = ACK_WAIT_S) -> tuple[int, ...]:
        """Wait until all live workers serve the generation; the slots of those that do not."""
        deadline = time.monotonic() + within_s
        pause_s = FIRST_PAUSE_S
        while True:
            behind = self.behind()
            if not behind or time.monotonic() >= deadline:
                return behind
            gevent.sleep(pause_s)
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)

    def behind(self) -> tuple[int, ...]:
        """The slots of live workers that serve an older generation."""
        return tuple(
            sorted(
                {
                    row[Column.SLOT]
                    for row in self._rows()
                    if row[Column.STATE] in _SERVING and row[Column.ACKED] < self.generation
                }
            )
        )

    def first_worker_started(self) -> float:
        """The wall time at which the oldest live worker was started; now without any."""
        started = [row[Column.STARTED] for row in self._rows() if row[Column.STATE]]
        age_s = (time.monotonic_ns() - min(started)) / 1e9 if started else 0.0
        return wall_time() - age_s

    # Private

    def _rows(self) -> list[memoryview]:
        return [self.segment.scoreboard_row(number) for number in range(self.segment.rows)]

    def _next(self) -> int:
        return max(self.generation, self.segment.generation) + 1

    def _ring(self, doorbell: int) -> None:
        try:
            os.eventfd_write(doorbell, 1)
        except BlockingIOError:
            return  # it is ringing already

    def _try(self, act: Callable[[sqlite3.Connection], object]) -> None:
        try:
            connection = self._connection or self._connect()
            act(connection)
        except sqlite3.Error as error:
            self._fail(explained(error, self.path))
        except OSError as error:
            self._fail(Refused("database-failed", f"{self.path}: {error.strerror or error}."))
        except Refused as refusal:
            self._fail(refusal)
        self.problem = None

    def _fail(self, refusal: Refused) -> None:
        """Close what is in an unknown state; what is published stays known."""
        self.problem = refusal
        if self._connection is not None:
            if self._connection.in_transaction:
                self._connection.rollback()
            self._connection.close()
            self._connection = None
        raise refusal from None

    def _connect(self) -> sqlite3.Connection:
        os.makedirs(os.path.dirname(self.path), mode=0o711, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            # SQLite gives -wal and -shm the owner and the mode that the file itself has.
            os.fchmod(fd, MODE)
            os.fchown(fd, self.owner.uid, self.owner.gid)
        finally:
            os.close(fd)
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=0)
        self._connection = connection
        patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"))
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _open(self, connection: sqlite3.Connection) -> None:
        patiently(lambda: connection.executescript(SCHEMA))
        patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
        meta = dict(connection.execute("SELECT name, value FROM meta"))
        found = meta.get("format", TABLE_FORMAT)
        if found != TABLE_FORMAT:
            raise Refused(
                "table-format",
                f"{self.path} has format {found} and this edged writes {TABLE_FORMAT}:"
                " restart edged.",
            )
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('format', ?)", (TABLE_FORMAT,))
        rows = connection.execute("SELECT key, value FROM entry WHERE value IS NOT NULL")
        published = dict(rows.fetchall())
        connection.execute("COMMIT")
        self.published = published
        self.generation = int(meta.get("generation", 0))

    def _purge(self, connection: sqlite3.Connection) -> None:
        patiently(lambda: connection.execute("DELETE FROM entry WHERE value IS NULL"))


def rows_of(routes: Iterable[Route]) -> dict[str, str]:
    """The rows of routes."""
    return {ROUTE + route.pattern: encode(route) for route in routes}


def entries(routes: Iterable[Route], settings: Settings) -> dict[str, str]:
    """The table of a configuration."""
    table = rows_of(routes)
    table[SETTINGS] = encode(settings)
    return table


def owner_of(spec: Spec) -> Owner:
    """Who may read the table besides us: the group of the workers."""
    if os.geteuid() != 0 or not spec.user:
        return Owner()
    if spec.group:
        return Owner(gid=grp.getgrnam(spec.group).gr_gid)
    return Owner(gid=pwd.getpwnam(spec.user).pw_gid)


# Private

_SERVING: Final = (State.READY, State.DRAINING)
