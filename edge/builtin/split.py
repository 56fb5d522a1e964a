"""Which requests go where within a route: to a canary, or to the peer that a client had."""

import hmac
from hashlib import blake2b
from typing import Final

from edge.balance import Member
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.message import Peer
from edge.plan import Plan
from edge.table.model import Canary, Route, Sticky

_WHOLE: Final = 1 << 64


class Split(Hook):
    """Sends some of the requests to other peers."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes with a canary."""
        return route is not None and route.canary is not None

    def upstream_peer(self, exchange: Exchange) -> Peer | None:
        """A canary's peer; None for the route's own, also when no peer of the canary is left."""
        plan = exchange.plan
        rules = plan.route.canary if plan is not None else None
        if plan is None or rules is None or not _is_chosen(exchange, rules):
            return None
        canary: Plan | None = plan.memo.get(self)
        if canary is None:
            canary = plan.memo[self] = plan.beside(rules.upstreams)
        left = [member for member in canary.usable() if member.peer not in exchange.tried]
        if not left or not any(member.state.usable for member in left):
            return None
        return canary.choose(exchange)


class Stick(Hook):
    """Sends a client to the peer that it had, as a cookie says that nobody can make up."""

    def __init__(self) -> None:
        self.secret = b""

    def applies_to(self, route: Route | None) -> bool:
        """Routes that are sticky."""
        return route is not None and route.sticky is not None

    def upstream_peer(self, exchange: Exchange) -> Peer | None:
        """The peer of the cookie, if it may be asked and has room."""
        plan = exchange.plan
        rules = plan.route.sticky if plan is not None else None
        if plan is None or rules is None:
            return None
        said = exchange.request.cookie(rules.cookie)
        if not said:
            return None

        def is_meant(member: Member) -> bool:
            named = self._name_of(member.peer.address)
            return hmac.compare_digest(named.encode(), said.encode("latin-1", "replace"))

        peer = plan.member(is_meant)
        return peer if peer not in exchange.tried else None

    def response_filter(self, exchange: Exchange) -> None:
        """Sets the cookie where it is another than the client has."""
        route, peer, response = exchange.route, exchange.peer, exchange.response
        rules = route.sticky if route is not None else None
        if route is None or rules is None or peer is None or response is None:
            return
        name = self._name_of(peer.address)
        if peer.address in route.upstreams and exchange.request.cookie(rules.cookie) != name:
            response.headers.add("Set-Cookie", _cookie(rules, name))

    # Private

    def _name_of(self, address: str) -> str:
        """What stands for a peer: says nothing of its address, and needs the secret to be made."""
        return blake2b(address.encode(), key=self.secret[:64], digest_size=12).hexdigest()


# Private


def _is_chosen(exchange: Exchange, rules: Canary) -> bool:
    request = exchange.request
    said = request.headers.get(rules.header) if rules.header else ""
    if not said and rules.cookie:
        said = request.cookie(rules.cookie)
    if said in ("always", "never"):
        return said == "always"
    if not rules.part:
        return False
    # By the client and not at random: it must not go back and forth between two versions.
    digest = blake2b(exchange.client.address.encode(), person=b"canary", digest_size=8).digest()
    return int.from_bytes(digest, "little") < rules.part * _WHOLE


def _cookie(rules: Sticky, name: str) -> str:
    parts = [f"{rules.cookie}={name}", "Path=/", "HttpOnly", f"SameSite={rules.same_site}"]
    if rules.lasts_s:
        parts.append(f"Max-Age={rules.lasts_s:.0f}")
    if rules.secure or rules.same_site == "None":
        parts.append("Secure")
    return "; ".join(parts)
