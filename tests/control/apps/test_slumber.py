"""The table of an app's slumber, against the picture of it."""

import pytest

from control.apps.slumber import Event, State, advance
from tests.docs.pages import ROOT
from tests.support.pictures import assert_drawn, assert_follows, cells

PICTURE = """
          WISHED  SERVED  LOST    IDLED   EMPTIED  GAVE_UP  STOP     START
ASLEEP    WAKING  AWAKE   .       .       .        .        STOPPED  .
WAKING    .       AWAKE   .       .       .        FAILED   STOPPED  .
AWAKE     .       .       WAKING  DROWSY  .        FAILED   STOPPED  .
DROWSY    AWAKE   AWAKE   ASLEEP  .       ASLEEP   FAILED   STOPPED  .
STOPPED   .       .       .       .       .        .        STOPPED  ASLEEP
FAILED    .       AWAKE   .       .       .        .        STOPPED  ASLEEP
"""


@pytest.mark.parametrize(("state", "event", "cell"), cells(PICTURE, State, Event))
def test_the_table_is_the_picture(state: State, event: Event, cell: str) -> None:
    assert_follows(advance, state, event, cell)


def test_the_page_of_the_folder_has_the_same_picture() -> None:
    assert_drawn(ROOT / "control" / "apps" / "README.md", PICTURE)
