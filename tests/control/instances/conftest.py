"""A bench per test: a folder for programs, and a launcher."""

from collections.abc import Iterator

import pytest

from tests.support.programs import Bench
from tests.support.programs import bench as open_bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """One whose processes are all gone after the test."""
    with open_bench() as made:
        yield made
