"""Bans of an edged that cannot write them down."""

from pathlib import Path

import pytest

from control.bans import BanDesk
from control.events import Events
from control.refusal import Refused
from control.state import State
from edge.shared.segment import Segment


class Full(State):
    """A state whose disk is full, until it is not."""

    is_full = False

    def keep(self, name: str, value: object) -> None:
        if self.is_full:
            raise Refused("disk-full", "make room")
        super().keep(name, value)


@pytest.fixture
def state(tmp_path: Path) -> Full:
    return Full(str(tmp_path / "state.db"))


def desk_of(state: State) -> BanDesk:
    return BanDesk(Segment.create(1), state, Events(state))


def networks(desk: BanDesk) -> set[str]:
    return {ban["network"] for ban in desk.listed()}


def test_a_ban_that_is_lifted_before_it_could_be_written_down_stays_lifted(state: Full) -> None:
    desk_of(state).ban("203.0.113.9", 3600)
    state.is_full = True
    desk = desk_of(state)  # the next control
    for change in (lambda: desk.ban("198.51.100.1", 600), lambda: desk.lift("203.0.113.9")):
        with pytest.raises(Refused, match="make room"):
            change()
    state.is_full = False
    desk.keep()
    assert networks(desk) == {"198.51.100.1"}
    assert networks(after_restart(state)) == {"198.51.100.1"}


def after_restart(state: State) -> BanDesk:
    desk = desk_of(state)
    desk.keep()
    return desk
