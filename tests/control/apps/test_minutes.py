"""Minutes by a clock that may jump."""

import pytest

from control.apps.minutes import SMALL_MINUTES, Minutes

HOUR = 60


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([100, 100, 101, 101, 102], [101, 102]),  # each once, and not that of the start
        ([100, 103], [101, 102, 103]),  # set forward by a little: none is lost
        ([100, 101, 99, 100, 101, 102], [101, 102]),  # set back by a little: none is doubled
        ([100, 101 + 48 * HOUR], [101 + 48 * HOUR]),  # a new clock: not two days of minutes
        ([48 * HOUR, 100, 101], [100, 101]),  # set back for good: it does not wait two days
        ([100, 100 + SMALL_MINUTES], [*range(101, 101 + SMALL_MINUTES)]),
        ([100, 101 + SMALL_MINUTES], [101 + SMALL_MINUTES]),
    ],
)
def test_every_minute_is_told_once(looks: list[int], told: list[int]) -> None:
    minutes = Minutes(looks[0] * 60.0 + 59)
    heard = [minute for look in looks[1:] for minute in minutes.begun(look * 60.0 + 0.5)]
    assert heard == told
