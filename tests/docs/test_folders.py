"""The folders' READMEs: every file named exists, and every file is named."""

import re
from pathlib import Path

import pytest

from edge.access_log import line_of
from supervisor.lifecycle import Event, State, advance
from supervisor.transitions import IllegalTransition
from tests.architecture.sources import PACKAGES, code_folders
from tests.docs.pages import ROOT, quoted, rows
from tests.docs.reference import APPS_PAGE, PAGE, VERBS_PAGE, renewed

FOLDERS = [
    *(folder for folder in code_folders() if folder.relative_to(ROOT).parts[0] in PACKAGES),
    ROOT / "deploy",
]
GENERATED = {"__init__.py", "README.md"}
LINES = 70


def text_of(folder: Path) -> str:
    page = folder / "README.md"
    assert page.exists(), f"{folder.relative_to(ROOT)} has no README.md"
    return page.read_text(encoding="utf-8")


def files_of(folder: Path) -> set[str]:
    """The files that a folder's page must name, those of subfolders without a page too."""
    found = set()
    for path in folder.iterdir():
        if path.name in GENERATED or path.name.startswith((".", "__pycache__")):
            continue
        if path.is_file():
            found.add(path.name)
        elif not (path / "README.md").exists():
            found |= {f"{path.name}/{name}" for name in files_of(path)}
    return found


def named_in(text: str) -> set[str]:
    """The files in the first column of the tables headed "file"."""
    found: set[str] = set()
    for part in re.split(r"^(?=\| file \|)", text, flags=re.M):
        for row in rows(part, "file"):
            found.update(quoted(row[0]))
    return found


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_page_names_each_file_of_its_folder_and_no_other(folder: Path) -> None:
    assert named_in(text_of(folder)) == files_of(folder)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_page_is_read_in_a_minute(folder: Path) -> None:
    text = re.sub(r"<!-- (\w+): .*?<!-- end of \1 -->", "", text_of(folder), flags=re.S)
    assert len(text.splitlines()) <= LINES


def test_the_page_of_the_tests_names_their_folders() -> None:
    folder = ROOT / "tests"
    there = {path.relative_to(folder).parts[0] for path in folder.glob("*/**/*.py")}
    named = {quoted(row[0])[0].rstrip("/") for row in rows(text_of(folder), "folder")}
    assert named == there, "tests/README.md has a row for each folder that has a file"


@pytest.mark.parametrize("page", [PAGE, APPS_PAGE, VERBS_PAGE], ids=lambda page: page.parent.name)
def test_the_made_parts_of_a_reference_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == renewed(page), "run: python -m tests.docs.reference"


def test_the_picture_of_a_childs_life_is_its_table() -> None:
    picture = re.search(r"```\n( +SAID_READY.*?)```", text_of(ROOT / "supervisor"), re.S)
    assert picture
    header, *lines = (line.split() for line in picture[1].splitlines())
    assert header == [event.name for event in Event]
    assert [name for name, *_ in lines] == [state.name for state in State]
    for name, *cells in lines:
        for event, cell in zip(header, cells, strict=True):
            assert outcome(State[name], Event[event]) == cell, (name, event)


def outcome(state: State, event: Event) -> str:
    try:
        return advance(state, event).name
    except IllegalTransition:
        return "."


def test_every_field_of_the_access_log_is_explained() -> None:
    fields = re.findall(r'"(\w+)":', "".join(map(str, line_of.__code__.co_consts)))
    explained = [name for row in rows(text_of(ROOT / "edge"), "field") for name in quoted(row[0])]
    assert explained == fields
