"""Bad server files are data: each says in its first lines, after "#:", what must be said of it."""

from pathlib import Path

import pytest

from control.config import load
from control.serve import main
from tests.control.config.fake_machine import FakeMachine

FILES = sorted((Path(__file__).parent / "bad").glob("*.toml"))


def expected(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    marked = [line.removeprefix("#: ") for line in lines if line.startswith("#: ")]
    return [f"{path}:{line}".replace("{folder}", str(path.parent)) for line in marked]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_problem_of_a_bad_file_is_told_with_its_line(path: Path) -> None:
    loaded = load(path, FakeMachine())
    assert expected(path), f"{path.name} does not say what is expected"
    assert [str(problem) for problem in loaded.problems] == expected(path)


def test_there_are_enough_bad_files() -> None:
    assert len(FILES) >= 25


@pytest.mark.parametrize("name", ["wrong_types", "two_owners", "syntax_value", "rewrites"])
def test_check_prints_all_problems_on_stderr(name, capsys) -> None:
    path = next(path for path in FILES if path.stem == name)
    assert main(["--check", "--config", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == expected(path)


def test_a_file_with_problems_resolves_to_nothing() -> None:
    loaded = load(FILES[0], FakeMachine())
    assert loaded.resolved is None
    with pytest.raises(ValueError, match="has 1 problems"):
        _ = loaded.spec


def told(data: bytes, tmp_path: Path) -> list[str]:
    path = tmp_path / "edged.toml"
    path.write_bytes(data)
    return [str(problem).removeprefix(f"{path}") for problem in load(path, FakeMachine()).problems]


def test_a_file_that_is_no_utf8(tmp_path: Path) -> None:
    assert told(b'[server]\nuser = "J\xf6rg"\n', tmp_path) == [
        ":2: is not UTF-8: save the file as UTF-8"
    ]


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    assert told(b"\xef\xbb\xbf[server]\nworkers = 1\n", tmp_path) == []


@pytest.mark.parametrize("data", [b"a = " + b"[" * 100_000, b"a = " + b"{b = " * 50_000])
def test_a_bomb_of_brackets(data: bytes, tmp_path: Path) -> None:
    assert told(data, tmp_path) == [": is nested too deeply"]


def test_a_number_too_long_for_python(tmp_path: Path) -> None:
    [problem] = told(b"[server]\nworkers = " + b"9" * 10_000, tmp_path)
    assert "bad TOML: " in problem


@pytest.mark.parametrize("data", [b"\x00", b"[server]\r", b"=", b"[", b"[[route", b'"', b"a.b"])
def test_nothing_raises(data: bytes, tmp_path: Path) -> None:
    assert told(data, tmp_path)


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "edged.toml"
    [problem] = load(path, FakeMachine()).problems
    assert str(problem) == f"{path}: there is no such file: name the server file with --config"


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    [problem] = load(tmp_path, FakeMachine()).problems
    assert str(problem) == f"{tmp_path}: is a folder: name the file in it"


def test_an_impossible_file_name() -> None:
    [problem] = load("a\0b", FakeMachine()).problems
    assert problem.message == "cannot be read: embedded null byte"
