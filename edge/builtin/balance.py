"""Peers: which one gets the next attempt, and which ones are left alone for a while."""

from typing import Final

from edge.connection import monotonic
from edge.errors import EdgeError, Reason, Side
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.message import Peer
from edge.peers import PeerState
from edge.table.model import Ejection, Route

_DEFAULT: Final = Ejection()

LEAST: Final = 20
"""Exchanges with a peer, below which nothing is said of its share of failures or its mean."""

NOTICED_S: Final = 0.005
"""A mean below it is never too slow, however quick the others are."""


class Balance(Hook):
    """Asks the route's plan; a peer that failed this exchange only when no other is left."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes with peers."""
        return route is not None and bool(route.upstreams or route.app)

    def upstream_peer(self, exchange: Exchange) -> Peer | None:
        """The peer of the next attempt; waits while all have as many exchanges as they may."""
        plan = exchange.plan
        return None if plan is None else plan.choose(exchange)


class Eject(Hook):
    """Counts the failures of peers, and ejects those that fail several times in a row."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes that have another peer to ask."""
        if route is None or len(route.upstreams) < 2:
            return False
        return route.ejection is None or route.ejection.failures > 0

    def fail_to_connect(self, exchange: Exchange, error: EdgeError) -> None:
        """A peer that cannot be reached has failed."""
        _fail(exchange)

    def error_while_proxy(self, exchange: Exchange, error: EdgeError) -> None:
        """So has one that answers nothing or nonsense, unless a kept connection was just closed."""
        was_closed = exchange.reused and error.reason is Reason.UPSTREAM_CLOSED
        if error.side is Side.UPSTREAM and not was_closed:
            _fail(exchange)

    def upstream_response_filter(self, exchange: Exchange) -> None:
        """An answer is a success, unless its status says otherwise or it came too late."""
        peer, response = exchange.peer, exchange.response
        if peer is None or peer.state is None or response is None:
            return
        route = exchange.route
        rules = (route.ejection if route is not None else None) or _DEFAULT
        first_byte_s = exchange.first_byte - exchange.sent_upstream
        late = rules.slow_s and first_byte_s > rules.slow_s
        if late or response.status in rules.statuses:
            _fail(exchange)
            return
        peer.state.succeed()
        if rules.rate or rules.outlier:
            now = monotonic()
            peer.state.record.note(now, failed=False, first_byte_s=first_byte_s)
            if (
                rules.outlier
                and exchange.plan is not None
                and _is_slow(peer.state, exchange.plan.states, rules.outlier)
            ):
                peer.state.eject(rules.lasts_s, now)


def _fail(exchange: Exchange) -> None:
    peer, route = exchange.peer, exchange.route
    if peer is None or peer.state is None or route is None:
        return
    rules, now = route.ejection or _DEFAULT, monotonic()
    state = peer.state
    if state.fail(rules.failures, rules.lasts_s, now) or not rules.rate:
        return
    record = state.record
    record.note(now, failed=True)
    if record.total >= LEAST and record.failed >= rules.rate * record.total:
        state.eject(rules.lasts_s, now)


def _is_slow(state: PeerState, states: list[PeerState], times: float) -> bool:
    """Whether a peer is so many times slower than the median of the others that are known."""
    others = sorted(
        each.record.mean_s for each in states
        if each is not state and each.usable and each.record.seen >= LEAST
    )  # fmt: skip
    if not others or state.record.seen < LEAST:
        return False
    usual_s = others[len(others) // 2]
    return state.record.mean_s > max(times * usual_s, NOTICED_S)
