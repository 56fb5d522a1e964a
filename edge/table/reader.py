"""The table as workers read it: from SQLite, whole once, and then only the rows that changed.

Rows stay JSON text until a request matches them, so 100,000 routes are read in a moment and the
memory goes to those that are used.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from edge.table.match import Candidate, Router
from edge.table.model import (
    TABLE_FORMAT,
    Certificate,
    Route,
    Settings,
    decode_certificate,
    decode_route,
    decode_settings,
)

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entry (
    key TEXT PRIMARY KEY,       -- "settings"; "route:" and a canonical pattern; "cert:" and a name;
                                -- "http-01:" and a token; "alpn-01:" and a name
    generation INTEGER NOT NULL,
    value TEXT                  -- what edge.table.model.encode gives; NULL: removed
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entry_generation ON entry (generation);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
"""
"""What control creates. `meta` holds `format` and `generation`."""

FEW: Final = 1000
"""Changes up to this many are applied in place, in one go; more are built beside the old table."""

_SLICE: Final = 2000
_ROUTE: Final = "route:"


class TableError(Exception):
    """The table cannot be read. The message says which file, and why."""


class _Row:
    """A route's text until it is first asked for, then the route."""

    __slots__ = ("route", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.route: Route | None = None

    def get(self) -> Route:
        if self.route is None:
            self.route = decode_route(self.text)
        return self.route


class Table:
    """All routes and settings of one generation."""

    __slots__ = ("_alpn", "_certificates", "_router", "_tokens", "generation", "settings")

    def __init__(self) -> None:
        self.generation = 0
        self.settings = Settings()
        self._router: Router[_Row] = Router()
        self._certificates: dict[str, str | Certificate] = {}  # text until it is asked for
        self._tokens: dict[str, str] = {}
        self._alpn: dict[str, Certificate] = {}

    def __repr__(self) -> str:
        return f"<Table generation={self.generation} routes={len(self)}>"

    def __len__(self) -> int:
        return len(self._router)

    def find(self, host: str, path: str) -> Route | None:
        """The route of a canonical host and a normalised path, or None."""
        row = self._router.find(host, path)
        return None if row is None else row.route or row.get()

    def named(self, pattern: str) -> Route | None:
        """The route of that pattern, or None."""
        row = self._router.named(pattern)
        return None if row is None else row.get()

    def certificate(self, name: str) -> Certificate | None:
        """The certificate for a canonical name: its own, or that of a wildcard one label above."""
        found = self._certificates.get(name)
        if found is None:
            name = f"*.{name.partition('.')[2]}"
            found = self._certificates.get(name)
        if isinstance(found, str):
            found = self._certificates[name] = decode_certificate(found)
        return found

    def token(self, token: str) -> str | None:
        """The answer to an HTTP-01 challenge (RFC 8555 section 8.3)."""
        return self._tokens.get(token)

    def challenge(self, name: str) -> Certificate | None:
        """The certificate that answers a TLS-ALPN-01 challenge (RFC 8737)."""
        return self._alpn.get(name)

    @property
    def has_challenges(self) -> bool:
        """Whether some name has a TLS-ALPN-01 challenge now."""
        return bool(self._alpn)

    def candidates(self, host: str, path: str) -> list[Candidate[Route]]:
        """Every route whose host fits, for `explain`."""
        return [
            Candidate(pattern=c.pattern, value=c.value.get(), chosen=c.chosen, why=c.why)
            for c in self._router.candidates(host, path)
        ]

    def put(self, key: str, value: str | None) -> None:
        """Apply one row. Raises `ValueError` or `TypeError` for a row of another format."""
        if key.startswith(_ROUTE):
            if value is None:
                self._router.remove(key[len(_ROUTE) :])
            else:
                self._router.put(key[len(_ROUTE) :], _Row(value))
        elif key == "settings" and value is not None:
            self.settings = decode_settings(value)
        else:
            self._put_secret(key, value)

    # Private

    def _put_secret(self, key: str, value: str | None) -> None:
        kind, _, name = key.partition(":")
        if kind == "cert":
            _set(self._certificates, name, value)
        elif kind == "http-01":
            _set(self._tokens, name, value)
        elif kind == "alpn-01":
            _set(self._alpn, name, None if value is None else decode_certificate(value))


class TableReader:
    """Reads one `table.db`, without ever writing to it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def read(self, pause: Callable[[], None] = lambda: None) -> Table:
        """The whole table. Raises `TableError`."""
        rows, generation = self._rows(-1)
        return _fill(Table(), rows, generation, pause)

    def refresh(
        self, table: Table, generation: int, pause: Callable[[], None] = lambda: None
    ) -> Table:
        """The table to use from now on. Few changes go into `table` itself, between two requests.

        Many would keep requests waiting: they go into a new table, in slices with `pause` between.
        Raises `TableError`; `table` is then as it was.
        """
        rows, newest = self._rows(table.generation)
        if newest < generation and not rows:
            return table
        if len(rows) <= FEW:
            return _fill(table, rows, newest, lambda: None)
        return self.read(pause)

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # Private

    def _rows(self, after: int) -> tuple[list[tuple[str, str | None]], int]:
        try:
            connection = self._connection or self._open()
            connection.execute("BEGIN")
            try:
                meta = dict(connection.execute("SELECT name, value FROM meta"))
                sql = "SELECT key, value FROM entry WHERE generation > ? ORDER BY key"
                if after < 0:
                    sql = "SELECT key, value FROM entry WHERE value IS NOT NULL AND ? < 0"
                rows = connection.execute(sql, (after,)).fetchall()
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.close()
            raise TableError(f"{self.path}: {error}") from None
        if meta.get("format") != TABLE_FORMAT:
            raise TableError(f"{self.path}: format {meta.get('format')}, this reads {TABLE_FORMAT}")
        return rows, int(meta.get("generation", 0))

    def _open(self) -> sqlite3.Connection:
        if not Path(self.path).exists():
            raise TableError(f"{self.path}: no such file")
        uri = f"file:{quote(self.path)}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=2.0)
        self._connection = connection
        return connection


def _set(rows: dict[str, Any], name: str, value: object) -> None:
    if value is None:
        rows.pop(name, None)
    else:
        rows[name] = value


def _fill(
    table: Table,
    rows: list[tuple[str, str | None]],
    generation: int,
    pause: Callable[[], None],
) -> Table:
    for start in range(0, len(rows), _SLICE):
        if start:
            pause()
        for key, value in rows[start : start + _SLICE]:
            try:
                table.put(key, value)
            except (ValueError, TypeError, KeyError) as error:
                raise TableError(f"row {key!r} cannot be read: {error}") from None
    table.generation = generation
    return table
