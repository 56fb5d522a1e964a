"""What tests of trust share: a root, what it is called, and a machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from control.cli.anchors import root_of
from tests.support.certificates import TestAuthority
from tests.support.machine import Machine


@pytest.fixture
def ca(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path)


@pytest.fixture
def name(ca: TestAuthority) -> str:
    return root_of(ca.root.read_text()).name


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machine() as made:
        yield made
