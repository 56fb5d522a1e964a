"""Balancing: which peer of a route gets the next attempt."""

from edge.engine import RoundRobin
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.message import Peer


class Balance(Hook):
    """Round robin per route; a peer that failed this exchange only when no other is left."""

    def __init__(self) -> None:
        self._turns = RoundRobin()

    def upstream_peer(self, exchange: Exchange) -> Peer | None:
        """The peer whose turn it is."""
        route = exchange.route
        return None if route is None else self._turns.next(route, exchange.tried)
