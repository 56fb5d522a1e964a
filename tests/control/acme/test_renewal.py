"""When things are due: shares of lifetimes, windows, waits, limits, the order of challenges."""

import random
from collections import Counter

import pytest

from control.acme.renewal import (
    GIVE_UP_S,
    Window,
    ask_again_s,
    chosen,
    due_at,
    emergency_at,
    held_s,
    in_order,
    retry_s,
    room_s,
)

DAY = 86400.0
HOUR = 3600.0


@pytest.mark.parametrize(
    ("lifetime_days", "due_day", "emergency_day"),
    [(90, 60, 85.5), (45, 30, 42.75), (6, 4, 5.7), (64, 128 / 3, 60.8)],
)
def test_a_renewal_is_due_at_a_share_of_the_lifetime(
    lifetime_days: float, due_day: float, emergency_day: float
) -> None:
    assert due_at(0, lifetime_days * DAY) == pytest.approx(due_day * DAY)
    assert emergency_at(0, lifetime_days * DAY) == pytest.approx(emergency_day * DAY)


@pytest.mark.parametrize(
    ("instant", "due"),
    [(50 * DAY, 50 * DAY), (70 * DAY, 70 * DAY), (89 * DAY, 85.5 * DAY), (-5 * DAY, HOUR)],
)
def test_a_window_decides_but_an_emergency_comes_first(instant: float, due: float) -> None:
    window = Window(start=instant, end=instant, instant=instant)
    assert due_at(0, 90 * DAY, window) == due


@pytest.mark.parametrize(("toss", "instant"), [(0.0, 100), (0.5, 150), (1.0, 200)])
def test_an_instant_is_anywhere_in_the_window(toss: float, instant: float) -> None:
    assert chosen(None, 100, 200, toss).instant == instant


def test_an_instant_is_chosen_once() -> None:
    first = chosen(None, 100, 200, 0.25)
    assert chosen(first, 100, 200, 0.75) is first
    assert chosen(first, 100, 300, 0.75).instant == 250


def test_a_window_that_ends_before_it_starts_is_its_start() -> None:
    assert chosen(None, 200, 100, 0.5).instant == 200


@pytest.mark.parametrize(("said", "waits"), [(0, 6 * HOUR), (1, 60), (HOUR, HOUR), (90 * DAY, DAY)])
def test_a_window_is_asked_for_again_within_reason(said: float, waits: float) -> None:
    assert ask_again_s(said) == waits


WAITS = [1, 2, 2, 5, *[10] * 3, *[20] * 4, *[30] * 6, *[60] * 3, *[120] * 2, *[180] * 2, 360, 360]


@pytest.mark.parametrize(("failures", "minutes"), list(enumerate(WAITS, 1)))
def test_attempts_become_rarer(failures: int, minutes: int) -> None:
    assert retry_s(failures, 0) == minutes * 60


def test_attempts_end_after_thirty_days() -> None:
    failing_s, failures = 0.0, 1
    while (wait_s := retry_s(failures, failing_s)) is not None:
        failing_s += wait_s
        failures += 1
    assert GIVE_UP_S - 6 * HOUR < failing_s <= GIVE_UP_S


@pytest.mark.parametrize(("said", "held"), [(-1, 0), (0, 0), (7200, 7200), (1e12, DAY)])
def test_a_retry_after_is_believed_up_to_a_day(said: float, held: float) -> None:
    assert held_s(said) == held


@pytest.mark.parametrize(
    ("placed", "now", "waits"),
    [
        ([], 0, 0),
        ([0.0] * 9, 0, 0),
        ([0.0] * 10, 0, 10),
        ([0.0] * 10, 4, 6),
        ([0.0] * 10, 10, 0),
        ([float(n) for n in range(10)], 9, 1),
        ([0.0, *[5.0] * 10], 6, 9),
    ],
)
def test_ten_orders_in_ten_seconds_and_no_more(
    placed: list[float], now: float, waits: float
) -> None:
    assert room_s(placed, now) == waits


def test_challenges_that_are_equally_good_come_in_any_order() -> None:
    toss = random.Random(7).random
    firsts = Counter(in_order("ab", {}, toss)[0] for _ in range(1000))
    assert 400 < firsts["a"] < 600


def test_the_challenge_that_works_more_often_comes_first() -> None:
    toss = random.Random(7).random
    tally = {"a": (1, 10), "b": (9, 10), "c": (5, 10)}
    assert {tuple(in_order("abc", tally, toss)) for _ in range(100)} == {("b", "c", "a")}
    assert in_order("ad", tally, toss) == ["d", "a"]  # never tried is worth a try
