"""The picture of a table of states: written in the test, and once more on its folder's page.

Double entry: the table is in the code, the picture is in the test. Change both or neither.
"""

import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TypeVar

import pytest

from supervisor.transitions import IllegalTransition

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)

Cell = tuple[S, E, str]


def cells(picture: str, states: type[S], events: type[E]) -> list[tuple[S, E, str]]:
    """Each state with each event, and the state that follows; "." for an event that is illegal."""
    header, *rows = (line.split() for line in picture.strip().splitlines())
    found = [
        (states[name], events[event], cell)
        for name, *row in rows
        for event, cell in zip(header, row, strict=True)
    ]
    assert len(found) == len(states) * len(events), "every state and every event is in the picture"
    return found


def assert_follows(advance: Callable[[S, E], S], state: S, event: E, cell: str) -> None:
    """The code does what the picture says."""
    if cell == ".":
        with pytest.raises(IllegalTransition, match=f"{event.name} is illegal in {state.name}"):
            advance(state, event)
    else:
        assert advance(state, event).name == cell


def assert_drawn(page: Path, picture: str) -> None:
    """The page has the same picture."""
    first = picture.split()[0]
    [drawn] = re.findall(rf"```\n( +{first} .*?)```", page.read_text(encoding="utf-8"), re.S)
    assert [line.split() for line in drawn.splitlines()] == [
        line.split() for line in picture.strip("\n").splitlines()
    ]
