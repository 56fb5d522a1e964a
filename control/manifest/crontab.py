"""Times of day as cron writes them: `minute hour day month weekday`, or `@daily` and its kin."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

NAMED: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a command is due. Weekdays count from Sunday, which is 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool  # day and weekday are both restricted: one that fits is enough, as in cron


def parse(text: str) -> Schedule:
    """The schedule of a line; raises `ValueError`."""
    line = NAMED.get(text.strip().lower(), text.strip())
    fields = line.split()
    if line.startswith("@"):
        raise ValueError(f'"{text}" is no schedule: use {", ".join(NAMED)}')
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f'"{text}" is no schedule: write five fields, minute hour day month weekday, such as'
            ' "30 4 * * *"'
        )
    read = [_field(one, *rule) for one, rule in zip(fields, _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = read
    either_day = not fields[2].startswith("*") and not fields[4].startswith("*")
    if not either_day and not any(day <= _LONGEST[month - 1] for day in days for month in months):
        raise ValueError(f'"{text}" never comes: no such month has that day')
    return Schedule(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        either_day=either_day,
    )


def is_due(schedule: Schedule, when: datetime) -> bool:
    """Whether it is due in the minute of that time."""
    if not (
        when.minute in schedule.minutes
        and when.hour in schedule.hours
        and when.month in schedule.months
    ):
        return False
    fits = when.day in schedule.days, when.isoweekday() % 7 in schedule.weekdays
    return any(fits) if schedule.either_day else all(fits)


# Private

_MONTHS: Final = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
)  # fmt: skip
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_Rule = tuple[str, int, int, dict[str, int]]
_FIELDS: Final[tuple[_Rule, ...]] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("weekday", 0, 7, {name: number for number, name in enumerate(_WEEKDAYS)}),
)


def _field(text: str, what: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if slash and not (step.isascii() and step.isdigit() and len(step) <= 2 and int(step)):
            raise ValueError(f'"{part}" is no {what}: a step is a number after "/", such as "*/5"')
        if span == "*":
            start, end = low, high
        else:
            start = _number(first, part, what, names)
            end = _number(last, part, what, names) if dash else high if slash else start
        if not low <= start <= end <= high:
            raise ValueError(f'"{part}" is no {what}: they go from {low} to {high}')
        found.update(range(start, end + 1, int(step) if slash else 1))
    return frozenset(found)


def _number(text: str, part: str, what: str, names: dict[str, int]) -> int:
    if text in names:
        return names[text]
    if not (text.isascii() and text.isdigit() and len(text) <= 2):
        raise ValueError(f'"{part}" is no {what}: write a number, "*", "1-5", "1,15" or "*/10"')
    return int(text)
