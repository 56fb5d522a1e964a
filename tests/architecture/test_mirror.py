"""Where a test stands: beside the file that it tests, in a tree of the same shape."""

from pathlib import Path

from tests.architecture.sources import PACKAGES, ROOT

STORIES = {
    "tests/control/manifest/test_examples.py": "deploy/examples/apps",
    "tests/control/cli/test_edgectl.py": "the command as a whole, against an API of its own",
    "tests/control/config/test_bad_files.py": "whole files, through all of the folder",
    "tests/control/config/test_examples.py": "deploy/examples/*.toml",
    "tests/edge/test_examples.py": "deploy/examples/hooks",
}
"""Tests of more than one file, and of what."""


def test_a_test_has_the_name_and_the_place_of_what_it_tests() -> None:
    strays = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in sorted((ROOT / "tests" / package).rglob("test_*.py"))
        if str(path.relative_to(ROOT)) not in STORIES and not is_mirror(path)
    ]
    assert strays == []


def test_a_story_that_is_listed_is_there() -> None:
    assert [path for path in STORIES if not (ROOT / path).exists()] == []


def is_mirror(path: Path) -> bool:
    """Whether there is a file or a folder of that name in the code."""
    place = ROOT / path.relative_to(ROOT / "tests").parent
    noun = path.stem.removeprefix("test_")
    return (place / f"{noun}.py").exists() or (place / noun).is_dir()
