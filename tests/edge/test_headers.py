"""Header fields: lazily parsed, any case, and never a way to split a head."""

import pytest

from edge.headers import RESERVED, Headers

BLOCK = b"\r\nHost: a\r\nCookie: x=1\r\ncookie:  y=2 \r\nX-Empty:"


def test_an_unchanged_view_gives_back_the_very_bytes() -> None:
    headers = Headers(BLOCK)
    assert headers["host"] == "a"
    assert headers.render() is BLOCK


def test_names_compare_without_case_and_values_are_stripped() -> None:
    headers = Headers(BLOCK)
    assert headers.get("COOKIE") == "x=1"
    assert headers.get_all("Cookie") == ["x=1", "y=2"]
    assert headers.get("x-empty", "other") == ""
    assert headers.get("missing", "other") == "other"
    assert "HOST" in headers
    assert "missing" not in headers
    assert list(headers) == ["host", "cookie", "x-empty"]
    assert len(headers) == 4


def test_setting_replaces_all_and_adding_keeps_order() -> None:
    headers = Headers(BLOCK)
    headers["Cookie"] = "z=3"
    headers.add("X-B", "1")
    assert headers.render() == b"\r\nHost: a\r\nX-Empty: \r\nCookie: z=3\r\nX-B: 1"


def test_removing_what_is_not_there_changes_nothing() -> None:
    headers = Headers(BLOCK)
    assert not headers.remove("X-None")
    assert headers.render() is BLOCK
    with pytest.raises(KeyError):
        del headers["X-None"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nb"), ("X-A", "a\nb"), ("X-A", "\0"), ("X-A", "snow\u2603"), ("X-A", "\x7f"),
        ("X A", "a"), ("", "a"), ("X:", "a"), ("X\n", "a"), ("Caf\xe9", "a"),
    ],
)  # fmt: skip
def test_what_http_does_not_allow_is_refused(name: str, value: str) -> None:
    headers = Headers(BLOCK)
    for change in (headers.set, headers.add):
        with pytest.raises(ValueError, match=r"header (name|value)"):
            change(name, value)
    assert headers.render() is BLOCK


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_framing_fields_belong_to_the_edge(name: str) -> None:
    headers = Headers(BLOCK)
    with pytest.raises(ValueError, match="the edge alone"):
        headers.set(name.title(), "1")
    with pytest.raises(ValueError, match="the edge alone"):
        headers.remove(name)


@pytest.mark.parametrize("name", ["", ":", "x: y\r\nhost", "h\xf6st", "\u20ac", "host:", " host"])
def test_what_is_no_name_is_in_no_block(name: str) -> None:
    headers = Headers(b"\r\nHost: x\r\nX: y")
    assert headers.get(name, "none") == "none"
    assert name not in headers


def test_looking_before_and_after_parsing_finds_the_same() -> None:
    headers = Headers(b"\r\nA: 1\r\nlonger-a: 2\r\na:3 \r\nLast: \t 4\t")
    looked = [headers.get(name) for name in ("a", "A", "LONGER-A", "last", "as")]
    headers.items()
    assert [headers.get(name) for name in ("a", "A", "LONGER-A", "last", "as")] == looked
    assert looked == ["1", "1", "2", "4", ""]
