"""What happened: events of the master and of control, kept in the state database and told live.

Adding one never waits: it goes into memory and to those who follow; a greenlet of its own brings
it into the database, now or, when that does not work, later. What control adds is a line of the
log, too, as the master's events are.
"""

import datetime
import logging
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import gevent
from gevent import event, queue

from control.refusal import Refused
from control.state import State

log = logging.getLogger("control.events")

RECENT: Final = 512
PENDING: Final = 2000
FOLLOWER_ROOM: Final = 1000
RETRY_S: Final = 2.0

_LEVELS: Final = {
    "app-asleep": logging.DEBUG,
    "app-failed": logging.ERROR,
    "certificate-failed": logging.WARNING,
    "certificate-given-up": logging.ERROR,
    "certificate-refused": logging.ERROR,
    "cron-done": logging.DEBUG,
    "cron-failed": logging.WARNING,
    "cron-skipped": logging.WARNING,
    "deploy-failed": logging.ERROR,
    "instance-died": logging.WARNING,
    "name-unresolved": logging.WARNING,
    "peer-down": logging.WARNING,
    "reload-refused": logging.ERROR,
    "spawner-died": logging.ERROR,
}


class Events:
    """The history, and who follows it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._recent: deque[dict[str, Any]] = deque(maxlen=RECENT)
        self._pending: deque[dict[str, Any]] = deque(maxlen=PENDING)
        self._followers: set[queue.Queue] = set()
        self._wake = event.Event()
        self._last_id = 0

    def __repr__(self) -> str:
        return f"<Events pending={len(self._pending)} followers={len(self._followers)}>"

    def start(self) -> None:
        """Begin to write, with what earlier controls have written."""
        self._recall()
        gevent.spawn(self._write_on)

    def add(self, kind: str, text: str, **fields: object) -> None:
        """Something that control itself did or saw, in a sentence for the log."""
        log.log(_LEVELS.get(kind, logging.INFO), "%s", text)
        self.take({"event": kind, "text": text, **fields})

    def take(self, raw: dict[str, Any]) -> None:
        """An event as the master sends it. Gets an id that grows, and a time if it has none."""
        time_s = raw.get("time") or wall_time()
        self._last_id = max(self._last_id + 1, int(wall_time() * 1000))
        entry = {"id": self._last_id, "time": time_s, **raw}
        entry["id"], entry["time"] = self._last_id, time_s
        self._recent.append(entry)
        self._pending.append(entry)
        self._wake.set()
        for follower in tuple(self._followers):
            try:
                follower.put_nowait(entry)
            except queue.Full:
                # It does not read. Its stream ends, so that it knows that it has missed some.
                self._followers.discard(follower)

    def latest(self, limit: int, after: int = 0) -> list[dict[str, Any]]:
        """The latest events, oldest first; from memory alone while the database does not work."""
        known = {entry["id"]: entry for entry in self._recent if entry["id"] > after}
        if len(known) < limit:
            try:
                for entry in self._state.events(limit, after):
                    known.setdefault(entry["id"], entry)
            except Refused as refusal:
                log.warning("events only from memory: %s", refusal)
        return [known[number] for number in sorted(known)][-limit:]

    def recent(self, kind: str, within_s: float) -> list[dict[str, Any]]:
        """The events of a kind in the last seconds."""
        since = wall_time() - within_s
        return [e for e in self._recent if e.get("event") == kind and e["time"] >= since]

    def follow(self, idle_s: float) -> Iterator[dict[str, Any] | None]:
        """Each event from now on; None when there was none for `idle_s`.

        Ends when its reader is too slow to keep up.
        """
        mine: queue.Queue = queue.Queue(maxsize=FOLLOWER_ROOM)
        self._followers.add(mine)
        try:
            while mine in self._followers or not mine.empty():
                try:
                    yield mine.get(timeout=idle_s)
                except queue.Empty:
                    yield None
        finally:
            self._followers.discard(mine)

    def flush(self) -> bool:
        """Bring what is pending into the database; whether that worked."""
        batch = list(self._pending)
        if not batch:
            return True
        try:
            self._state.add_events(batch)
        except Refused:
            return False
        written = {entry["id"] for entry in batch}
        while self._pending and self._pending[0]["id"] in written:
            self._pending.popleft()
        return True

    # Private

    def _recall(self) -> None:
        try:
            earlier = self._state.events(RECENT)
        except Refused as refusal:
            log.warning("the events of before are not known: %s", refusal)
            return
        taken = {entry["id"] for entry in self._recent}
        before = [entry for entry in earlier if entry["id"] not in taken]
        self._recent = deque([*before, *self._recent], maxlen=RECENT)
        self._last_id = max(self._last_id, *(entry["id"] for entry in earlier), 0)

    def _write_on(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while not self.flush():
                gevent.sleep(RETRY_S)


def wall_time() -> float:
    """Seconds since 1970: for people and for the database, never for deadlines."""
    return datetime.datetime.now(datetime.UTC).timestamp()
