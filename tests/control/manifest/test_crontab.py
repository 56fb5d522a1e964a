"""Schedules of cron."""

from datetime import datetime

import pytest

from control.manifest.crontab import NAMED, Schedule, is_due, parse


def test_a_line_is_read_as_cron_reads_it() -> None:
    assert parse("*/20 1-3,5 1 feb,MAR mon-fri") == Schedule(
        minutes=frozenset({0, 20, 40}),
        hours=frozenset({1, 2, 3, 5}),
        days=frozenset({1}),
        months=frozenset({2, 3}),
        weekdays=frozenset({1, 2, 3, 4, 5}),
        either_day=True,
    )


def test_sunday_has_two_numbers() -> None:
    assert parse("0 0 * * 7").weekdays == parse("0 0 * * sun").weekdays == frozenset({0})
    assert parse("0 0 * * 5-7").weekdays == frozenset({5, 6, 0})


def test_a_number_with_a_step_goes_to_the_end() -> None:
    assert parse("50/5 0 * * *").minutes == frozenset({50, 55})


@pytest.mark.parametrize("name", NAMED)
def test_a_named_schedule_is_one(name: str) -> None:
    assert parse(name.upper()) == parse(NAMED[name])


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "* * * * * *", "60 * * * *", "-1 * * * *", "5-1 * * * *", "*/0 * * * *",
     "*/x * * * *", "1,,2 * * * *", "a * * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
     "0 0 30 feb *", "@never", "\u0661 * * * *", "9" * 5000 + " * * * *"],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|never comes"):
        parse(text)


def test_an_impossible_day_is_none_where_a_weekday_comes() -> None:
    assert parse("0 0 30 feb mon").either_day


@pytest.mark.parametrize(
    ("line", "times"),
    [
        ("30 4 * * *", {"2030-01-01 04:30", "2030-01-06 04:30"}),
        ("* * * * *", {"2030-01-01 04:30", "2030-01-06 04:30", "2030-02-28 23:59"}),
        ("59 23 28 feb *", {"2030-02-28 23:59"}),
        ("30 4 * * sun", {"2030-01-06 04:30"}),  # a Sunday
        ("30 4 1 * sun", {"2030-01-01 04:30", "2030-01-06 04:30"}),  # either is enough
        ("30 4 1 * *", {"2030-01-01 04:30"}),
        ("30 5 1 * *", set()),
    ],
)
def test_a_schedule_is_due_in_its_minutes(line: str, times: set[str]) -> None:
    asked = ("2030-01-01 04:30", "2030-01-06 04:30", "2030-02-28 23:59")
    schedule = parse(line)
    assert {each for each in asked if is_due(schedule, datetime.fromisoformat(each))} == times
