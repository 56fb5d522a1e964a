"""What all tables of states have in common: how one is followed, and what is not in it.

Each table has a file of its own, whose `advance` is the only way from one of its states to the
next.
"""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


class IllegalTransition(Exception):
    """An event that makes no sense in that state: a bug in us, never in what the table is about."""

    def __init__(self, state: Enum, event: Enum) -> None:
        super().__init__(f"{event.name} is illegal in {state.name}")
        self.state = state
        self.event = event


def follow(table: Mapping[S, Mapping[E, S]], state: S, event: E) -> S:
    """Return the state that follows, or raise `IllegalTransition`."""
    try:
        return table[state][event]
    except KeyError:
        raise IllegalTransition(state, event) from None
