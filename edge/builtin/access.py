"""Who may ask at all, by the client's address."""

from typing import Final

from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.rewrite import Networks, is_within, networks
from edge.shared import bans
from edge.table.model import Access, Route

_KEPT: Final = 10_000


class Banned(Hook):
    """Refuses clients that an operator, a limit or a hook has banned for a while."""

    def __init__(self) -> None:
        self._bans = bans()

    def early_request_filter(self, exchange: Exchange) -> None:
        """Raises `EdgeError` (403 `banned`)."""
        if self._bans.active and self._bans.covers(exchange.client.address):
            raise EdgeError(Reason.BANNED, exchange.client.address)


class Admit(Hook):
    """Refuses clients by their address."""

    def __init__(self) -> None:
        self._parsed: dict[Access, tuple[Networks, Networks]] = {}

    def applies_to(self, route: Route | None) -> bool:
        """Routes that have a list."""
        return route is not None and route.access is not None

    def request_filter(self, exchange: Exchange) -> None:
        """Raises `EdgeError` (403 `denied`)."""
        access = exchange.route.access if exchange.route is not None else None
        if access is None:
            return
        lists = self._parsed.get(access)
        if lists is None:
            if len(self._parsed) >= _KEPT:
                self._parsed.clear()
            lists = self._parsed[access] = networks(access.allow), networks(access.deny)
        allow, deny = lists
        address = exchange.client.address
        if (deny and is_within(address, deny)) or (allow and not is_within(address, allow)):
            raise EdgeError(Reason.DENIED, address)
