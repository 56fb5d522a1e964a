"""Wait for something that another process does. The one place in the tests that sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.1


def eventually(condition: Callable[[], T], within_s: float = 10.0, message: str = "") -> T:
    """Return the first truthy value of `condition`; fail with its last value at the deadline.

    An `AssertionError` or `OSError` out of the condition counts as "not yet".
    """
    deadline = time.monotonic() + within_s
    pause_s = FIRST_PAUSE_S
    while True:
        last: object
        try:
            value = condition()
        except (AssertionError, OSError) as error:
            last = error
        else:
            if value:
                return value
            last = value
        if time.monotonic() >= deadline:
            name = message or getattr(condition, "__name__", repr(condition))
            raise AssertionError(f"not within {within_s} s: {name} (last: {last!r})")
        time.sleep(pause_s)  # noqa: TID251
        pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
