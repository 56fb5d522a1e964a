"""A bench of apps per test."""

from collections.abc import Iterator

import pytest

from tests.support.app_bench import AppBench, app_bench


@pytest.fixture
def apps() -> Iterator[AppBench]:
    """One whose processes are all gone after the test."""
    with app_bench() as made:
        yield made
