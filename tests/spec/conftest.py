"""Fixtures of the stories about certificates: a real CA, and keepers that ask it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.acme import Acme
from tests.support.acme_front import AcmeFront
from tests.support.app_trouble import Platform, serving_meanwhile
from tests.support.automatic import Automatic
from tests.support.edged import Edged
from tests.support.keeping import Keeping
from tests.support.pebble import Pebble
from tests.support.responders import Responders


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme]:
    folder = tmp_path_factory.mktemp("pebble")
    with (
        Pebble(folder / "ca") as pebble,
        Responders(folder / "challenges", pebble.http_port, pebble.tls_port) as responders,
    ):
        yield Acme(pebble, responders, folder)


@pytest.fixture
def front(acme: Acme) -> Iterator[AcmeFront]:
    with AcmeFront(acme.pebble) as started:
        yield started


@pytest.fixture
def keep(
    acme: Acme, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Keeping]]:
    """Makes keepers on the test's folder, each a new life of control."""
    if "front" in request.fixturenames:
        request.getfixturevalue("front")  # whom they ask outlives them
    made: list[Keeping] = []

    def make(**more: Any) -> Keeping:
        if made:
            made[-1].end()
        more.setdefault("solver", acme.solver)
        made.append(Keeping(tmp_path, **more))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture
def automatic(tmp_path: Path) -> Iterator[Automatic]:
    made = Automatic(tmp_path)
    with made.pebble:
        yield made


@pytest.fixture(scope="module")
def running() -> Iterator[Edged]:
    """For the apps of a file's stories."""
    with Edged(workers=2) as edged:
        yield edged


@pytest.fixture
def platform(running: Edged, tmp_path: Path) -> Iterator[Platform]:
    """One on which another app serves under load, and must not notice."""
    made = Platform(running)
    with serving_meanwhile(made, tmp_path / "well"):
        yield made


@pytest.fixture
def alone() -> Iterator[Platform]:
    """One of a test's own, to be killed and stopped."""
    with Edged(workers=2) as edged:
        yield Platform(edged)
