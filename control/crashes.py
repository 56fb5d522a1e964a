"""What has crashed lately, and whether it was replaced: told long after all is well again."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from control.events import Events

TOLD_S: Final = 3600.0
LISTED: Final = 10

KINDS: Final = {"worker-died": "worker", "control-died": "control", "spawner-died": "spawner"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashes:
    """Of one time: how many, and the latest of them, oldest first."""

    count: int
    latest: tuple[dict[str, Any], ...]


def crashes(
    events: Events, within_s: float, *, ready: Collection[int], has_spawner: bool
) -> Crashes:
    """Those of the last seconds; `ready` are the slots that have a worker now."""
    found = sorted(
        (event for kind in KINDS for event in events.recent(kind, min(within_s, TOLD_S))),
        key=lambda event: event["id"],
    )
    there = {"control": True, "spawner": has_spawner}
    latest = tuple(
        {
            "time": event["time"],
            "what": (what := KINDS[event["event"]]),
            "slot": event.get("slot"),
            "message": event["text"].partition("; starting it again")[0],
            "is_replaced": event.get("slot") in ready if what == "worker" else there[what],
        }
        for event in found[-LISTED:]
    )
    return Crashes(count=len(found), latest=latest)
