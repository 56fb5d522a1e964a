"""What the pages mention in passing: files, modules, settings, verbs, reasons."""

import importlib
import re
from pathlib import Path

import pytest

from control.admin import api, protocol
from control.config import loads
from control.config.reference import setting_names
from control.manifest.reference import setting_names as app_setting_names
from edge.errors import Reason
from edge.pages import STATUS
from edge.phases import Phase
from tests.control.config.fake_machine import FakeMachine
from tests.docs.commands import run
from tests.docs.pages import ROOT, pages, quoted, rows

README = ROOT / "README.md"
TEXTS = {page: page.read_text(encoding="utf-8") for page in pages()}
FOLDERS = ("edge", "supervisor", "control", "tests", "deploy", ".ci")


def mentions(pattern: str) -> set[str]:
    """Every inline code of all pages that matches as a whole."""
    spans = {span for text in TEXTS.values() for span in quoted(without_blocks(text))}
    return {span for span in spans if re.fullmatch(pattern, span)}


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def test_links_lead_somewhere() -> None:
    for page, text in TEXTS.items():
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page}: {target}"


def test_files_that_are_named_exist() -> None:
    named = mentions(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*")
    assert len(named) > 10
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_modules_that_are_named_can_be_imported() -> None:
    named = mentions(r"(?:edge|supervisor|control|tests)(?:\.[A-Za-z_]+)+(?:\(.*\))?")
    assert {name for name in named if not is_there(name.partition("(")[0])} == set()


def is_there(dotted: str) -> bool:
    """Whether a module, or an attribute of one, has that name. A file's name is another matter."""
    if dotted.endswith((".py", ".toml")):
        return True
    module, _, name = dotted.rpartition(".")
    try:
        importlib.import_module(dotted)
    except ImportError:
        return bool(module) and is_there(module) and hasattr(importlib.import_module(module), name)
    return True


NO_SETTINGS = {"app.internal", "app.3f2a9c1b.js"}
"""A host and a file of examples: there is a table of settings of their first word."""


def test_settings_that_are_named_exist() -> None:
    known = {*setting_names(), *app_setting_names()}
    tables = {name.split(".")[0] for name in known if "." in name}
    named = mentions(rf"(?:{'|'.join(tables)})\.\w+(?:\.\w+)?")
    assert {name for name in named - known - NO_SETTINGS if not name.endswith(".py")} == set()


def test_metrics_that_are_named_exist() -> None:
    known = TEXTS[ROOT / "control" / "README.md"]
    assert {name for name in mentions(r"edged_\w+") if f"| `{name}` |" not in known} == set()


def test_every_reason_of_x_edge_error_is_explained_with_its_status() -> None:
    explained: dict[str, str] = {
        name: row[1] for row in rows(TEXTS[README], "reason") for name in quoted(row[0])
    }
    assert sorted(explained) == sorted(reason.value for reason in Reason)
    for name, cell in explained.items():
        status = STATUS[Reason(name)]
        said = re.findall(r"\d{3}", cell)
        assert said == ([str(status)] if status != 499 else []), name
        assert said or cell == "none", name


def test_every_phase_is_on_the_way_of_a_request() -> None:
    way = TEXTS[ROOT / "ARCHITECTURE.md"].split("## The way of a request")[1]
    assert [phase for phase in Phase if not re.search(rf"\b{phase}\b", way)] == []


@pytest.mark.parametrize(
    ("machine", "addresses", "user"),
    [
        (FakeMachine(user="root", may_bind_80=True), ("[::]:80", "[::]:443"), "nobody"),
        (
            FakeMachine(user="root", may_bind_80=True, users=frozenset({"edged"})),
            ("[::]:80", "[::]:443"),
            "edged",
        ),
        (FakeMachine(user="alice"), ("[::]:8080",), ""),
    ],
)
def test_where_it_listens_and_as_whom_is_as_the_readme_says(
    machine: FakeMachine, addresses: tuple[str, ...], user: str
) -> None:
    said = " ".join(TEXTS[README].split())
    assert "As root it listens on ports 80 and 443" in said
    assert "its workers run as user `edged`, or `nobody`" in said
    assert "as an ordinary user it listens on 8080" in said
    spec = loads("", "/edged.toml", machine).spec
    assert (spec.http + spec.https, spec.user) == (addresses, user)


def test_every_path_of_the_admin_api_is_on_its_page() -> None:
    page = TEXTS[ROOT / "control" / "admin" / "README.md"]
    served = set(re.findall(r'"(/v1/[\w/]+)"', Path(api.__file__).read_text(encoding="utf-8")))
    assert set(re.findall(r"`(/v1/[\w/]+)`", page)) == served


def test_every_code_of_a_refusal_is_explained() -> None:
    page = TEXTS[ROOT / "control" / "admin" / "README.md"]
    explained = {name: row[1] for row in rows(page, "code") for name in quoted(row[0])}
    assert explained == {code: status.split(" ")[0] for code, status in protocol.STATUS.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("verbs")


def verbs() -> list[str]:
    named = re.compile(r"`edgectl ([a-z]+)")
    return sorted({verb for text in TEXTS.values() for verb in named.findall(text)})


@pytest.mark.parametrize("verb", verbs())
def test_a_verb_that_is_named_has_help(verb: str, folder: Path) -> None:
    assert run(f"edgectl {verb} --help", folder)
