"""Folders of apps, written from a text for each file, and what a server has to build them with."""

from collections.abc import Callable
from pathlib import Path

from control.manifest.project import Project

TOOLS = frozenset(
    {
        "bun", "bundle", "cargo", "composer", "deno", "go", "java", "mvn", "node", "npm", "php",
        "puma",
    }
)  # fmt: skip


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write the files below a folder. A name that ends in "*" is that of a program."""
    for name, text in files.items():
        path = folder / name.rstrip("*")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if name.endswith("*"):
            path.chmod(0o755)
    return folder


def having(*more: str) -> Callable[[str, str], bool]:
    """A server that has these tools besides the usual ones."""
    tools = {*TOOLS, "python3", *more}
    return lambda name, path: name in tools


def project(folder: Path, files: dict[str, str], *tools: str, **settings) -> Project:
    """A folder as detection sees it."""
    settings.setdefault("finds", having(*tools))
    return Project(folder=str(write(folder, files)), **settings)
