"""Bans as an operator sees them, and keeping them over a restart."""

import logging
import time
from dataclasses import dataclass, field
from typing import Any, Final

import gevent

from control.events import Events, wall_time
from control.refusal import Refused
from control.state import State
from edge.shared.bans import Bans, canonical
from edge.shared.scoreboard import HEARTBEAT_S
from edge.shared.segment import Segment

log = logging.getLogger("control.bans")

KEPT: Final = "bans"
LONGEST_S: Final = 365 * 86400.0

SEEN_S: Final = 3 * HEARTBEAT_S
"""After that long every worker that turns knows."""


@dataclass(slots=True)
class BanDesk:
    """What can be asked and done about them."""

    segment: Segment
    state: State
    events: Events
    _bans: Bans = field(init=False)
    _kept: dict[str, float] | None = None  # until when, wall time; None: not taken up yet

    def __post_init__(self) -> None:
        self._bans = Bans(self.segment.bans, time.monotonic)

    def listed(self) -> list[dict[str, Any]]:
        """All of them, and how long they last."""
        now_ms = time.monotonic() * 1000
        return [
            {"network": network, "left_s": round((until_ms - now_ms) / 1000, 1)}
            for network, until_ms in sorted(self._bans.listed().items())
        ]

    def ban(self, network: str, for_s: float) -> dict[str, Any]:
        """Refuse an address or a network for a while. Raises `Refused`."""
        if not 0 < for_s <= LONGEST_S:
            raise Refused("bad-request", f"A ban lasts for 1 second to {LONGEST_S:g} seconds.")
        try:
            name = self._bans.add(network, for_s)
        except ValueError:
            raise Refused("bad-request", f"{network!r} is no address and no network.") from None
        except MemoryError as error:
            raise Refused("busy", f"{network} cannot be banned: {error}.") from None
        self.events.add("banned", f"{name} is banned for {for_s:g} s", network=name)
        self.keep()
        gevent.sleep(SEEN_S)
        return {"network": name, "left_s": for_s}

    def lift(self, network: str) -> dict[str, Any]:
        """End a ban. Raises `Refused`."""
        try:
            name = canonical(network)
        except ValueError:
            raise Refused("bad-request", f"{network!r} is no address and no network.") from None
        if not self._bans.lift(name):
            raise Refused("not-found", f"{name} is not banned: see 'edgectl bans'.")
        self.events.add("ban-lifted", f"{name} is not banned any more", network=name)
        self.keep()
        gevent.sleep(SEEN_S)
        return {"network": name}

    def keep(self) -> None:
        """Write down what is in force, also what workers have added; before the first time, take
        up what was in force when edged ended. Raises `Refused`."""
        if self._kept is None:
            self._kept = self._restored()
        self._bans.reclaim()
        wall, now_ms = wall_time(), time.monotonic() * 1000
        found = {
            network: round(wall + (until_ms - now_ms) / 1000)
            for network, until_ms in self._bans.listed().items()
        }
        if not _is_alike(found, self._kept):
            self.state.keep(KEPT, found)
            self._kept = dict(found)

    # Private

    def _restored(self) -> dict[str, float]:
        kept: dict[str, float] = self.state.kept(KEPT) or {}
        wall = wall_time()
        known = self._bans.listed()
        for network, until in kept.items():
            if until > wall and network not in known:
                self._bans.add(network, until - wall)
        return kept


# Private


def _is_alike(found: dict[str, int], kept: dict[str, float]) -> bool:
    """Whether nothing was added or lifted: a second more or less is rounding."""
    return found.keys() == kept.keys() and all(
        abs(until - kept[network]) < 2 for network, until in found.items()
    )
