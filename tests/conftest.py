"""Fixtures for tests against real processes; a failed test shows the log of every edged it ran."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.edged import Edged
from tests.support.origin import ScriptedOrigin
from tests.support.web_origin import WebOrigin

# The same examples on every machine, however busy it is.
settings.register_profile(
    "edged", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("edged")


@pytest.fixture
def edged() -> Iterator[Callable[..., Edged]]:
    """Makes and starts an `Edged`; all of them are stopped at the end of the test."""
    made: list[Edged] = []

    def make(*arguments: Any, **options: Any) -> Edged:
        each = Edged(*arguments, **options)
        made.append(each)
        return each.start()

    yield make
    for each in made:
        each.stop()
        each.remove()


@pytest.fixture
def origin() -> Iterator[ScriptedOrigin]:
    """A scripted origin."""
    with ScriptedOrigin() as started:
        yield started


@pytest.fixture(scope="module")
def web_origin() -> Iterator[WebOrigin]:
    """An ordinary HTTP origin, a process of its own."""
    with WebOrigin() as started:
        yield started


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Attach the logs while the processes and their folders are still there."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        for each in Edged.running:
            report.sections.append((f"log of {each!r}", each.log[-20_000:]))
