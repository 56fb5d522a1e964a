"""Policies: which of some peers gets an exchange.

A policy is given the members that may be asked, never none, and picks one. It knows nothing of
health, retries or limits: who may be asked is decided before (`edge.plan`).
"""

import math
import random
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from edge.message import Peer
from edge.peers import PeerState
from edge.table.model import Balancing

if TYPE_CHECKING:
    from edge.exchange import Exchange

BOUND: Final = 1.25
"""Consistent hashing passes over a member with more than that many times the mean of exchanges."""

LEAST_WEIGHT: Final = 0.1
"""A slow start begins at this part of the weight."""

_MASK: Final = (1 << 64) - 1


class Member:
    """A peer as one of a route's."""

    __slots__ = ("current", "full_weight", "peer", "seed", "state", "weight")

    def __init__(self, peer: Peer, state: PeerState, weight: float = 1.0) -> None:
        self.peer = peer
        self.state = state
        self.full_weight = self.weight = weight
        self.current = 0.0  # of the smooth weighted round
        digest = blake2b(peer.address.encode(), digest_size=8).digest()
        self.seed = int.from_bytes(digest, "little")

    def __repr__(self) -> str:
        return f"<Member {self.peer.address} weight={self.weight:g}>"

    def warm(self, now: float, slow_start_s: float) -> None:
        """Set the weight that it has at this point of its slow start."""
        age_s = now - self.state.up_since
        part = 1.0
        if self.state.up_since and age_s < slow_start_s:
            part = max(LEAST_WEIGHT, age_s / slow_start_s)
        self.weight = self.full_weight * part


Pick = Callable[[Sequence[Member], "Exchange"], Member]


def policy_of(balancing: Balancing) -> Pick:
    """The policy of a route. Raises `ValueError` for one that is none."""
    if balancing.policy == "consistent":
        return consistent(key_of(balancing.by))
    made = _POLICIES.get(balancing.policy)
    if made is None:
        raise ValueError(f"no policy {balancing.policy!r}")
    return made()


def round_robin() -> Pick:
    """Each in turn."""
    turn = 0

    def pick(members: Sequence[Member], exchange: "Exchange") -> Member:
        nonlocal turn
        turn += 1
        return members[turn % len(members)]

    return pick


def weighted() -> Pick:
    """In turn by weight, evenly mixed: 3 and 1 give a a b a, not a a a b."""

    def pick(members: Sequence[Member], exchange: "Exchange") -> Member:
        total = 0.0
        best = members[0]
        for member in members:
            total += member.weight
            member.current += member.weight
            if member.current > best.current:
                best = member
        best.current -= total
        return best

    return pick


def least_conn() -> Pick:
    """The one with the fewest exchanges under way in all workers, for its weight.

    Workers look at the same cells at the same time: one of the best at random keeps them from all
    choosing the same one.
    """

    def pick(members: Sequence[Member], exchange: "Exchange") -> Member:
        if len(members) == 1:
            return members[0]
        loads = [(member.state.under_way + 1) / member.weight for member in members]
        least = min(loads)
        best = [member for member, load in zip(members, loads, strict=True) if load == least]
        return best[0] if len(best) == 1 else random.choice(best)

    return pick


def random2() -> Pick:
    """The less busy of two at random: nearly as good as the least busy of all, at a fixed cost."""

    def pick(members: Sequence[Member], exchange: "Exchange") -> Member:
        if len(members) == 1:
            return members[0]
        first, second = random.sample(members, 2)
        if second.state.under_way * first.weight < first.state.under_way * second.weight:
            return second
        return first

    return pick


def consistent(key: Callable[["Exchange"], str]) -> Pick:
    """The same one for the same key, by rendezvous hashing: a peer that goes moves only its own
    keys. One that has too much of the load is passed over (consistent hashing with bounded loads,
    Mirrokni, Thorup, Zadimoghaddam 2018).
    """

    def pick(members: Sequence[Member], exchange: "Exchange") -> Member:
        digest = blake2b(key(exchange).encode("utf-8", "surrogateescape"), digest_size=8).digest()
        number = int.from_bytes(digest, "little")
        ordered = sorted(members, key=lambda member: -_score(number, member))
        loads = [member.state.under_way for member in ordered]
        most = BOUND * (sum(loads) + 1) / len(loads)
        for member, load in zip(ordered, loads, strict=True):
            if load < most:
                return member
        return ordered[0]

    return pick


def key_of(by: str) -> Callable[["Exchange"], str]:
    """What is hashed: "client", "path", "host", "header:NAME" or "cookie:NAME".

    Where a request has no such header or cookie, it is the client's address. Raises `ValueError`.
    """
    kind, _, name = by.partition(":")
    if kind == "header" and name:
        return lambda exchange: exchange.request.headers.get(name) or exchange.client.address
    if kind == "cookie" and name:
        return lambda exchange: exchange.request.cookie(name) or exchange.client.address
    plain = _KEYS.get(by)
    if plain is None:
        raise ValueError(f"no key {by!r}")
    return plain


# Private

_KEYS: Final[dict[str, Callable[["Exchange"], str]]] = {
    "client": lambda exchange: exchange.client.address,
    "path": lambda exchange: exchange.request.path,
    "host": lambda exchange: exchange.request.host,
}

_POLICIES: Final[dict[str, Callable[[], Pick]]] = {
    "round_robin": round_robin,
    "weighted": weighted,
    "least_conn": least_conn,
    "random2": random2,
}


def _score(number: int, member: Member) -> float:
    """A uniform number of key and member, bent by the weight."""
    mixed = (number ^ member.seed) * 0x9E3779B97F4A7C15 & _MASK
    mixed = (mixed ^ mixed >> 32) * 0xBF58476D1CE4E5B9 & _MASK
    mixed ^= mixed >> 29
    return -member.weight / math.log((mixed + 1) / (_MASK + 2))
