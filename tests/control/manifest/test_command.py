"""Commands: which are simple, which take a shell, and where the address goes."""

import pytest

from control.manifest.command import at_last, fill, in_shell, split


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("node server.js", ("node", "server.js")),
        ("  ./a  'b c' \"d e\" f\\ g ", ("./a", "b c", "d e", "f g")),
        ("serve --port $PORT --host ${HOST}", ("serve", "--port", "$PORT", "--host", "${HOST}")),
        ('serve "$HOST:$PORT"', ("serve", "$HOST:$PORT")),
        ("A=1 B='x y' node s.js", ("env", "A=1", "B=x y", "node", "s.js")),
        ("printf 'a|b&c;*'", ("printf", "a|b&c;*")),
        ("a --x=$HOME", None),
        ("a $PORTS", None),
        ("a && b", None),
        ("a | b", None),
        ("a > b", None),
        ("a; b", None),
        ("a `b`", None),
        ('a "$(b)"', None),
        ("a *.js", None),
        ("a ~/b", None),
        ("a '$PORT'", None),
        ("a # b", None),
        ("a\nb", None),
        ("A=1", None),
    ],
)
def test_a_simple_command_is_split_and_another_is_not(text: str, argv: tuple | None) -> None:
    assert split(text) == argv
    assert in_shell(text) == (argv or ("sh", "-c", text))


@pytest.mark.parametrize("text", ["", "  ", "a 'b", 'a "b', "a \\"])
def test_what_is_no_command_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is empty|is no command"):
        split(text)


@pytest.mark.parametrize(
    ("texts", "argv"),
    [
        (["a b"], ("a", "b")),
        (["A=1 b"], ("env", "A=1", "b")),
        (["a && b c"], ("sh", "-c", "a && exec b c")),
        (["a", "b"], ("sh", "-c", "a && exec b")),
        (["a && B=1 c"], ("sh", "-c", "a && exec env B=1 c")),
        (["a | b"], None),
        (["a && b > c"], None),
        (["a || b"], None),
        (["a & b"], None),
        (["echo 'a && b'"], None),
    ],
)
def test_the_last_command_takes_the_place_of_the_shell(texts: list, argv: tuple | None) -> None:
    assert at_last(texts) == argv


def test_only_the_address_is_put_in() -> None:
    argv = ("$HOST:$PORT", "${PORT}", "$PORTS", "$SECRET", "a$HOST")
    assert fill(argv, "127.0.0.1", 80) == ("127.0.0.1:80", "80", "$PORTS", "$SECRET", "a127.0.0.1")
