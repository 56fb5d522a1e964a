"""The life of an instance, cell by cell, and how long it waits."""

import pytest

from control.instances.life import Event, State, advance, deaths_in_row, pause_s
from tests.architecture.sources import ROOT
from tests.support.pictures import assert_drawn, assert_follows, cells

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


@pytest.mark.parametrize(("state", "event", "cell"), cells(PICTURE, State, Event))
def test_the_table_is_the_picture(state: State, event: Event, cell: str) -> None:
    assert_follows(advance, state, event, cell)


def test_the_page_of_the_folder_has_the_same_picture() -> None:
    assert_drawn(ROOT / "control" / "instances" / "README.md", PICTURE)


def test_the_wait_after_a_death_doubles_up_to_a_minute() -> None:
    assert [pause_s(deaths) for deaths in range(1, 10)] == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert pause_s(10_000) == 60


def test_a_process_that_was_stable_ends_the_row_of_deaths() -> None:
    assert deaths_in_row(4, ready_s=7.9, stable_s=8) == 5
    assert deaths_in_row(4, ready_s=8.0, stable_s=8) == 1
