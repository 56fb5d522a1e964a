"""Words: one per thing, the field's own, and none that says nothing."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.sources import FOLDERS, sources

EMPTY_STEMS = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}

WE_DO_NOT_SAY = {
    "addon": "hook",
    "arbiter": "master",
    "backend": "upstream or peer",
    "cluster": "upstream",
    "daemon": "master, control or worker",
    "entrypoint": "listener",
    "epoch": "generation",
    "frontend": "downstream",
    "helper": "the noun that it is",
    "helpers": "the noun that it is",
    "manager": "the noun that it is",
    "middleware": "hook",
    "misc": "the noun that it is",
    "plugin": "hook",
    "quiesce": "drain",
    "replica": "instance",
    "util": "the noun that it is",
    "utils": "the noun that it is",
    "vhost": "route",
}

VAGUE_VERBS = re.compile(r"_?(get|do|process|perform)_")
FOREIGN = {"do_GET", "do_POST", "get_all", "get_environ"}
"""Names that protocols of the standard library and of gevent fix."""


def test_a_file_is_named_by_its_noun() -> None:
    stems = {str(source): source.path.stem.strip("_") for source in sources(*FOLDERS)}
    assert {path for path, stem in stems.items() if stem in EMPTY_STEMS} == set()
    long = {
        path for path, stem in stems.items() if stem.count("_") > 1 and not stem.startswith("test_")
    }
    assert long == set(), "two words at most"


def test_identifiers_use_the_words_of_the_glossary() -> None:
    wrong = {
        f"{source}: {name}: say {WE_DO_NOT_SAY[word]}"
        for source in sources()
        for name in identifiers(source.tree)
        for word in words_of(name)
        if word in WE_DO_NOT_SAY
    }
    assert wrong == set()


def test_a_function_is_a_verb_that_says_something() -> None:
    names = {
        f"{source}: {function.name}"
        for source in sources()
        for function in source.functions()
        if function.name not in FOREIGN and VAGUE_VERBS.match(function.name)
    }
    assert names == set()


def test_log_messages_are_lower_case_and_have_no_full_stop() -> None:
    wrong = []
    for source in sources():
        for line, text in log_messages(source.tree):
            first = re.split(r"[^A-Za-z]", text, maxsplit=1)[0]
            if first.istitle() or text.endswith("."):
                wrong.append(f"{source}:{line}: {text}")
    assert wrong == []


def identifiers(tree: ast.Module) -> Iterator[str]:
    """Every name that the source itself gives to something."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr


def words_of(name: str) -> list[str]:
    """The words of a name in snake or camel case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_").split("_")


def log_messages(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of each call of a logger with a literal."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Name(id="log"),
                    attr="debug" | "info" | "warning" | "error" | "exception" | "critical",
                ),
                args=[ast.Constant(value=str(text)), *_],
            ):
                yield node.lineno, text


def test_words_are_found_in_both_cases() -> None:
    assert words_of("_PeerManager") == ["peer", "manager"]
    assert words_of("HTTP_BACKEND") == ["http", "backend"]
    assert words_of("get_util") == ["get", "util"]
