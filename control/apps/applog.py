"""The log of one app: what its instances print, kept, read back, and told live.

Rule 1: the app is not kept waiting. What a read of its output gave is written at once, in one call,
        and what is too much is dropped and counted.
Rule 2: what is written is whole lines of UTF-8, whatever an app prints; a line's end that does not
        come is not waited for.
Rule 3: a disk that takes nothing costs lines, never more; the log says once that it happened and,
        when it is over, how many it cost.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import gevent

from control.apps.flood import Gate
from control.apps.follower import Follower
from control.apps.logfiles import LogFiles
from control.apps.logline import (
    NOBODY,
    PIECE_BYTES,
    Line,
    Stream,
    cut,
    head_of,
    read,
    repaired,
    written,
)  # fmt: skip
from control.events import wall_time
from control.text import is_utf_8

log = logging.getLogger("control.apps")

HOLD_S: Final = 0.5
"""So long the end of a line is waited for."""

NOTE_S: Final = 1.0
"""So often a flood says how much of it was dropped."""

SCAN_BYTES: Final = 8 << 20
"""`tail` reads no more: the loop waits for it."""

Source = tuple[str, Stream]
Clock = Callable[[], float]


class AppLog:
    """One app's log. Nothing here raises because of a disk, and nothing waits."""

    def __init__(
        self, files: LogFiles, gate: Gate | None = None, clock: Clock = time.monotonic
    ) -> None:
        self.broken = ""  # why nothing can be written
        self._files = files
        self._gate = gate or Gate()
        self._clock = clock
        self._held: dict[
            Source, tuple[bytes, float]
        ] = {}  # lines without their end, and since when
        self._followers: set[Follower] = set()
        self._timer: gevent.Greenlet | None = None
        self._dropped = 0
        self._noted_at = 0.0
        self._lost = 0

    def __repr__(self) -> str:
        state = f"broken ({self.broken})" if self.broken else "well"
        return f"<AppLog {state} {self._files.folder} followers={len(self._followers)}>"

    # Writing

    def feed(self, instance: str, stream: Stream, output: bytes) -> None:
        """What an instance has printed, in whatever pieces it comes."""
        now = self._clock()
        source = (instance, stream)
        held, _ = self._held.pop(source, (b"", 0.0))
        whole, newline, rest = (held + output).rpartition(b"\n")
        if newline:
            self._admit(source, whole, now)
        if len(rest) > PIECE_BYTES:
            *pieces, rest = cut(rest)
            admitted = self._gate.admit(len(pieces), len(pieces) * PIECE_BYTES, now)
            self._dropped += len(pieces) - admitted
            self._write(source, pieces[:admitted], goes_on=True)
        if rest:
            self._held[source] = (rest, now)
        self._note_flood(now)
        if (self._held or self._dropped) and self._timer is None:
            self._timer = gevent.spawn_later(HOLD_S, self._look)

    def end(self, instance: str) -> None:
        """The instance is gone: what it printed last is a line, whether it has its end or not."""
        for source in [source for source in self._held if source[0] == instance]:
            self._write(source, [self._held.pop(source)[0]])

    def say(self, text: str, instance: str = NOBODY) -> None:
        """Something that edged has to say between the lines."""
        self._write((instance, Stream.EDGED), text.encode(errors="replace").split(b"\n"))

    def settle(self) -> None:
        """Write what is held, and close the file until the next line: the app sleeps."""
        for instance, _ in tuple(self._held):
            self.end(instance)
        self._note_flood(self._clock() + NOTE_S)
        self._files.close()

    def close(self) -> None:
        """Settle, and tell those who follow that it is over."""
        self.settle()
        if self._timer is not None:
            self._timer.kill(block=False)
            self._timer = None
        for follower in tuple(self._followers):
            follower.end()

    # Reading

    def tail(self, count: int, instance: str = "") -> list[Line]:
        """The last lines, of one instance or of all, the oldest first."""
        found: list[Line] = []
        left = SCAN_BYTES
        mark = f" {instance} ".encode() if instance else b""
        for raw in self._files.backward() if count > 0 else ():
            left -= len(raw)
            if mark in raw:  # or it is not worth reading
                line = read(raw)
                if line is not None and instance in ("", line.instance):
                    found.append(line)
            if len(found) == count or left <= 0:
                break
        return found[::-1]

    def follow(self, idle_s: float, history: int = 0, instance: str = "") -> Iterator[Line | None]:
        """The last lines and then each that comes; None when there was none for `idle_s`."""
        follower = Follower()
        self._followers.add(follower)
        try:
            yield from self.tail(history, instance)  # nothing waits between these two
            for line in follower.lines(idle_s):
                if line is None or instance in ("", line.instance) or line.instance == NOBODY:
                    yield line
        finally:
            self._followers.discard(follower)

    # Private

    def _admit(self, source: Source, whole: bytes, now: float) -> None:
        """Write the lines that may pass; the others are not even looked at."""
        count = whole.count(b"\n") + 1
        admitted = self._gate.admit(count, len(whole), now)
        self._dropped += count - admitted
        if admitted == count:
            self._write(source, whole.split(b"\n"))
        elif admitted:
            self._write(source, whole.split(b"\n", admitted)[:admitted])

    def _write(self, source: Source, texts: Sequence[bytes], goes_on: bool = False) -> None:
        if not texts:
            return
        instance, stream = source
        now = wall_time()
        head = head_of(now, stream, instance, goes_on)
        if len(max(texts, key=len)) > PIECE_BYTES:
            self._write_cut(source, texts)
            return
        content = written(head, texts)
        if not is_utf_8(content):
            texts = repaired(texts)
            content = written(head, texts)
        self._keep(content, len(texts))
        if self._followers:
            lines = [read(line) for line in content.split(b"\n")[:-1]]
            for follower in self._followers:
                follower.add([line for line in lines if line is not None])

    def _write_cut(self, source: Source, texts: Sequence[bytes]) -> None:
        for text in texts:
            *pieces, last = cut(text)
            self._write(source, pieces, goes_on=True)
            self._write(source, [last])

    def _keep(self, content: bytes, count: int) -> None:
        why = self._files.append(content)
        if why:
            self._lost += count
            if not self.broken:
                log.error("log in %s: %s: lines are lost", self._files.folder, why)
            self.broken = why
        elif self.broken:
            lost, why = self._lost, self.broken
            self._lost, self.broken = 0, ""
            self.say(f"up to {lost:,} lines before these were lost: {why}")

    def _note_flood(self, now: float) -> None:
        if self._dropped and now - self._noted_at >= NOTE_S:
            dropped, self._dropped, self._noted_at = self._dropped, 0, now
            self.say(f"{dropped:,} lines were dropped: more than {self._gate.limit()} for too long")

    def _look(self) -> None:
        """What has waited long enough."""
        self._timer = None
        now = self._clock()
        for source, (rest, since) in tuple(self._held.items()):
            if now - since >= HOLD_S:
                del self._held[source]
                self._write(source, [rest], goes_on=True)
        self._note_flood(now)
        if self._held or self._dropped:
            self._timer = gevent.spawn_later(HOLD_S, self._look)
