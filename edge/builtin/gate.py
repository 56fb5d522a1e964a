"""Maintenance and pauses: routes that do not serve as usual, by order of an operator."""

from typing import Final

from gevent.event import Event

from edge.connection import monotonic
from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.rewrite import is_within, networks
from edge.table.model import Mode, Route

HELD: Final = 1000
"""Paused requests that a worker holds; past it 503 `queue-full`."""

EVERYTHING: Final = "*"


class Gate(Hook):
    """Answers or holds requests of routes that are in a mode."""

    def __init__(self) -> None:
        self._modes: dict[str, Mode] = {}
        self._changed = Event()
        self._held = 0

    def follow(self, modes: tuple[Mode, ...]) -> None:
        """Other modes are in force: requests that are held look again."""
        self._modes = {mode.target: mode for mode in modes}
        self._changed.set()
        self._changed.clear()

    def applies_to(self, route: Route | None) -> bool:
        """Routes in a mode. (The chains are made anew when the modes change.)"""
        return route is not None and self._mode_of(route) is not None

    def request_filter(self, exchange: Exchange) -> None:
        """Raises `EdgeError`: 503 `maintenance`, 503 `paused`, 503 `queue-full`."""
        mode = self._mode_for(exchange)
        if mode is None:
            return
        if mode.kind == "pause":
            self._hold(exchange, mode)
            return
        fields = (("Retry-After", str(mode.retry_after_s)),)
        raise EdgeError(Reason.MAINTENANCE, mode.target, fields=fields, message=mode.message)

    # Private

    def _mode_of(self, route: Route) -> Mode | None:
        """The mode of a route: of its pattern, of its host, of all."""
        if not self._modes:
            return None
        host = route.pattern.partition("/")[0]
        for target in (route.pattern, host, EVERYTHING):
            if (mode := self._modes.get(target)) is not None:
                return mode
        return None

    def _mode_for(self, exchange: Exchange) -> Mode | None:
        """The mode that this request meets; None for a client who notices nothing."""
        mode = self._mode_of(exchange.route) if exchange.route is not None else None
        if mode is None or not mode.allow:
            return mode
        is_let_in = is_within(exchange.client.address, networks(mode.allow))
        return None if is_let_in else mode

    def _hold(self, exchange: Exchange, mode: Mode) -> None:
        """Wait until the pause is over; what follows it may be a maintenance."""
        if self._held >= HELD:
            raise EdgeError(Reason.QUEUE_FULL, f"{self._held} requests are held")
        deadline = monotonic() + mode.hold_s
        self._held += 1
        try:
            while (now := self._mode_for(exchange)) is not None and now.kind == "pause":
                left_s = deadline - monotonic()
                if left_s <= 0:
                    fields = (("Retry-After", "1"),)
                    raise EdgeError(Reason.PAUSED, f"held for {mode.hold_s:g} s", fields=fields)
                self._changed.wait(left_s)
        finally:
            self._held -= 1
        if now is not None:
            self.request_filter(exchange)
