"""How long a child that died waits for its next start.

The first death is answered at once, so that one crash costs nothing but itself. A child that
dies again before it was stable waits, and twice as long each time, so that a crash loop costs
the machine little. A child that lived long enough starts with a clean record.
"""

from typing import Final

FIRST_S: Final = 0.25
LONGEST_S: Final = 30.0
STABLE_S: Final = 10.0
"""A child that lived that long is no crash loop."""


def after_death(deaths: int, lived_s: float) -> tuple[int, float]:
    """The number of deaths in a row, this one counted, and the seconds to wait before a start."""
    deaths = 1 if lived_s >= STABLE_S else deaths + 1
    return deaths, delay_s(deaths)


def delay_s(deaths: int) -> float:
    """The wait after that many deaths in a row: 0, then doubling from `FIRST_S`."""
    if deaths <= 1:
        return 0.0
    # The exponent is bounded, so that a crash loop of years does not overflow a float.
    return min(LONGEST_S, FIRST_S * 2.0 ** min(deaths - 2, 32))
