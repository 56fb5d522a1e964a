"""Positions against tomllib: what it finds in a text must stand where the scanner says."""

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.config.positions import Items, Keys, Node, inside, line_of, scan

TEXT = '''\
# comment with [brackets] and "quotes"
top = 1
"quoted \\u006bey" = "x"
'literal.key' = 'y'

[server]  # comment
http = [":80", "[::]:80"]  # ]
hooks = [
  "a.py",   # the "first"
  'b.py',

  # between
  """c
.py""",
]
note = """
[not.a.table]
key = "no key"
"""
other = \'\'\'it''s "quoted"\'\'\'\'

[ limits . inner ]
a.b.c = 1
a.b.d = { x = 1, "y" = [1, [2, 3]], z.w = """two
lines""" }

[[route]]
match = "one"
when = 1979-05-27 07:32:00
[route.redirect]
to = "x"

[[route]]
match = [["a"], ["b",
"c"]]
tables = [{ n = 1 }, {
n = 2 }]
[[route.deep]]
k = 1
[[route.deep]]
k = 2
'''.replace("{\nn = 2 }", "{ n = [\n2] }")

LINES = [
    (("top",), 2),
    (("quoted key",), 3),
    (("literal.key",), 4),
    (("server",), 6),
    (("server", "http", 1), 7),
    (("server", "hooks"), 8),
    (("server", "hooks", 0), 9),
    (("server", "hooks", 1), 10),
    (("server", "hooks", 2), 13),
    (("server", "note"), 16),
    (("server", "other"), 20),
    (("limits", "inner"), 22),
    (("limits", "inner", "a"), 23),
    (("limits", "inner", "a", "b", "d"), 24),
    (("limits", "inner", "a", "b", "d", "z", "w"), 24),
    (("route", 0), 27),
    (("route", 0, "match"), 28),
    (("route", 0, "when"), 29),
    (("route", 0, "redirect"), 30),
    (("route", 0, "redirect", "to"), 31),
    (("route", 1), 33),
    (("route", 1, "match", 1, 0), 34),
    (("route", 1, "match", 1, 1), 35),
    (("route", 1, "tables", 1, "n"), 36),
    (("route", 1, "tables", 1, "n", 0), 37),
    (("route", 1, "deep", 0), 38),
    (("route", 1, "deep", 1, "k"), 41),
]


def node_at(tree: Node, path: tuple[str | int, ...]) -> Node:
    for step in path:
        tree = inside(tree, step)
    return tree


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(("path", "line"), LINES)
def test_the_line_of_a_key(path, line: int, newline: str) -> None:
    tree = scan(TEXT.replace("\n", newline))
    assert line_of(node_at(tree, path)) == line


def test_what_is_not_there_has_the_line_of_what_it_would_be_in() -> None:
    tree = scan(TEXT)
    assert inside(inside(tree, "server"), "absent") == 6
    assert inside(inside(tree, "route"), 9) == 27


# Against tomllib

KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True),
    st.text(st.characters(codec="utf-8", exclude_characters='"\\\n\r'), max_size=3)
    .filter(str.isprintable)
    .map(lambda text: f'"{text}"'),
    st.sampled_from(["'a.b'", "'#'", '"]"', '"\\""', '"\\u00e9"', "'\"'", '"="', "''"]),
)
GAPS = st.sampled_from(["", " ", "\t", "  "])
FILLS = st.sampled_from(["", " ", "\n", " # [comment] = '\"\n", "\n\n  ", "\t"])
SCALARS = st.sampled_from(
    [
        "1",
        "-1.5e3",
        "true",
        "inf",
        "0xFF",
        "1979-05-27",
        "1979-05-27 07:32:00Z",
        "07:32:00",
        '""',
        "''",
        '"a # b"',
        '"[x]"',
        '"\\""',
        '"\\\\"',
        "'\\'",
        "'\"]'",
        '""""""',
        "''''''",
        '"""a\n"b""]\n#"""',
        '"""a\\\n  """',
        '""""quoted"""""',
        "'''\n\"\"\"[t]\nk = 1\n'''",
        "''''a''''",
        '"""\\"""x"""',
    ]
)


@st.composite
def arrays(draw, values) -> str:
    items = draw(st.lists(values, max_size=3))
    inner = ",".join(draw(FILLS) + item + draw(FILLS) for item in items)
    comma = "," + draw(FILLS) if items and draw(st.booleans()) else draw(FILLS)
    return f"[{inner}{comma}]"


@st.composite
def tables(draw, values) -> str:
    keys = draw(st.lists(DOTTED, max_size=3))
    pairs = [f"{key}{draw(GAPS)}={draw(GAPS)}{draw(values)}" for key in keys]
    return "{ " + " , ".join(pairs) + " }"


@st.composite
def dotted(draw) -> str:
    keys = draw(st.lists(KEYS, min_size=1, max_size=3))
    return f"{draw(GAPS)}.{draw(GAPS)}".join(keys)


DOTTED = dotted()
MARK = 987_000_000  # no generated key or value looks like it
VALUES = st.recursive(SCALARS, lambda values: arrays(values) | tables(values), max_leaves=6)
COMMENTS = st.sampled_from(["", " ", " # [a] = ']\"", "#"])


@st.composite
def statements(draw) -> str:
    kind = draw(st.sampled_from(["pair", "pair", "pair", "table", "array", "blank"]))
    gap, comment = draw(GAPS), draw(COMMENTS)
    if kind == "pair":
        return f"{gap}{draw(DOTTED)}{draw(GAPS)}={draw(GAPS)}{draw(VALUES)}{comment}"
    if kind == "table":
        return f"{gap}[{draw(GAPS)}{draw(DOTTED)}{draw(GAPS)}]{comment}"
    if kind == "array":
        return f"{gap}[[{draw(GAPS)}{draw(DOTTED)}{draw(GAPS)}]]{comment}"
    return f"{gap}{comment}"


@st.composite
def documents(draw) -> str:
    """A text that tomllib accepts: statements it refuses after the earlier ones are left out."""
    kept: list[str] = []
    for statement in draw(st.lists(statements(), max_size=10)):
        try:
            tomllib.loads("\n".join([*kept, statement]))
        except tomllib.TOMLDecodeError:
            continue
        kept.append(statement)
    return draw(st.sampled_from(["\n", "\r\n"])).join([*kept, *draw(st.sampled_from([[], [""]]))])


def compare(value: object, node: Node, text: str) -> None:
    """The tree has what tomllib found and nothing else; a bare line covers all inside it."""
    if isinstance(node, int):
        assert 1 <= node <= text.count("\n") + 1
    elif isinstance(node, Keys):
        assert isinstance(value, dict)
        assert set(value) == set(node.keys)
        for key, inner in value.items():
            compare(inner, node.keys[key], text)
    else:
        assert isinstance(node, Items)
        assert isinstance(value, list)
        assert len(value) == len(node.items)
        for inner, item in zip(value, node.items, strict=True):
            compare(inner, item, text)


@settings(max_examples=500, deadline=None)
@given(documents())
def test_the_tree_is_what_tomllib_finds(text: str) -> None:
    compare(tomllib.loads(text), scan(text), text)


@st.composite
def marked_documents(draw) -> tuple[str, dict[str, int]]:
    """A text whose every scalar is a different number, and the lines those numbers are on."""
    text = draw(documents().filter(lambda text: "\r" not in text))
    pieces, count, position = [], 0, 0
    for start, stop in number_spans(text):
        pieces += [text[position:start], str(MARK + count)]
        position, count = stop, count + 1
    marked = "".join(pieces) + text[position:]
    lines = {
        str(MARK + number): next(
            index for index, line in enumerate(marked.split("\n"), 1) if str(MARK + number) in line
        )
        for number in range(count)
    }
    return marked, lines


def number_spans(text: str) -> list[tuple[int, int]]:
    """The places of the scalar `0xFF`, which stands for any."""
    spans, position = [], text.find("0xFF")
    while position >= 0:
        spans.append((position, position + 4))
        position = text.find("0xFF", position + 4)
    return spans


def leaves(value: Any, node: Node) -> list[tuple[Any, int]]:
    if isinstance(value, dict):
        return [pair for key, one in value.items() for pair in leaves(one, inside(node, key))]
    if isinstance(value, list):
        return [
            pair for index, one in enumerate(value) for pair in leaves(one, inside(node, index))
        ]
    return [(value, line_of(node))]


@settings(max_examples=500, deadline=None)
@given(marked_documents())
def test_every_value_is_on_its_line(marked: tuple[str, dict[str, int]]) -> None:
    text, lines = marked
    for value, line in leaves(tomllib.loads(text), scan(text)):
        if isinstance(value, int) and str(value) in lines:
            assert line == lines[str(value)]


def test_a_long_text_takes_linear_time() -> None:
    table = '[[route]]\nmatch = ["a{0}.example.com"]\nupstreams = [\n  "127.0.0.1:9000",\n]\n'
    text = "".join(table.format(number) for number in range(2000))
    tree = scan(text)
    assert line_of(node_at(tree, ("route", 1999, "upstreams", 0))) == 1999 * 5 + 4


@pytest.mark.parametrize("evil", ['"' + "\\\\" * 50_000 + '"', "[" + "[1]," * 20_000 + "]"])
def test_a_long_value_takes_linear_time(evil: str) -> None:
    assert line_of(node_at(scan(f"a = {evil}\nb = 1\n"), ("b",))) == 2
