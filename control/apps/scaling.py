"""How many instances an app has: decided from plain numbers.

Rule 1: up at once, down slowly: one more is wanted when those that there are have more under way
        than each should have; one less when one less would have had enough for a whole minute.
Rule 2: from none to one is a wish (`slumber.py`), and from one to none is idleness.
"""

from dataclasses import dataclass
from typing import Final

from control.manifest.spec import Instances

CALM_S: Final = 60.0
SPARE: Final = 0.7
"""One less must be enough with that part of what each should have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What an app has to do."""

    instances: int  # that there are
    under_way: int
    calm_s: float  # for how long one less would have been enough


def wanted(rules: Instances, load: Load) -> int:
    """How many there should be; at least one, as the app is awake."""
    low, high = max(1, rules.min), max(1, rules.max)
    count = min(max(load.instances, low), high)
    needed = -(-load.under_way // rules.concurrency)
    if needed > count:
        return min(needed, high)
    if count > low and load.calm_s >= CALM_S:
        return count - 1
    return count


def is_calm(rules: Instances, load: Load) -> bool:
    """Whether one less would be enough now."""
    return load.under_way <= (load.instances - 1) * rules.concurrency * SPARE


def is_idle(rules: Instances, *, under_way: int, idle_s: float) -> bool:
    """Whether it should sleep. What is under way, such as an open WebSocket, is never cut."""
    return rules.min == 0 and under_way == 0 and idle_s >= rules.idle_s
