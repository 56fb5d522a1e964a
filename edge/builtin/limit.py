"""Limits: how often a client may ask, how much at once, and how fast it is answered."""

import ipaddress
import logging
import math
from collections.abc import Callable
from typing import Final

import gevent

from edge.balance import key_of
from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.shared import Bucket, Slots, Verdict, ban, limit, slots
from edge.table.model import RateLimit, Route

log = logging.getLogger("edge.limit")

IPV6_PREFIX: Final = 64
"""What one customer has: counting single addresses would give each of them 2**64 limits."""

REFUSALS_S: Final = 60.0

GRAIN_BYTES: Final = 1024
PIECE_GRAINS: Final = 16
"""A bandwidth is counted in KiB, and a body is sent in pieces of `relay.PACED_BYTES`: 16 KiB."""

_KEPT: Final = 10_000


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
            counted.count_refusal(exchange.client.address)
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

    __slots__ = ("_owner", "_refusals", "admit", "bucket", "key", "rules")

    def __init__(self, owner: str, rules: RateLimit) -> None:
        self.rules = rules
        self._owner = owner
        self._refusals = (
            limit(f"refusals {owner}", rules.ban_after, REFUSALS_S) if rules.ban_s else None
        )
        self.bucket: Bucket = limit(f"route {owner}", rules.requests, rules.per_s, rules.burst)
        self.admit = self.bucket.admit
        self.key = None if rules.by == "client" else key_of(rules.by)

    def count_refusal(self, address: str) -> None:
        """A client that goes on asking all the same is banned for a while."""
        if self._refusals is None or self._refusals.admit(address):
            return
        try:
            ban(customer(address) if ":" in address else address, self.rules.ban_s)
        except (MemoryError, ValueError) as error:
            log.warning("%s is not banned: %s", address, error)
            return
        log.info("%s is banned for %g s: refused too often by the limit of %s", address,
                 self.rules.ban_s, self._owner)  # fmt: skip


class Concurrent(Hook):
    """Refuses requests of whom has too many under way."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes that have such a limit."""
        return route is not None and route.concurrent is not None

    def request_filter(self, exchange: Exchange) -> None:
        """Raises `EdgeError` (429 `concurrency-limited`)."""
        plan = exchange.plan
        rules = plan.route.concurrent if plan is not None else None
        if plan is None or rules is None:
            return
        known: Slots | None = plan.memo.get(self)
        if known is None:
            known = plan.memo[self] = slots(f"route {plan.route.owner}", rules.requests)
        key = _key(exchange, rules.by)
        if not known.enter(key):
            fields = (("Retry-After", "1"),)
            raise EdgeError(Reason.CONCURRENCY, rules.by, fields=fields)
        exchange.ctx.edged_slot = (known, key)

    def logging(self, exchange: Exchange) -> None:
        """It is not under way any more."""
        held = getattr(exchange.ctx, "edged_slot", None)
        if held is not None:
            known, key = held
            known.leave(key)


class Pace(Hook):
    """Answers each client no faster than it may be: a bucket of bytes over all workers."""

    def applies_to(self, route: Route | None) -> bool:
        """Routes with a bandwidth."""
        return route is not None and route.bandwidth > 0

    def request_filter(self, exchange: Exchange) -> None:
        """Everything that is sent as a body waits for its tokens."""
        plan = exchange.plan
        if plan is None:
            return
        bucket: Bucket | None = plan.memo.get(self)
        if bucket is None:
            rate = max(1, plan.route.bandwidth // GRAIN_BYTES)
            burst = max(rate, PIECE_GRAINS)
            bucket = plan.memo[self] = limit(f"bytes {plan.route.owner}", rate, 1.0, burst)
        exchange.pace = _waiter(bucket, _key(exchange, "client"))


def customer(address: str) -> str:
    """Whom an IPv6 address stands for: its /64 network, or the IPv4 address in it."""
    known = _customers.get(address)
    if known is None:
        if len(_customers) >= _KEPT:
            _customers.clear()
        known = _customers[address] = _network_of(address)
    return known


def _waiter(bucket: Bucket, key: str) -> Callable[[int], None]:
    def wait(count: int) -> None:
        grains = -(-count // GRAIN_BYTES)
        while not bucket.admit(key, grains):
            gevent.sleep(bucket.verdict(grains, allowed=False).wait_s)

    return wait


def _key(exchange: Exchange, by: str) -> str:
    if by != "client":
        return key_of(by)(exchange)
    address = exchange.client.address
    return customer(address) if ":" in address else address


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
