"""Where a link leads: a table of links, and the kernel asked the same question."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.apps.links import leads_out


def plant(root: Path, links: dict[str, str]) -> None:
    for name, target in links.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)


@pytest.mark.parametrize(
    ("links", "out"),
    [
        ({"a": "b"}, False),
        ({"a": "b/../c"}, False),
        ({"d/a": "../b"}, False),
        ({"a": "."}, False),
        ({"d/a": "../../b"}, True),
        ({"a": ".."}, True),
        ({"a": "/etc/passwd"}, True),
        ({"a": "d/../../x"}, True),
        ({"a": "b/x", "b": ".."}, True),
        ({"a": "b/x", "b": "/"}, True),
        ({"a": "d/b/..", "d/b": ".."}, True),
        ({"a": "d/b/..", "d/b": "../e/f"}, False),
        ({"a": "a"}, True),
        ({"a": "b", "b": "a"}, True),
        ({"a": "x/" * 400 + "../" * 400 + "y"}, False),
        ({"a": "x/" * 400 + "../" * 401 + "y"}, True),
    ],
)
def test_a_link_that_leaves_its_folder_is_found(
    tmp_path: Path, links: dict[str, str], out: bool
) -> None:
    plant(tmp_path, links)
    assert leads_out(str(tmp_path), "d/a" if "d/a" in links else "a") is out


def test_a_way_out_and_back_in_is_a_way_out(tmp_path: Path) -> None:
    plant(tmp_path, {"a": f"../{tmp_path.name}/b"})
    assert leads_out(str(tmp_path), "a")


STEPS = st.lists(st.sampled_from(["..", "a", "b", "l", "m", "."]), min_size=1, max_size=5)


@given(first=STEPS, second=STEPS, third=STEPS)
def test_no_link_that_passes_can_be_followed_out(
    first: list[str], second: list[str], third: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("links") / "root"
    (root / "a" / "b" / "a").mkdir(parents=True)
    (root / "b" / "b").mkdir(parents=True)
    names = ("l", "a/m", "b/l")
    plant(root, dict(zip(names, map("/".join, (first, second, third)), strict=True)))
    for name in names:
        if not leads_out(str(root), name):
            real = os.path.realpath(root / name)
            assert os.path.commonpath([real, root]) == str(root)
