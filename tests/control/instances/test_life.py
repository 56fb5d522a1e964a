"""The life of an instance, cell by cell, and how long it waits."""

import re

import pytest

from control.instances.life import Event, State, advance, deaths_in_row, pause_s
from supervisor.transitions import IllegalTransition
from tests.architecture.sources import ROOT

# Double entry: the table is in the code, the picture is here. Change both or neither.
PICTURE = """
            PROVEN  FELL       ROSE   DIED     RESTART   GAVE_UP  STOP      ENDED
STARTING    READY   .          .      BACKOFF  .         .        DRAINING  .
READY       .       UNHEALTHY  .      BACKOFF  .         .        DRAINING  .
UNHEALTHY   .       .          READY  BACKOFF  .         .        DRAINING  .
BACKOFF     .       .          .      .        STARTING  FAILED   STOPPED   .
FAILED      .       .          .      .        STARTING  .        STOPPED   .
DRAINING    .       .          .      .        .         .        DRAINING  STOPPED
STOPPED     .       .          .      .        .         .        .         .
"""


def cells() -> list[tuple[State, Event, str]]:
    header, *rows = (line.split() for line in PICTURE.strip().splitlines())
    return [
        (State[name], Event[event], cell)
        for name, *row in rows
        for event, cell in zip(header, row, strict=True)
    ]


def test_the_picture_has_every_state_and_every_event() -> None:
    assert len(cells()) == len(State) * len(Event)


@pytest.mark.parametrize(("state", "event", "cell"), cells())
def test_the_table_is_the_picture(state: State, event: Event, cell: str) -> None:
    if cell == ".":
        with pytest.raises(IllegalTransition, match=f"{event.name} is illegal in {state.name}"):
            advance(state, event)
    else:
        assert advance(state, event) is State[cell]


def test_the_page_of_the_folder_has_the_same_picture() -> None:
    page = (ROOT / "control" / "instances" / "README.md").read_text(encoding="utf-8")
    [picture] = re.findall(r"```\n( +PROVEN .*?)```", page, re.S)
    assert [line.split() for line in picture.splitlines()] == [
        line.split() for line in PICTURE.strip("\n").splitlines()
    ]


def test_the_wait_after_a_death_doubles_up_to_a_minute() -> None:
    assert [pause_s(deaths) for deaths in range(1, 10)] == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert pause_s(10_000) == 60


def test_a_process_that_was_stable_ends_the_row_of_deaths() -> None:
    assert deaths_in_row(4, ready_s=7.9, stable_s=8) == 5
    assert deaths_in_row(4, ready_s=8.0, stable_s=8) == 1
