"""Someone who reads a log while it is written, in their own time."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from gevent.event import Event

from control.apps.logline import NOBODY, Line, Stream

ROOM: Final = 1_000
ROOM_BYTES: Final = 1 << 20


class Follower:
    """A bounded queue of lines. What does not fit is counted, and told in its place."""

    def __init__(self) -> None:
        self.is_over = False
        self._lines: deque[Line] = deque()
        self._size = 0
        self._missed = 0
        self._last = 0.0
        self._wake = Event()

    def __repr__(self) -> str:
        return f"<Follower {len(self._lines)} waiting, {self._missed} missed>"

    def add(self, lines: Sequence[Line]) -> None:
        """Further lines. Never waits."""
        for line in lines:
            if len(self._lines) >= ROOM or self._size + len(line.text) > ROOM_BYTES:
                self._missed += 1
                self._last = line.time
                continue
            if self._missed:
                self._keep(self._notice())
            self._keep(line)
        self._wake.set()

    def end(self) -> None:
        """No more will come."""
        self.is_over = True
        self._wake.set()

    def lines(self, idle_s: float) -> Iterator[Line | None]:
        """Each line; None when there was none for `idle_s`."""
        while True:
            while self._lines:
                line = self._lines.popleft()
                self._size -= len(line.text)
                yield line
            if self._missed:
                yield self._notice()
                continue
            if self.is_over:
                return
            self._wake.clear()
            if not self._wake.wait(idle_s):
                yield None

    # Private

    def _keep(self, line: Line) -> None:
        self._lines.append(line)
        self._size += len(line.text)

    def _notice(self) -> Line:
        count, self._missed = self._missed, 0
        text = f"{count:,} lines were missed here: they came faster than they were read"
        return Line(time=self._last, stream=Stream.EDGED, instance=NOBODY, text=text)
