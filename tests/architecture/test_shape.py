"""Shape: what a file looks like, read from its top to its end."""

import ast
import re

from tests.architecture.sources import FOLDERS, sources


def test_a_file_begins_with_a_sentence() -> None:
    wrong = []
    for source in sources(*FOLDERS):
        docstring = ast.get_docstring(source.tree) or ""
        if source.text.strip() and not docstring.split("\n\n")[0].endswith((".", ":")):
            wrong.append(str(source))
    assert wrong == []


def test_public_things_come_before_private_ones() -> None:
    wrong = []
    for source in sources():
        lines = source.text.splitlines()
        border = lines.index("# Private") + 1 if "# Private" in lines else len(lines)
        for node in source.tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.lineno > border:
                wrong += [f"{source}: {node.name}"] if not node.name.startswith("_") else []
    assert wrong == []


def test_a_package_only_names_what_it_offers() -> None:
    for source in sources():
        if source.path.name != "__init__.py":
            continue
        for node in source.tree.body:
            assert isinstance(node, ast.Expr | ast.ImportFrom | ast.Assign), ast.unparse(node)
            if isinstance(node, ast.Assign):
                assert ast.unparse(node.targets[0]) == "__all__"


def test_nothing_is_left_for_later() -> None:
    words = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "NotImplemented" + "Error")
    pattern = re.compile(rf"\b(?:{'|'.join(words)})\b")
    assert [str(source) for source in sources(*FOLDERS) if pattern.search(source.text)] == []


def test_packages_are_two_deep_at_most() -> None:
    assert max(len(one.module.split(".")) for one in sources()) <= 3
