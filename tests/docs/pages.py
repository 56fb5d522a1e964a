"""The project's pages, and the fenced blocks in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SKIPPED: Final = {".venv", ".git", "build", "dist", "node_modules", ".pytest_cache"}

_BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_PARTS: Final = re.compile(r"^(?=## )", re.M)
_ROW: Final = re.compile(r"^\| (.*?) \|$", re.M)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, and where it begins."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every markdown file of the project."""
    return [
        path
        for path in sorted(ROOT.rglob("*.md"))
        if SKIPPED.isdisjoint(path.relative_to(ROOT).parts)
    ]


def blocks(*languages: str, page: Path | None = None, below: str = "") -> list[Block]:
    """The blocks in these languages, of one page or of all; those below a heading alone."""
    return [
        Block(path, text.count("\n", 0, start + match.start()) + 1, match[1], match[2])
        for path in ([page] if page else pages())
        for text in [path.read_text(encoding="utf-8")]
        for start, part in _parts(text)
        if not below or part.startswith(f"## {below}\n")
        for match in _BLOCK.finditer(part)
        if match[1] in languages
    ]


def rows(text: str, header: str) -> list[list[str]]:
    """The cells of the first table whose first column has that header."""
    found: list[list[str]] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|"):
            if found:
                break
        elif found or cells[0] == header:
            found.append(cells)
    return [row for row in found[2:] if row]


def quoted(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


# Private


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """What stands below each heading, and where it begins."""
    start = 0
    for part in _PARTS.split(text):
        yield start, part
        start += len(part)
