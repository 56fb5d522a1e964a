"""Upgrading: the master becomes the new code, and this control answers for how it went.

The master tries the new code first, and refuses when that fails. Otherwise it execs in place, and
the new master tells this, by then the old, control by an event how the roll went, then ends it.
Nothing is published by this control from then on: the new one does that.
"""

from typing import Any

import gevent
from gevent.event import AsyncResult

from control.channel import Channel
from control.publish import Publisher
from control.refusal import Refused

DONE = "upgrade-done"
FAILED = "upgrade-failed"


class Upgrader:
    """At most one upgrade at a time."""

    def __init__(self, channel: Channel, publisher: Publisher) -> None:
        self._channel = channel
        self._publisher = publisher
        self._outcome: AsyncResult | None = None

    def __repr__(self) -> str:
        return f"<Upgrader {'idle' if self._outcome is None else 'under way'}>"

    def upgrade(self, executable: str) -> dict[str, Any]:
        """Wait for it to end. Raises `Refused`: the old code serves on."""
        if self._outcome is not None:
            raise Refused("busy", "An upgrade is under way already.")
        outcome = self._outcome = AsyncResult()
        try:
            with self._publisher.lock:
                gevent.spawn(self._ask, executable, outcome)
                told: dict[str, Any] | Refused = outcome.get()
        finally:
            self._outcome = None
        if isinstance(told, Refused):
            raise Refused("upgrade-failed", told.message)
        if told["event"] == FAILED:
            raise Refused("upgrade-failed", str(told.get("text", "the new code did not come up")))
        return {"text": told.get("text", "upgraded"), "detail": told.get("detail")}

    def take(self, event: dict[str, Any]) -> None:
        """An event of the master, which may be the one that is waited for."""
        if self._outcome is not None and event.get("event") in (DONE, FAILED):
            self._outcome.set(event)

    # Private

    def _ask(self, executable: str, outcome: AsyncResult) -> None:
        try:
            self._channel.ask("upgrade", executable=executable)
        except Refused as refusal:
            outcome.set(refusal)
