"""The project's own sources, each parsed once, for the tests of the house rules."""

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("edge", "supervisor", "control")
FOLDERS: Final = (*PACKAGES, "deploy", "tests")
BROKEN_ON_PURPOSE: Final = ROOT / "tests" / "edge" / "bad_hooks"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file. What is asked of it is read, and parsed, once."""

    path: Path

    @functools.cached_property
    def text(self) -> str:
        """What it says."""
        return self.path.read_text(encoding="utf-8")

    @functools.cached_property
    def tree(self) -> ast.Module:
        """The same, parsed."""
        return ast.parse(self.text)

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def module(self) -> str:
        """Its dotted name, such as "edge.http1.parse"."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def length(self) -> int:
        """Its lines."""
        return self.text.count("\n")

    def functions(self) -> Iterator[FunctionNode]:
        """All functions and methods, nested ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, FunctionNode))

    def classes(self) -> Iterator[ast.ClassDef]:
        """All classes."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))


@functools.cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Every Python file of these folders (all that run in production, when none is named)."""
    return tuple(
        _source(path)
        for folder in folders or PACKAGES
        for path in sorted((ROOT / folder).rglob("*.py"))
        if BROKEN_ON_PURPOSE not in path.parents
    )


def code_folders() -> list[Path]:
    """Every folder that holds Python files, test data apart."""
    return sorted({source.path.parent for source in sources(*FOLDERS)})


# Private


@functools.cache
def _source(path: Path) -> Source:
    return Source(path)
