"""Where every key and table of a TOML text stands: tomli gives values and no lines.

Rule 1: only a text that tomli has accepted is scanned, so nothing is checked here again.
Rule 2: each character is looked at a fixed number of times; most lines cost one pattern.
Rule 3: whatever begins and ends on one line is that line's number and nothing more, so a tree
        for 100,000 routes stays small. Asking for something inside it gives the same line.
"""

import re
from dataclasses import dataclass, field
from typing import Final

import tomli


@dataclass(slots=True)
class Keys:
    """A table: the line of its header (or of its first mention), and what it holds."""

    line: int
    keys: dict[str, "Node"] = field(default_factory=dict)


@dataclass(slots=True)
class Items:
    """An array that spans lines, or the tables of an `[[array]]`."""

    line: int
    items: list["Node"] = field(default_factory=list)


Node = int | Keys | Items


def scan(text: str) -> Keys:
    """The positions of a text that tomli accepts."""
    return _Scanner(text.replace("\r\n", "\n")).document()


def line_of(node: Node) -> int:
    """The line on which a node begins, counted from 1."""
    return node if isinstance(node, int) else node.line


def inside(node: Node, step: str | int) -> Node:
    """The node of a key or an index; the line of `node` itself when nothing finer is known."""
    if isinstance(node, Keys) and isinstance(step, str):
        return node.keys.get(step, node.line)
    if isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
        return node.items[step]
    return line_of(node)


# Private

_STRING: Final = r"""(?:"(?!"")(?:[^"\\\n]|\\.)*+"|'(?!'')[^'\n]*+')"""
_FLAT: Final = rf"""(?:[^\[\]{{}}"'#\n]++|{_STRING})*+"""
_VALUE: Final = rf"""(?:{_STRING}|\[{_FLAT}\]|\{{{_FLAT}\}}|[\w+-][^"'\[{{#\n]*+)"""
_REST: Final = r"[ \t]*(?:#[^\n]*+)?(?:\n|\Z)"

# The lines that make up nearly every file, one pattern each.
_PAIR: Final = re.compile(rf"[ \t]*([A-Za-z0-9_-]++)[ \t]*=[ \t]*{_VALUE}{_REST}")
_HEADER: Final = re.compile(rf"[ \t]*(\[\[?)([A-Za-z0-9_.-]++)\]\]?{_REST}")
_BLANK: Final = re.compile(rf"(?:[ \t]*(?:#[^\n]*+)?\n)++|{_REST}")

# The pieces of all others.
_GAP: Final = re.compile(r"[ \t]*+")
_FILL: Final = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*+")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]++")
_QUOTED: Final = re.compile(_STRING)
_MULTILINE: Final = re.compile(
    r'''"""(?:[^"\\]|\\.|""?(?!"))*+"{3,5}|\'\'\'(?:[^']|''?(?!'))*+'{3,5}''', re.DOTALL
)
_PLAIN: Final = re.compile(r"\d{4}-\d\d-\d\d \d[^\s,\]}#]*+|[^\s,\]}#]++")


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.line = 1
        self._counted = 0  # newlines before this position are in `line`

    def document(self) -> Keys:
        root = Keys(1)
        table = root
        text, size = self.text, len(self.text)
        while self.position < size:
            if (match := _PAIR.match(text, self.position)) is not None:
                table.keys[match[1]] = self.line
                self._next_line(match.end())
            elif (match := _HEADER.match(text, self.position)) is not None:
                path = match[2].split(".")
                table = _open(root, path, self.line, is_array=len(match[1]) == 2)
                self._next_line(match.end())
            elif (match := _BLANK.match(text, self.position)) is not None and match[0]:
                self._count(match.end())
            else:
                table = self._statement(root, table)
        return root

    def _statement(self, root: Keys, table: Keys) -> Keys:
        """A header or a pair of the rarer kinds. Returns the table that is open after it."""
        self._skip(_GAP)
        line = self.line
        if self.text[self.position] == "[":
            is_array = self.text.startswith("[[", self.position)
            self._count(self.position + (2 if is_array else 1))
            table = _open(root, self._key(), line, is_array=is_array)
            self._count(self.position + (2 if is_array else 1))
        else:
            self._pair(table)
        self._skip(_BLANK)
        return table

    def _pair(self, table: Keys) -> None:
        line = self.line
        key = self._key()
        self._count(self.position + 1)  # the "="
        self._skip(_GAP)
        _walk(table, key[:-1], line).keys[key[-1]] = self._value()

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_GAP)
            if (match := _BARE_KEY.match(self.text, self.position)) is not None:
                parts.append(match[0])
            else:
                match = _QUOTED.match(self.text, self.position)
                assert match is not None, f"line {self.line}: no key where tomli found one"
                parts.append(_unquoted(match[0]))
            self._count(match.end())
            self._skip(_GAP)
            if not self.text.startswith(".", self.position):
                return parts
            self._count(self.position + 1)

    def _value(self) -> Node:
        first = self.text[self.position]
        if first == "[":
            return self._array()
        if first == "{":
            return self._inline_table()
        line = self.line
        for pattern in (_MULTILINE, _QUOTED) if first in "\"'" else (_PLAIN,):
            if (match := pattern.match(self.text, self.position)) is not None:
                self._count(match.end())
                return line
        raise AssertionError(f"line {line}: no value where tomli found one")

    def _array(self) -> Node:
        found = Items(self.line)
        self._count(self.position + 1)
        while self._goes_on("]"):
            found.items.append(self._value())
        return found.line if found.line == self.line else found

    def _inline_table(self) -> Node:
        found = Keys(self.line)
        self._count(self.position + 1)
        while self._goes_on("}"):
            self._pair(found)
        return found.line if found.line == self.line else found

    def _goes_on(self, closing: str) -> bool:
        """Go to the next element, or past the bracket that closes."""
        self._skip(_FILL)
        if self.text.startswith(",", self.position):
            self._count(self.position + 1)
            self._skip(_FILL)
        if self.text.startswith(closing, self.position):
            self._count(self.position + 1)
            return False
        return True

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.position)
        assert match is not None
        self._count(match.end())

    def _next_line(self, position: int) -> None:
        self.position = self._counted = position
        self.line += 1

    def _count(self, position: int) -> None:
        self.line += self.text.count("\n", self._counted, position)
        self.position = self._counted = position


def _unquoted(key: str) -> str:
    if key[0] == "'" or "\\" not in key:
        return key[1:-1]
    decoded: str = tomli.loads(f"key = {key}")["key"]
    return decoded


def _walk(table: Keys, path: list[str], line: int) -> Keys:
    """The table at a dotted path, made on the way; in an array of tables it is the last one."""
    for part in path:
        node = table.keys.setdefault(part, Keys(line))
        if isinstance(node, Items):
            node = node.items[-1]
        assert isinstance(node, Keys), f"line {line}: tomli opened {part}, which is no table"
        table = node
    return table


def _open(root: Keys, path: list[str], line: int, *, is_array: bool) -> Keys:
    """The table that a header opens."""
    parent = _walk(root, path[:-1], line)
    if is_array:
        array = parent.keys.setdefault(path[-1], Items(line))
        assert isinstance(array, Items)
        table = Keys(line)
        array.items.append(table)
        return table
    table = _walk(parent, path[-1:], line)
    table.line = line
    return table
