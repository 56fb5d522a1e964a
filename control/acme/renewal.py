"""When something is due: certificates, attempts, orders. Chance comes in as a number.

All instants are wall time, in seconds: certificates have no other, and a schedule must outlive the
process that made it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

K = TypeVar("K")

DUE_LEFT: Final = 1 / 3
EMERGENCY_LEFT: Final = 1 / 20
"""Shares of a lifetime, never days: lifetimes get shorter."""

MINUTES: Final = (1, 2, 2, 5, *[10] * 3, *[20] * 4, *[30] * 6, *[60] * 3, *[120] * 2, *[180] * 2)
LAST_WAIT_S: Final = 6 * 3600.0
GIVE_UP_S: Final = 30 * 86400.0
LONGEST_HOLD_S: Final = 86400.0
"""A Retry-After beyond that is believed no further."""

ORDERS: Final = 10
ORDERS_WITHIN_S: Final = 10.0

SHORTEST_USE_S: Final = 3600.0
WINDOW_RETRY_S: Final = 6 * 3600.0
SHORTEST_WINDOW_RETRY_S: Final = 60.0
LONGEST_WINDOW_RETRY_S: Final = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a CA would like a certificate to be renewed (RFC 9773), and what we chose of it."""

    start: float
    end: float
    instant: float = 0.0
    ask_at: float = 0.0  # when to ask for the window again


def due_at(
    not_before: float, not_after: float, window: Window | None = None, stored: float = 0.0
) -> float:
    """When to begin to renew: as the CA says, or at a third of life left; always before 1/20.

    A CA that wishes for each new certificate that it were renewed already is not obeyed at once.
    """
    latest = emergency_at(not_before, not_after)
    if window is not None:
        return min(max(window.instant, stored + SHORTEST_USE_S), latest)
    return not_after - DUE_LEFT * (not_after - not_before)


def emergency_at(not_before: float, not_after: float) -> float:
    """From when on nothing is more important."""
    return not_after - EMERGENCY_LEFT * (not_after - not_before)


def chosen(known: Window | None, start: float, end: float, toss: float) -> Window:
    """The window with an instant in it; one that is known already keeps its instant.

    `toss` is from 0 to 1. A window that ends before it starts is taken for its start.
    """
    if known is not None and (known.start, known.end) == (start, end):
        return known
    return Window(start=start, end=end, instant=start + toss * max(0.0, end - start))


def ask_again_s(retry_after_s: float) -> float:
    """When to ask for the window again: as the CA says, within reason (RFC 9773, 4.3)."""
    if not retry_after_s:
        return WINDOW_RETRY_S
    return min(max(retry_after_s, SHORTEST_WINDOW_RETRY_S), LONGEST_WINDOW_RETRY_S)


def retry_s(failures: int, failing_s: float) -> float | None:
    """How long to wait after so many failures in a row; None when it has been tried enough."""
    wait_s = MINUTES[failures - 1] * 60.0 if failures <= len(MINUTES) else LAST_WAIT_S
    return wait_s if failing_s + wait_s <= GIVE_UP_S else None


def held_s(retry_after_s: float) -> float:
    """For how long a CA that said so is left alone."""
    return min(max(0.0, retry_after_s), LONGEST_HOLD_S)


def room_s(placed: Sequence[float], now: float) -> float:
    """How long the next order waits, given when the latest were placed (oldest first)."""
    if len(placed) < ORDERS:
        return 0.0
    # No longer than that, though the clock may have been set back.
    return min(max(0.0, placed[-ORDERS] + ORDERS_WITHIN_S - now), ORDERS_WITHIN_S)


def in_order(
    kinds: Sequence[K], tally: Mapping[K, tuple[int, int]], toss: Callable[[], float]
) -> list[K]:
    """Challenge types as they are tried: at random, then those that succeeded more often first.

    `tally` is successes and attempts; a type that was never tried counts as one that always works.
    """
    shuffled = sorted(kinds, key=lambda kind: toss())
    return sorted(shuffled, key=lambda kind: -_ratio(*tally.get(kind, (0, 0))))


# Private


def _ratio(successes: int, attempts: int) -> float:
    return successes / attempts if attempts else 1.0
