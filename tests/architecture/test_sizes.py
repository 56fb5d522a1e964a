"""Sizes: what a person can read in one go. A wider thing says here why it is worth it."""

import ast
from collections.abc import Callable

from tests.architecture.sources import FunctionNode, sources

FILE_LINES = 400
USUAL_LINES = 300
BODY_LINES = 40
PARAMETERS = 6
ATTRIBUTES = 12

LONG = {
    "control/config/kinds.py": "every kind of value, a few lines each: a list to look in",
    "edge/connection.py": "one socket, and when what is written to it is sent",
    "edge/table/model.py": "records and nothing else: all that a table can hold",
    "edge/http1/parse.py": "the strict grammar of a head in one place, for one reader",
    "tests/support/edged.py": "all that a test can ask of one edged, in the order of its life",
    "tests/support/load_clients.py": "one class per kind of client, all with the same shape",
}

WIDE = {
    # What hooks see is one object with one name per thing; passing parts would hide the whole.
    "edge.exchange.Exchange": 29,
    "edge.message.Request": 20,
    # One object that all sessions of a worker share: the lane reads it without a second lookup.
    "edge.engine.Engine": 28,
    # The lane's own objects keep plain fields instead of objects of their own, for its speed.
    "edge.connection.Connection": 21,
    "edge.session.Session": 16,
    "edge.peers.PeerState": 13,
    "edge.listener.Listener": 15,
    # Process mains compose everything.
    "edge.worker.Worker": 17,
    "supervisor.tree.Tree": 13,
    "control.reload.Reloader": 16,
    "control.main.Control": 14,
    # One instance: its life, its process, and what was wrong with the one before.
    "control.instances.instance.Instance": 14,
    # One app: what is kept of it, what runs, and what it waits for.
    "control.apps.app.App": 14,
    # Records: nothing but fields. A route is all that a person may say of it.
    "edge.table.model.Route": 35,
    # A record of all that crosses an exec, nothing but fields.
    "supervisor.handover.Handover": 18,
    # Records of an app: all that a person may say of it, and what detection reads and finds.
    "control.manifest.spec.AppSpec": 22,
    # Records of a declaration and of a certificate, nothing but fields.
    "control.config.setting.Setting": 13,
    "control.acme.vault.Cert": 13,
}


def test_a_file_is_short_or_known_to_be_long() -> None:
    lengths = {
        str(source): source.length for source in sources("edge", "supervisor", "control", "tests")
    }
    assert {path for path, length in lengths.items() if length > FILE_LINES} <= set(LONG)
    assert [path for path in LONG if lengths.get(path, 0) <= USUAL_LINES] == []


def test_a_function_fits_on_a_screen() -> None:
    assert breaches(lambda function: body_lines(function) > BODY_LINES) == []


def test_a_function_has_few_parameters() -> None:
    assert breaches(lambda function: parameters(function) > PARAMETERS) == []


def test_a_class_has_few_attributes() -> None:
    found = widths().items()
    assert {name: width for name, width in found if width > WIDE.get(name, ATTRIBUTES)} == {}


def test_a_limit_is_not_wider_than_its_class() -> None:
    found = widths()
    assert {name: found.get(name) for name in WIDE} == WIDE


def breaches(is_breach: Callable[[FunctionNode], bool]) -> list[str]:
    """Where in the running code that is so."""
    return [
        f"{source}:{function.lineno}: {function.name}"
        for source in sources()
        for function in source.functions()
        if is_breach(function)
    ]


def widths() -> dict[str, int]:
    """The number of attributes of every class."""
    return {
        f"{source.module}.{one.name}": len(attributes(one))
        for source in sources()
        for one in source.classes()
    }


def body_lines(function: FunctionNode) -> int:
    """The lines of a function without its signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) else function.body
    end = function.end_lineno or function.lineno
    return end - body[0].lineno + 1 if body else 0


def parameters(function: FunctionNode) -> int:
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def attributes(one: ast.ClassDef) -> set[str]:
    """What instances hold: annotated fields and all that is assigned to `self`."""
    found = {
        field.target.id
        for field in one.body
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and "ClassVar" not in ast.unparse(field.annotation)
    }
    for node in ast.walk(one):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            found.add(node.attr)
    return found
