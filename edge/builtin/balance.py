"""Balancing: which peer of a route gets the next attempt."""

from edge.exchange import Exchange
from edge.hooks import Hook
from edge.message import Peer
from edge.table.model import Route


class Balance(Hook):
    """Round robin per route; a peer that failed this exchange only when no other is left."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes with peers."""
        return route is not None and bool(route.upstreams)

    def upstream_peer(self, exchange: Exchange) -> Peer | None:
        """The peer whose turn it is."""
        plan = exchange.plan
        return None if plan is None else plan.next_peer(exchange.tried)
