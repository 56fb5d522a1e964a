"""The peers as an operator sees them: who is up, who is busy, and taking one out for a while."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import gevent

from control.events import Events
from control.health import HealthChecks
from control.refusal import Refused
from edge.shared.peers import Health, Own, Shared
from edge.shared.scoreboard import HEARTBEAT_S, Column
from edge.shared.segment import Segment

ROUTE: Final = "route:"

SEEN_S: Final = 3 * HEARTBEAT_S
"""After that long every worker that turns has seen what control stored."""

CROWDED: Final = 0.5
"""Places of peers that nobody has a route to are given back when that part of them is taken."""


@dataclass(frozen=True, slots=True)
class PeerDesk:
    """What can be asked and done about peers."""

    segment: Segment
    checks: HealthChecks
    events: Events

    def listed(self, published: Mapping[str, str]) -> list[dict[str, Any]]:
        """Every peer of a published route, and the others that somebody still talks to."""
        routes = _routes_by_peer(published)
        known = {name: index for index, name in enumerate(self.segment.peers.names()) if name}
        return [
            self._described(address, known.get(address, -1), routes.get(address, []))
            for address in sorted(routes.keys() | known.keys())
            if address in routes or self._under_way(known[address])
        ]

    def drain(self, address: str, wait_s: float, published: Mapping[str, str]) -> dict[str, Any]:
        """Give a peer no more exchanges, and wait for those it has. Raises `Refused`."""
        index = self._index(address, published)
        self.segment.peers.shared(index)[Shared.DRAINED] = 1
        self.events.add("peer-drained", f"{address} gets no more exchanges", peer=address)
        gevent.sleep(SEEN_S)
        deadline = time.monotonic() + wait_s
        while (left := self._under_way(index)) and time.monotonic() < deadline:
            gevent.sleep(0.02)
        if left:
            raise Refused(
                "still-busy",
                f"{address} gets no more exchanges, and still has {left} after {wait_s:g} s:"
                " wait, or end them with the peer.",
            )
        return {"peer": address, "drained": True}

    def resume(self, address: str, published: Mapping[str, str]) -> dict[str, Any]:
        """Give a drained peer exchanges again. Raises `Refused`."""
        self.segment.peers.shared(self._index(address, published))[Shared.DRAINED] = 0
        self.events.add("peer-resumed", f"{address} gets exchanges again", peer=address)
        gevent.sleep(SEEN_S)
        return {"peer": address, "drained": False}

    def reclaim(self, published: Mapping[str, str]) -> int:
        """Give back the places of peers that no route names and nobody talks to; how many."""
        registry = self.segment.peers
        names = registry.names()
        if sum(map(bool, names)) < CROWDED * registry.kind.names:
            return 0
        wanted = _routes_by_peer(published)
        idle = [
            index
            for index, name in enumerate(names)
            if name and name not in wanted and not self._under_way(index)
        ]
        for index in idle:
            registry.release(index)
        return len(idle)

    # Private

    def _index(self, address: str, published: Mapping[str, str]) -> int:
        if not address or address not in _routes_by_peer(published):
            raise Refused("not-found", f"No route has a peer {address!r}: see 'edgectl peers'.")
        try:
            return self.segment.peers.claim(address)
        except (MemoryError, ValueError) as error:
            raise Refused("not-found", f"{address!r} cannot be drained: {error}.") from None

    def _live(self) -> list[int]:
        rows = range(self.segment.rows)
        return [row for row in rows if self.segment.scoreboard_row(row)[Column.STATE]]

    def _under_way(self, index: int) -> int:
        return sum(self.segment.peers.own(row, index)[Own.UNDER_WAY] for row in self._live())

    def _described(self, address: str, index: int, routes: list[str]) -> dict[str, Any]:
        document: dict[str, Any] = {"peer": address, "routes": routes, "state": "unused"}
        if index < 0:
            return document
        shared = self.segment.peers.shared(index)
        live = [self.segment.peers.own(row, index) for row in self._live()]
        rows = [self.segment.peers.own(row, index) for row in range(self.segment.rows)]
        now_ms = time.monotonic_ns() // 1_000_000
        ejected_ms = max([0, *(cells[Own.EJECTED_UNTIL] - now_ms for cells in live)])
        health = Health(shared[Shared.HEALTH])
        state = "up" if health is Health.UNCHECKED else health.name.lower()
        if ejected_ms:
            state = "ejected"
        if shared[Shared.DRAINED]:
            state = "drained"
        return document | {
            "state": state,
            "checked": health is not Health.UNCHECKED,
            "why": self.checks.why(address),
            "found_s_ago": _age_s(shared[Shared.SINCE], now_ms),
            "ejected_for_s": round(ejected_ms / 1000, 1),
            "under_way": sum(cells[Own.UNDER_WAY] for cells in live),
            "exchanges": sum(cells[Own.EXCHANGES] for cells in rows),
            "failures": sum(cells[Own.FAILURES] for cells in rows),
        }


def _age_s(since_ms: int, now_ms: int) -> float | None:
    """How long ago the check found it so; None before the first finding."""
    return round((now_ms - since_ms) / 1000, 1) if since_ms else None


def _routes_by_peer(published: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, text in published.items():
        if key.startswith(ROUTE) and '"upstreams"' in text:
            row = json.loads(text)
            for address in row.get("upstreams", []) + row.get("canary", {}).get("upstreams", []):
                found.setdefault(address, []).append(key.removeprefix(ROUTE))
    return found
