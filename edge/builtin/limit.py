"""Limits: how often a client may ask, and whether it may at all."""

import ipaddress
import math
from typing import Final

from edge.balance import key_of
from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.rewrite import Networks, is_within, networks
from edge.shared import Bucket, Verdict, limit
from edge.table.model import Access, RateLimit, Route

IPV6_PREFIX: Final = 64
"""What one customer has: counting single addresses would give each of them 2**64 limits."""

_KEPT: Final = 10_000


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


class Limit(Hook):
    """Refuses requests that come too often."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes that have one."""
        return route is not None and route.limit is not None

    def request_filter(self, exchange: Exchange) -> None:
        """Raises `EdgeError` (429 `rate-limited`)."""
        plan = exchange.plan
        if plan is None:
            return
        counted = plan.memo.get(self)
        if counted is None:
            if plan.route.limit is None:
                return
            # By the owner's name: all patterns of one declaration share its limit.
            counted = plan.memo[self] = _Counted(plan.route.owner, plan.route.limit)
        key = exchange.client.address
        if counted.key is not None:
            key = counted.key(exchange)
        elif ":" in key:
            key = customer(key)
        if not counted.admit(key):
            rules, verdict = counted.rules, counted.bucket.verdict(allowed=False)
            fields = (("Retry-After", str(math.ceil(verdict.wait_s))), *_fields(rules, verdict))
            raise EdgeError(Reason.RATE_LIMITED, rules.by, fields=fields)
        if counted.rules.fields:
            exchange.ctx.edged_limit = counted.bucket.verdict(allowed=True)


class LimitFields(Hook):
    """Tells clients how much they have left."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes that say so."""
        return route is not None and route.limit is not None and route.limit.fields

    def response_filter(self, exchange: Exchange) -> None:
        """`RateLimit-*` on every answer."""
        route, response = exchange.route, exchange.response
        verdict = getattr(exchange.ctx, "edged_limit", None)
        if route is None or route.limit is None or response is None or verdict is None:
            return
        for name, value in _fields(route.limit, verdict):
            response.headers.set(name, value)


class _Counted:
    """A limit in use: its bucket, and what it counts by (None: the client)."""

    __slots__ = ("admit", "bucket", "key", "rules")

    def __init__(self, owner: str, rules: RateLimit) -> None:
        self.rules = rules
        self.bucket: Bucket = limit(f"route {owner}", rules.requests, rules.per_s, rules.burst)
        self.admit = self.bucket.admit
        self.key = None if rules.by == "client" else key_of(rules.by)


def customer(address: str) -> str:
    """Whom an IPv6 address stands for: its /64 network, or the IPv4 address in it."""
    known = _customers.get(address)
    if known is None:
        if len(_customers) >= _KEPT:
            _customers.clear()
        known = _customers[address] = _network_of(address)
    return known


_customers: dict[str, str] = {}


def _network_of(address: str) -> str:
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, IPV6_PREFIX), strict=False))


def _fields(rules: RateLimit, verdict: Verdict) -> tuple[tuple[str, str], ...]:
    """As in draft-ietf-httpapi-ratelimit-headers-07, which most clients know."""
    return (
        ("RateLimit-Limit", str(rules.burst or rules.requests)),
        ("RateLimit-Remaining", str(verdict.remaining)),
        ("RateLimit-Reset", str(math.ceil(verdict.full_s))),
    )
