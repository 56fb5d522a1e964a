"""One deploy to several hosts: all build and prove it, then all switch, or none does.

Each host holds what it has proven until it gets the word. A host that is lost before that undoes
its part by itself; when one fails at the switch, those that have switched go back.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, Final

import click

from control.cli.client import EXIT_REFUSED, Failure
from control.cli.show import printable
from control.cli.ssh import Remote, Tunnel

HOLD_S: Final = 3600
"""So long a host waits for the slowest of the others; one that is left alone does not."""

PIECE_BYTES: Final = 1 << 16
COLOURS: Final = ("cyan", "magenta", "yellow", "green", "blue")

Document = dict[str, Any]


def deploy_to(
    remotes: Sequence[Remote], archive: IO[bytes], name: str, env: str, sent: Callable[[int], None]
) -> list[Document]:
    """The outcome of each host. `sent` hears of the bytes. Raises `Failure`: nobody has switched,
    unless it says so."""
    lock = threading.Lock()

    def count(size: int) -> None:
        with lock:
            sent(size)

    # On the way out the tunnels go first: that ends what the threads wait for.
    with ThreadPoolExecutor(len(remotes)) as pool, contextlib.ExitStack() as stack:
        parts = [
            _Part(stack.enter_context(Tunnel(remote)), COLOURS[number % len(COLOURS)])
            for number, remote in enumerate(remotes)
        ]
        for part in parts:
            part.look(f"{name}/{env}")
        query = [("name", name), ("env", env), ("hold", str(HOLD_S))]
        [*pool.map(lambda part: part.prepare(query, archive, count), parts)]
        if any(part.problem for part in parts):
            [*pool.map(_Part.abandon, parts)]
            raise _failure(parts, "No host has switched.")
        [*pool.map(_Part.commit, parts)]
        if any(part.problem for part in parts):
            back = [part.go_back() for part in parts if not part.problem]
            raise _failure(parts, "\n".join(["Not all hosts have switched.", *back]))
        return [{"host": part.name, **part.outcome} for part in parts]


class _Part:
    """The part of one host. Its methods raise nothing: `problem` says what was wrong."""

    def __init__(self, tunnel: Tunnel, colour: str) -> None:
        self.name = tunnel.remote.name
        self.problem: Failure | None = None
        self.outcome: Document = {}
        self._tunnel = tunnel
        self._client = tunnel.client
        self._prefix = click.style(f"[{self.name}]", fg=colour)
        self._app = ""
        self._before = 0  # the release that served
        self._held = ""
        self._lines: Iterator[Document] = iter(())

    def look(self, app: str) -> None:
        """Whether edged is there, and what serves now. Raises `Failure`."""
        try:
            apps = self._client.get("/v1/apps")["apps"]
        except Failure as failure:
            raise self._tunnel.explain(failure) from None
        self._app = app
        self._before = next((each["release"] for each in apps if each["app"] == app), 0)

    def prepare(
        self, query: list[tuple[str, str]], archive: IO[bytes], sent: Callable[[int], None]
    ) -> None:
        """Until it is proven, and held."""
        size = os.fstat(archive.fileno()).st_size
        pieces = _pieces(archive, size, sent)
        self._lines = self._client.upload("/v1/deploy", query, pieces, size)
        self._hear()
        if not self._held and self.problem is None:
            self.problem = Failure("no-answer", "edged did not hold the deploy.", EXIT_REFUSED)

    def commit(self) -> None:
        """Have it switch, and wait for that."""
        try:
            self._client.post("/v1/deploy/commit", held=self._held)
        except Failure as failure:
            self.problem = failure
            return
        self._hear()

    def abandon(self) -> None:
        """Undo what is held, and wait for that."""
        if self._held and not self.problem:
            with contextlib.suppress(Failure):
                self._client.post("/v1/deploy/abandon", held=self._held)
            self._hear()
            self.problem = None  # it did as it was told

    def go_back(self) -> str:
        """Undo a switch; what came of it."""
        try:
            if self._before:
                self._client.post("/v1/rollback", None, app=self._app, release=self._before)
                return f"{self.name} serves release {self._before} again."
            self._client.post("/v1/apps/stop", None, app=self._app)
        except Failure as failure:
            return f"{self.name} still serves the new release: {failure}"
        return f"{self.name} had no release before: the app is stopped there."

    # Private

    def _hear(self) -> None:
        """Show what it tells, until it holds or is over."""
        try:
            for document in self._lines:
                if "line" in document:
                    click.echo(f"{self._prefix} {printable(document['line'])}", err=True)
                elif "held" in document:
                    self._held = document["held"]
                    click.echo(f"{self._prefix} proven; it waits for the other hosts", err=True)
                    return
                elif "error" in document:
                    lines = [
                        document["message"],
                        *(f"  | {each}" for each in document.get("output", ())),
                    ]
                    self.problem = Failure(document["error"], "\n".join(lines), EXIT_REFUSED)
                else:
                    self.outcome = document
        except Failure as failure:
            self.problem = self._tunnel.explain(failure)


# Private


def _pieces(archive: IO[bytes], size: int, sent: Callable[[int], None]) -> Iterator[bytes]:
    """The archive, which others read at the same time."""
    place = 0
    while place < size:
        piece = os.pread(archive.fileno(), PIECE_BYTES, place)
        yield piece
        sent(len(piece))
        place += len(piece)


def _failure(parts: Sequence[_Part], end: str) -> Failure:
    failed = [part for part in parts if part.problem]
    lines = [f"{part.name}: {part.problem}" for part in failed]
    codes = {part.name: part.problem.document["error"] for part in failed if part.problem}
    return Failure("deploy-failed", "\n".join([*lines, end]), EXIT_REFUSED, {"hosts": codes})
