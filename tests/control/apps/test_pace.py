"""For how long an app is quiet."""

from control.apps.pace import Pace


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_is_idle_since_the_last_exchange_began_or_was_under_way() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.idle_s(0, 7) == 0
    clock.now += 3
    assert pace.idle_s(0, 7) == 3
    assert pace.idle_s(0, 8) == 0  # one came and went between two looks
    clock.now += 5
    assert pace.idle_s(1, 8) == 0  # one that lasts
    clock.now += 2
    assert pace.idle_s(0, 8) == 2


def test_it_is_calm_since_one_less_would_be_enough() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.calm_s(is_calm=True) == 0
    clock.now += 40
    assert pace.calm_s(is_calm=True) == 40
    assert pace.calm_s(is_calm=False) == 0
    clock.now += 40
    assert pace.calm_s(is_calm=True) == 0


def test_with_one_less_the_calm_begins_anew() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.calm_s(is_calm=True) == 0
    clock.now += 60
    assert pace.calm_s(is_calm=True) == 60
    pace.count_anew()
    assert pace.calm_s(is_calm=True) == 0
