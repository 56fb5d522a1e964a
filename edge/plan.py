"""What one route means to this worker: the chain that its requests pass, and its peers.

Made at the route's first request and again when the route has changed. Who may be asked is worked
out again only when a peer's state has changed, so the usual choice is one list and one policy.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from gevent.event import Event

from edge.balance import Member, policy_of
from edge.connection import monotonic
from edge.errors import EdgeError, Reason
from edge.hooks import Chain
from edge.message import Peer
from edge.peers import Peers, PeerState
from edge.shared.peers import Own
from edge.table.model import Balancing, Route

if TYPE_CHECKING:
    from edge.exchange import Exchange

LOOK_S: Final = 0.05
"""How often one who waits looks whether another worker has given a connection free."""

WARM_S: Final = 0.25
"""How often the weights of a slow start are set anew."""


class Plan:
    """One route."""

    __slots__ = ("_is_plain", "_members", "_peers", "_pick", "_queue", "_seen", "_usable",
                 "_warm_at", "balancing", "chain", "memo", "route")  # fmt: skip

    def __init__(self, route: Route, chain: Chain, peers: Peers) -> None:
        self.route = route
        self.chain = chain
        self.memo: dict[object, Any] = {}  # what the edge's own hooks work out once per route
        self.balancing = balancing = route.balancing or _PLAIN
        weights = balancing.weights or (1,) * len(route.upstreams)
        self._peers = peers
        self._members = [
            Member(_peer(address, route, peers), peers.of(address), weight)
            for address, weight in zip(route.upstreams, weights, strict=True)
        ]
        self._pick = policy_of(balancing)
        self._usable: Sequence[Member] = self._members
        self._is_plain = not balancing.max_connections and not balancing.slow_start_s
        self._seen = -1
        self._warm_at = 0.0
        self._queue: deque[Event] = deque()  # exchanges that wait for a peer with room

    def __repr__(self) -> str:
        return f"<Plan {self.route.pattern} {len(self._usable)} of {len(self._members)} usable>"

    def beside(self, upstreams: tuple[str, ...]) -> "Plan":
        """A plan for other peers of the same route."""
        plain = None if self.route.balancing is None else replace(self.route.balancing, weights=())
        other = replace(self.route, upstreams=upstreams, balancing=plain)
        return Plan(other, self.chain, self._peers)

    def member(self, matches: Callable[[Member], bool]) -> Peer | None:
        """The usable peer with room that a function finds, if there is one."""
        for each in self.usable():
            if matches(each):
                has_room = not self.balancing.max_connections or self._has_room(each)
                return each.peer if has_room else None
        return None

    def another(self, peer: Peer | None) -> Peer | None:
        """A usable peer with room besides that one: the least busy."""
        found = [
            each for each in self.usable()
            if each.peer != peer and each.state.usable and each.state.proven
            and (not self.balancing.max_connections or self._has_room(each))
        ]  # fmt: skip
        if not found:
            return None
        return min(found, key=lambda member: member.state.under_way / member.weight).peer

    @property
    def states(self) -> list[PeerState]:
        """What is known of each, in the order of the configuration."""
        return [member.state for member in self._members]

    @property
    def peers(self) -> tuple[Peer, ...]:
        """All of them, in the order of the configuration."""
        return tuple(member.peer for member in self._members)

    def choose(self, exchange: "Exchange") -> Peer | None:
        """The peer of the next attempt; None when the route has none.

        Waits when all have as many exchanges as they may. Raises `EdgeError`: `queue-full`,
        `queue-timeout`.
        """
        if self._is_plain and self._seen == self._peers.changes and not exchange.tried:
            members = self._usable  # the usual case, with nothing else to look at
        else:
            members = self._candidates(exchange)
        if not members:
            return None
        member = self._pick(members, exchange)
        state = member.state
        if not state.proven and state.own[Own.UNDER_WAY]:
            # One exchange at a time finds out whether it is well again.
            member = self._pick(_not_on_trial(members), exchange)
        return member.peer

    def usable(self) -> Sequence[Member]:
        """Whom to ask. With too few left everybody is asked: better some errors than only errors,
        and most likely it is not the peers that are broken."""
        if self._seen != self._peers.changes:
            self._seen = self._peers.changes
            self._update()
        if self.balancing.slow_start_s and monotonic() >= self._warm_at:
            self._warm_at = now = monotonic() + WARM_S
            for member in self._members:
                member.warm(now, self.balancing.slow_start_s)
        return self._usable

    def free(self) -> None:
        """An exchange with one of the peers has ended."""
        if self._queue:
            self._queue[0].set()

    # Private

    def _candidates(self, exchange: "Exchange") -> Sequence[Member]:
        if self.balancing.max_connections:
            self._wait_for_room()
        members = self.usable()
        if exchange.tried:
            fresh = [member for member in members if member.peer not in exchange.tried]
            members = fresh or members
        if self.balancing.max_connections:
            members = [member for member in members if self._has_room(member)] or members
        return members

    def _update(self) -> None:
        members = self._members
        usable = [member for member in members if member.state.usable]
        if not usable or len(usable) < self.balancing.panic * len(members):
            usable = [member for member in members if not member.state.is_drained]
        self._usable = usable

    def _has_room(self, member: Member) -> bool:
        return member.state.under_way < self.balancing.max_connections

    def _wait_for_room(self) -> None:
        """Return when it is one's turn and a peer has room. First come, first served."""
        queue = self._queue
        if not queue and any(map(self._has_room, self.usable())):
            return
        if len(queue) >= self.balancing.queue:
            raise EdgeError(Reason.QUEUE_FULL, f"{len(queue)} wait for a peer")
        mine = Event()
        queue.append(mine)
        deadline = monotonic() + self.balancing.queue_s
        try:
            while queue[0] is not mine or not any(map(self._has_room, self.usable())):
                self._wait(mine, deadline)
        finally:
            queue.remove(mine)
            if queue:
                queue[0].set()

    def _wait(self, mine: Event, deadline: float) -> None:
        left_s = deadline - monotonic()
        if left_s <= 0:
            text = f"no peer had room within {self.balancing.queue_s:g} s"
            raise EdgeError(Reason.QUEUE_TIMEOUT, text)
        mine.clear()
        # Only the first looks at what other workers have given free; the others wait for him.
        mine.wait(min(left_s, LOOK_S) if self._queue[0] is mine else left_s)


_PLAIN: Final = Balancing()


def _not_on_trial(members: Sequence[Member]) -> Sequence[Member]:
    """Those that no exchange tries out at the moment; all, when there is none."""
    return [
        member for member in members if member.state.proven or not member.state.own[Own.UNDER_WAY]
    ] or members


def _peer(address: str, route: Route, peers: Peers) -> Peer:
    peer = Peer(address)
    if route.upstream_tls is not None:
        name = route.upstream_tls.server_name or _name_of(address, route)
        peer = Peer(address, tls=route.upstream_tls, server_name=name)
    peer.state = peers.of(address)
    return peer


def _name_of(address: str, route: Route) -> str:
    """What an address was written as: its certificate is for that."""
    for found in route.names:
        if address in found.addresses:
            return found.name.removeprefix("srv:").rpartition(":")[0] or found.name
    return address.rpartition(":")[0].strip("[]")
