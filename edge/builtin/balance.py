"""Peers: which one gets the next attempt, and which ones are left alone for a while."""

from typing import Final

from edge.connection import monotonic
from edge.errors import EdgeError, Reason, Side
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.message import Peer
from edge.table.model import Ejection, Route

_DEFAULT: Final = Ejection()


class Balance(Hook):
    """Asks the route's plan; a peer that failed this exchange only when no other is left."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes with peers."""
        return route is not None and bool(route.upstreams)

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
        late = rules.slow_s and exchange.first_byte - exchange.sent_upstream > rules.slow_s
        if late or response.status in rules.statuses:
            _fail(exchange)
        else:
            peer.state.succeed()


def _fail(exchange: Exchange) -> None:
    peer, route = exchange.peer, exchange.route
    if peer is not None and peer.state is not None and route is not None:
        rules = route.ejection or _DEFAULT
        peer.state.fail(rules.failures, rules.lasts_s, monotonic())
