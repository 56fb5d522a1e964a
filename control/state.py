"""What control must know again after it was killed: the applied configuration, and the events.

SQLite in WAL mode, `state.db`, readable by nobody else. The schema grows by numbered migrations;
a file that a newer edged has migrated is refused, not guessed at.

A database that is locked, full or corrupt is a problem that `edgectl status` names, never a reason
to stop: what can wait (events) waits in memory, what cannot (a reload) is refused.
"""

import json
import os
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypeVar

import gevent
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from control.hookcheck import HookReport
from control.refusal import Refused

T = TypeVar("T")

LOCK_WAIT_S: Final = 2.0
LOCK_PAUSE_S: Final = 0.02
EVENTS_KEPT: Final = 10_000
MODE: Final = 0o600

migrations = Migrations("edged-state")


@migrations(name="001_applied_and_events")  # type: ignore[untyped-decorator]
def _applied_and_events(database: Database) -> None:
    database["applied"].create(
        {"id": int, "text": str, "path": str, "time": float, "generation": int,
         "hooks": str, "in_force": int},
        pk="id",
    )  # fmt: skip
    database["event"].create({"id": int, "value": str}, pk="id")


@migrations(name="002_kept")  # type: ignore[untyped-decorator]
def _kept(database: Database) -> None:
    database["kept"].create({"name": str, "value": str}, pk="name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A configuration that is, or is about to be, in force."""

    text: str
    path: str
    time: float  # seconds since 1970
    generation: int = 0
    hooks: HookReport = field(default_factory=HookReport)


class State:
    """The state database. Its methods raise `Refused` when it cannot do its part."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.problem: Refused | None = None
        self._database: Database | None = None

    def __repr__(self) -> str:
        state = "broken" if self.problem else "open" if self._database else "closed"
        return f"<State {state} {self.path}>"

    def applied(self) -> Applied | None:
        """The configuration in force, or None when there never was one."""

        def read(database: Database) -> Applied | None:
            rows = list(database.query("SELECT * FROM applied WHERE in_force = 1 ORDER BY id"))
            return _applied_of(rows[-1]) if rows else None

        return self.change(read)

    def stage(self, applied: Applied) -> int:
        """Write down what is about to be applied; shows that there is room for it. Its number."""

        def write(database: Database) -> int:
            database.execute("DELETE FROM applied WHERE in_force = 0")
            row = asdict(applied) | {"hooks": json.dumps(asdict(applied.hooks)), "in_force": 0}
            number: int = database["applied"].insert(row).last_pk
            return number

        return self.change(write)

    def enforce(self, number: int, generation: int) -> None:
        """The staged configuration is the one in force from now on."""

        def write(database: Database) -> None:
            database.execute("UPDATE applied SET in_force = 0 WHERE in_force = 1")
            database.execute(
                "UPDATE applied SET in_force = 1, generation = ? WHERE id = ?", (generation, number)
            )

        self.change(write)

    def restore(self, number: int) -> None:
        """Undo `enforce`: the configuration before that one is in force again."""

        def write(database: Database) -> None:
            database.execute("UPDATE applied SET in_force = 0")
            database.execute(
                "UPDATE applied SET in_force = 1"
                " WHERE id = (SELECT max(id) FROM applied WHERE id < ?)",
                (number,),
            )

        self.change(write)

    def add_events(self, events: list[dict[str, Any]]) -> None:
        """Keep events, which have their ids; the oldest beyond the limit go."""

        def write(database: Database) -> None:
            rows = [{"id": entry["id"], "value": json.dumps(entry)} for entry in events]
            database["event"].insert_all(rows, replace=True)
            database.execute(
                "DELETE FROM event WHERE id <="
                " (SELECT id FROM event ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (EVENTS_KEPT,),
            )

        self.change(write)

    def events(self, limit: int, after: int = 0) -> list[dict[str, Any]]:
        """The latest events, oldest first."""

        def read(database: Database) -> list[dict[str, Any]]:
            rows = database.execute(
                "SELECT value FROM event WHERE id > ? ORDER BY id DESC LIMIT ?", (after, limit)
            ).fetchall()
            return [event for (text,) in reversed(rows) if (event := _event_of(text))]

        return self.change(read)

    def keep(self, name: str, value: object) -> None:
        """Keep a value, as JSON, instead of the one of that name."""

        def write(database: Database) -> None:
            row = {"name": name, "value": json.dumps(value)}
            database["kept"].insert(row, replace=True)

        self.change(write)

    def keep_copy(self, name: str, other: str) -> None:
        """Keep what is kept under one name under another one, too, just as it is."""

        def write(database: Database) -> None:
            database.execute(
                "INSERT OR REPLACE INTO kept SELECT ?, value FROM kept WHERE name = ?",
                (other, name),
            )

        self.change(write)

    def kept(self, name: str) -> Any:  # noqa: ANN401  any JSON: who keeps it knows its shape
        """The value of that name, or None. What is no JSON is refused as `value-damaged`, which is
        no problem of the database."""

        def read(database: Database) -> str | None:
            row = database.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
            return None if row is None else row[0]

        text = self.change(read)
        try:
            return None if text is None else json.loads(text)
        except (TypeError, ValueError):
            raise Refused(
                "value-damaged",
                f'What is kept as "{name}" in {self.path} is no JSON: restore it from a backup.',
            ) from None

    def names(self, prefix: str) -> tuple[str, ...]:
        """The names with that beginning under which something is kept, in their order."""

        def read(database: Database) -> tuple[str, ...]:
            rows = database.execute(
                "SELECT name FROM kept WHERE substr(name, 1, ?) = ? AND value <> 'null'"
                " ORDER BY name",
                (len(prefix), prefix),
            )
            return tuple(name for (name,) in rows)

        return self.change(read)

    def change(self, act: Callable[[Database], T]) -> T:
        """Run `act` in a transaction of its own; it must not wait. Raises `Refused`.

        Without an argument worth naming it is also the question whether the database works again.
        """
        try:
            database = self._database or self._open()
            patiently(lambda: database.execute("BEGIN IMMEDIATE"))
            try:
                result = act(database)
                database.execute("COMMIT")
            except BaseException:
                if database.conn.in_transaction:
                    database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            self.problem = explained(error, self.path)
            self._close()
            raise self.problem from None
        except OSError as error:
            self.problem = Refused("database-failed", f"{self.path}: {error.strerror or error}.")
            raise self.problem from None
        except Refused as refusal:
            self.problem = refusal
            raise
        self.problem = None
        return result

    # Private

    def _open(self) -> Database:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE))
        os.chmod(self.path, MODE)
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=0)
        try:
            database = Database(connection)
            patiently(lambda: database.execute("PRAGMA journal_mode = WAL"))
            database.execute("PRAGMA synchronous = NORMAL")
            self._migrate(database)
        except BaseException:
            connection.close()
            raise
        self._database = database
        return database

    def _migrate(self, database: Database) -> None:
        known = {migration.name for migration in migrations.pending(Database(memory=True))}
        newer = {migration.name for migration in migrations.applied(database)} - known
        if newer:
            raise Refused(
                "state-newer",
                f"{self.path} was written by a newer edged (it has {', '.join(sorted(newer))}):"
                " run that version, or move the file away to start without its history.",
            )
        if migrations.pending(database):
            patiently(lambda: migrations.apply(database))

    def _close(self) -> None:
        if self._database is not None:
            self._database.conn.close()
            self._database = None


def patiently(act: Callable[[], T], within_s: float = LOCK_WAIT_S) -> T:
    """Do what SQLite may refuse because of a lock, again and again without blocking the loop."""
    left = int(within_s / LOCK_PAUSE_S)
    while True:
        try:
            return act()
        except sqlite3.OperationalError as error:
            left -= 1
            if left <= 0 or error.sqlite_errorcode & 0xFF not in _LOCKED:
                raise
        gevent.sleep(LOCK_PAUSE_S)


def explained(error: sqlite3.Error, path: str) -> Refused:
    """What an operator reads about a database that failed."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _LOCKED:
        return Refused(
            "database-locked",
            f"{path} is locked by another process: find it with 'fuser {path}' and let it finish.",
        )
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return Refused("disk-full", f"{path} cannot be written ({error}): make room on its disk.")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Refused(
            "database-corrupt",
            f"{path} is corrupt ({error}): restore it, or move it away and restart edged.",
        )
    return Refused("database-failed", f"{path}: {error}.")


# Private

_LOCKED: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _event_of(text: str) -> dict[str, Any]:
    """{} for one that is damaged: history must not keep control from its work."""
    try:
        event = json.loads(text)
    except (TypeError, ValueError):
        return {}
    is_event = isinstance(event, dict) and {"id", "time", "event", "text"} <= event.keys()
    return event if is_event else {}


def _applied_of(row: dict[str, Any]) -> Applied:
    return Applied(
        text=row["text"],
        path=row["path"],
        time=row["time"],
        generation=row["generation"],
        hooks=HookReport.from_json(row["hooks"]),
    )
