"""What this worker knows of each peer, from its own experience and from shared memory.

A peer is usable unless it is drained, was found down by the active check, or was ejected by any
worker because its last exchanges failed. Everything here is a field or a cell: the lane asks
nobody. `Peers.refresh`, at every heartbeat, brings in what control and the other workers found.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final

from edge.shared.peers import Health, Own, Shared
from edge.shared.scoreboard import Column
from edge.shared.segment import Segment

LONGEST_EJECTION_S: Final = 300.0
"""An ejection lasts twice as long as the one before it, up to this."""

STEADY_S: Final = 60.0
"""A peer that has not failed for that long after an ejection starts again at the shortest one."""

WINDOW_S: Final = 10.0
"""Over which a share of failures is taken."""

NEWEST: Final = 0.05
"""How much the newest exchange counts in a mean."""

_UNDER_WAY, _EJECTED, _EXCHANGES, _FAILURES = Own


class Record:
    """What this worker has seen of a peer lately, for those who look at more than a row of
    failures."""

    __slots__ = ("_since", "failed", "mean_s", "seen", "total")

    def __init__(self) -> None:
        self.total = self.failed = 0  # exchanges of the window
        self.seen = 0  # of all
        self.mean_s = 0.0  # until the first byte; newer ones count more
        self._since = 0.0

    def __repr__(self) -> str:
        return f"<Record {self.failed} of {self.total} failed, {self.mean_s * 1000:.1f} ms>"

    def note(self, now: float, *, failed: bool, first_byte_s: float = 0.0) -> None:
        """Count an exchange; `first_byte_s` is 0 for one without an answer."""
        if now - self._since > WINDOW_S:
            self._since, self.total, self.failed = now, 0, 0
        self.total += 1
        self.failed += failed
        if first_byte_s:
            part = max(NEWEST, 1 / (self.seen + 1))
            self.mean_s += (first_byte_s - self.mean_s) * part
            self.seen += 1


class PeerState:
    """One peer."""

    __slots__ = ("_changed", "_ejections", "_others", "_shared", "_since", "address", "failures",
                 "index", "own", "proven", "record", "up_since", "usable")  # fmt: skip

    def __init__(
        self,
        address: str,
        index: int,
        own: memoryview,
        shared: memoryview,
        changed: Callable[[], None],
    ) -> None:
        self.address = address
        self.index = index  # its place in the registry; -1 when all are taken
        self.own = own
        self.usable = True
        self.proven = True  # no probe after an ejection is due
        self.failures = 0  # in a row
        self.record = Record()
        self.up_since = 0.0  # seconds; 0 when it never was down
        self._shared = shared
        self._changed = changed
        self._others: Sequence[memoryview] = ()
        self._ejections = 0
        self._since = 0.0

    def __repr__(self) -> str:
        state = "usable" if self.usable else "out"
        return f"<PeerState {self.address} {state} under_way={self.under_way}>"

    @property
    def under_way(self) -> int:
        """Its exchanges, over all workers."""
        count = self.own[_UNDER_WAY]
        for cells in self._others:
            count += cells[_UNDER_WAY]
        return count

    @property
    def is_drained(self) -> bool:
        """Whether a person has taken it out."""
        return self._shared[Shared.DRAINED] != 0

    def succeed(self) -> None:
        """An exchange with it went well."""
        self.failures = 0
        self.proven = True

    def fail(self, limit: int, shortest_s: float, now: float) -> bool:
        """An exchange failed by its fault: eject it after `limit` in a row. Whether it was."""
        self.failures += 1
        self.own[_FAILURES] += 1
        if self.proven and self.failures < limit:
            return False
        return self.eject(shortest_s, now)

    def eject(self, shortest_s: float, now: float) -> bool:
        """Leave it alone for a while: longer each time, unless it was well for long. False for
        one that is: exchanges end that were under way, or all are asked for lack of others."""
        if now * 1000 < self.own[_EJECTED]:
            return False
        if now - self._since > STEADY_S + LONGEST_EJECTION_S:
            self._ejections = 0
        lasts_s = min(shortest_s * 2**self._ejections, LONGEST_EJECTION_S)
        if lasts_s < LONGEST_EJECTION_S:
            self._ejections += 1
        self._since = now
        # A little apart, so that workers do not all try it again at the same moment.
        self.own[_EJECTED] = int((now + lasts_s * random.uniform(0.9, 1.1)) * 1000)
        self.failures = 0
        self.usable = self.proven = False
        self.record = Record()
        self._changed()
        return True

    def refresh(self, others: Sequence[memoryview], now: float) -> bool:
        """Take in what is in shared memory; whether it became usable, or ceased to be."""
        self._others = others
        now_ms = int(now * 1000)
        health = self._shared[Shared.HEALTH]
        ejected = self.own[_EJECTED] > now_ms or any(cells[_EJECTED] > now_ms for cells in others)
        usable = (
            health in (Health.UNCHECKED, Health.UP)
            and not self._shared[Shared.DRAINED]
            and not ejected
        )
        if usable == self.usable:
            return False
        self.usable = usable
        if usable:
            self.up_since = now
        elif ejected:
            self.proven = False  # whichever worker found it failing
        return True


class Peers:
    """All peers that this worker has routes to."""

    def __init__(self, segment: Segment, row: int) -> None:
        self._segment = segment
        self._row = row
        self._known: dict[str, PeerState] = {}
        self._live: list[int] = []
        self._version = segment.peers.version
        self.changes = 0  # counts up when a peer becomes usable or ceases to be
        self._clear()

    def __repr__(self) -> str:
        return f"<Peers {len(self._known)} known>"

    def of(self, address: str) -> PeerState:
        """The state of a peer, made when it is asked for first."""
        state = self._known.get(address)
        if state is None:
            state = self._known[address] = self._make(address)
        return state

    def refresh(self, now: float) -> None:
        """Bring in what control and the other workers found; `now` is monotonic seconds."""
        registry = self._segment.peers
        if registry.version != self._version:
            self._version = registry.version
            self._forget_released()
        self._look_around()
        changed = False
        for state in self._known.values():
            changed |= state.refresh(self._others(state.index), now)
        self.changes += changed

    # Private

    def _clear(self) -> None:
        """The row's last worker left its exchanges behind."""
        registry = self._segment.peers
        for index in range(len(registry.names())):
            cells = registry.own(self._row, index)
            cells[_UNDER_WAY] = cells[_EJECTED] = 0

    def _make(self, address: str) -> PeerState:
        registry = self._segment.peers
        try:
            index = registry.claim(address)
        except (MemoryError, ValueError):
            size = max(len(Own), len(Shared)) + 1
            cells = memoryview(bytearray(size * 8)).cast("Q")
            shared = memoryview(bytearray(size * 8)).cast("Q")
            return PeerState(address, -1, cells, shared, self._change)
        self._look_around()
        own, shared = registry.own(self._row, index), registry.shared(index)
        state = PeerState(address, index, own, shared, self._change)
        state.refresh(self._others(index), 0.0)
        return state

    def _look_around(self) -> None:
        """Which other workers live."""
        self._live = [
            row for row in range(self._segment.rows)
            if row != self._row and self._segment.scoreboard_row(row)[Column.STATE]
        ]  # fmt: skip

    def _change(self) -> None:
        self.changes += 1

    def _others(self, index: int) -> list[memoryview]:
        if index < 0:
            return []
        return [self._segment.peers.own(row, index) for row in self._live]

    def _forget_released(self) -> None:
        names = self._segment.peers.names()
        for address, state in tuple(self._known.items()):
            if state.index >= 0 and names[state.index] != address:
                del self._known[address]
        self.changes += 1
