"""A circuit breaker: an upstream of which too much fails is not asked for a while.

Each worker has its own for each route, and goes by what it has seen itself.
"""

import math

from edge.connection import monotonic
from edge.errors import SIDES, EdgeError, Reason, Side
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.plan import Plan
from edge.table.model import Breaker, Route


class Break(Hook):
    """Refuses at once what would most likely fail late."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes with a breaker."""
        return route is not None and route.breaker is not None

    def request_filter(self, exchange: Exchange) -> None:
        """Raises `EdgeError` (503 `circuit-open`)."""
        circuit = self._circuit_of(exchange.plan)
        if circuit is None:
            return
        wait_s = circuit.wait_s(monotonic())
        if wait_s > 0:
            fields = (("Retry-After", str(math.ceil(wait_s))),)
            raise EdgeError(Reason.CIRCUIT_OPEN, repr(circuit), fields=fields)

    def logging(self, exchange: Exchange) -> None:
        """Counts what was asked."""
        circuit = self._circuit_of(exchange.plan)
        if circuit is not None and exchange.attempts:
            circuit.count(_has_failed(exchange), monotonic())

    # Private

    def _circuit_of(self, plan: Plan | None) -> "Circuit | None":
        if plan is None or plan.route.breaker is None:
            return None
        circuit: Circuit | None = plan.memo.get(self)
        if circuit is None:
            circuit = plan.memo[self] = Circuit(plan.route.breaker)
        return circuit


class Circuit:
    """Closed: all pass and are counted. Open: none passes. Then one does, and decides."""

    __slots__ = ("_failed", "_open_until", "_probing_until", "_rules", "_since", "_total")

    def __init__(self, rules: Breaker) -> None:
        self._rules = rules
        self._total = self._failed = 0
        self._since = 0.0  # when the window began
        self._open_until = 0.0  # 0 is closed
        self._probing_until = 0.0

    def __repr__(self) -> str:
        state = "open" if self._open_until else "closed"
        return f"<Circuit {state} {self._failed} of {self._total} failed>"

    def wait_s(self, now: float) -> float:
        """0 when a request may pass, else how long it is open yet."""
        if not self._open_until:
            return 0.0
        if now < self._open_until:
            return self._open_until - now
        if now < self._probing_until:
            return self._probing_until - now
        # One finds out; another may when it has not told for that long.
        self._probing_until = now + self._rules.lasts_s
        return 0.0

    def count(self, failed: bool, now: float) -> None:
        """Count an exchange that passed."""
        if self._open_until:
            if now >= self._open_until:
                self._decide(failed, now)
            return
        if now - self._since > self._rules.window_s:
            self._since, self._total, self._failed = now, 0, 0
        self._total += 1
        self._failed += failed
        if self._total >= self._rules.least and (
            self._failed >= self._rules.failures * self._total
        ):
            self._open_until = now + self._rules.lasts_s

    # Private

    def _decide(self, failed: bool, now: float) -> None:
        self._probing_until = 0.0
        self._since, self._total, self._failed = now, 0, 0
        self._open_until = now + self._rules.lasts_s if failed else 0.0


# Private


def _has_failed(exchange: Exchange) -> bool:
    if exchange.reason:
        return SIDES[Reason(exchange.reason)] is Side.UPSTREAM
    return exchange.status >= 500
