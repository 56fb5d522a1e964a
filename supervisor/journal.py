"""What happens in the tree, told to the log at once and to control as soon as there is one."""

import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

log = logging.getLogger("edged.master")

QUEUED: Final = 256
"""Events kept while no control listens; the oldest go first."""

DETAIL_BYTES: Final = 32_768

_LEVELS: Final = {
    "worker-died": logging.WARNING,
    "worker-hung": logging.ERROR,
    "worker-stalled": logging.WARNING,
    "control-died": logging.ERROR,
    "roll-failed": logging.ERROR,
    "upgrade-failed": logging.ERROR,
    "error": logging.ERROR,
}

Packet = dict[str, Any]


class Journal:
    """The sink of all events. `deliver` is control's channel while control serves."""

    def __init__(self, queued: list[Packet] | None = None) -> None:
        self.deliver: Callable[[Packet], None] | None = None
        self.queued: deque[Packet] = deque(queued or (), maxlen=QUEUED)

    def __repr__(self) -> str:
        return f"<Journal {'delivering' if self.deliver else 'queueing'} {len(self.queued)}>"

    def report(self, event: str, text: str, *, detail: str = "", **fields: int) -> Packet:
        """Log and pass on one event; returns its packet."""
        detail = detail[-DETAIL_BYTES:]
        trace = f"\n{detail.rstrip()}" if detail else ""
        log.log(_LEVELS.get(event, logging.INFO), "%s%s", text, trace)
        packet: Packet = {
            "event": event,
            "time": datetime.now(UTC).timestamp(),
            "text": text,
            **fields,
        }
        if detail:
            packet["detail"] = detail
        if self.deliver is None:
            self.queued.append(packet)
        else:
            self.deliver(packet)
        return packet

    def connect(self, deliver: Callable[[Packet], None]) -> None:
        """Control serves: give it what was queued, and everything from here on."""
        self.deliver = deliver
        while self.queued:
            deliver(self.queued.popleft())

    def disconnect(self) -> None:
        """Control is gone: queue again."""
        self.deliver = None
