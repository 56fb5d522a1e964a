"""Fixtures of the stories about certificates: a real CA, and keepers that ask it."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.acme import Acme
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
def keep(acme: Acme, tmp_path: Path) -> Iterator[Callable[..., Keeping]]:
    """Makes keepers on the test's folder, each a new life of control."""
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
def collected() -> Iterator[None]:
    """What a test has left to the collector is gone before the next test."""
    yield
    gc.collect()
