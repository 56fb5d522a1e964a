"""An app with more under way than its instances should have gets one more, and never too many.

That calm ends one again, after a minute, is decided from plain numbers: see the tests of
`control/apps/scaling.py` and `control/apps/pace.py`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app_stories import app_of, ask, begin, deploy, starts_of, write_app
from tests.support.edged import Edged
from tests.support.eventually import eventually

CROWD = 12
MOST = 3


@pytest.fixture
def served() -> Iterator[Edged]:
    with Edged(workers=2) as edged:
        yield edged


def ready_of(edged: Edged, name: str) -> set[int]:
    """The pids of the instances that serve."""
    return {each["pid"] for each in app_of(edged, name)["instances"] if each["state"] == "ready"}


def test_a_crowd_starts_instances_as_far_as_it_may(served: Edged, tmp_path: Path) -> None:
    rules = f'[instances]\nmax = {MOST}\nconcurrency = 2\nidle = "1m"\n'
    deploy(served, write_app(tmp_path / "shop", more=rules))
    assert len(ready_of(served, "shop")) == 1
    crowd = [begin(served, "shop", "/takes/3") for _ in range(CROWD)]
    pids = eventually(lambda: len(found := ready_of(served, "shop")) == MOST and found)
    assert pids
    assert {int(ask(served, "shop", "/pid").body) for _ in range(CROWD)} <= pids
    assert [client.read_answer().status for client in crowd] == [200] * CROWD
    for client in crowd:
        client.close()
    assert len(starts_of(served, "shop")) == MOST


def test_new_instances_get_their_share(served: Edged, tmp_path: Path) -> None:
    rules = '[instances]\nmax = 2\nconcurrency = 2\nidle = "1m"\n'
    deploy(served, write_app(tmp_path / "kiosk", more=rules))
    crowd = [begin(served, "kiosk", "/takes/2") for _ in range(3)]
    eventually(lambda: len(ready_of(served, "kiosk")) == 2)
    busy = starts_of(served, "kiosk")[0]
    asked = [int(ask(served, "kiosk", "/pid").body) for _ in range(10)]
    assert len([pid for pid in asked if pid != busy]) > 5  # who has least to do is asked first
    for client in crowd:
        assert client.read_answer().status == 200
        client.close()


def test_an_operator_has_as_many_as_are_wanted(served: Edged, tmp_path: Path) -> None:
    deploy(served, write_app(tmp_path / "desk"))
    with begin(served, "desk", "/takes/1") as slow:
        assert served.ctl("scale", "desk", "3")
        eventually(lambda: len(ready_of(served, "desk")) == 3)
        assert served.ctl("scale", "desk", "1")  # returns when the others have ended
        assert len(ready_of(served, "desk")) == 1
        assert slow.read_answer().status == 200
    assert app_of(served, "desk")["least"] == 1
