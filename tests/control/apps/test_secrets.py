"""Secrets, in a real state database: what is kept, what is refused, what a crash leaves."""

import os
import stat
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.apps.secrets import ALL_BYTES, INDEX, KEY_NAME, OF_APP, VALUE_BYTES, Secrets
from control.refusal import Refused
from control.state import State

BLOG, SHOP = "blog/production", "shop/production"
VALUE = b"hunter2 \xc3\xa4\n"


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(str(tmp_path / "state.db"))


@pytest.fixture
def secrets(state: State, tmp_path: Path) -> Secrets:
    return Secrets(state, str(tmp_path))


def clear(secrets: Secrets, app: str = BLOG) -> dict[str, str]:
    return secrets.values(app).environment()


def test_what_is_set_is_there_again_after_a_restart(state: State, tmp_path: Path) -> None:
    secrets = Secrets(state, str(tmp_path))
    secrets.set(BLOG, {"A": VALUE, "EMPTY": b""})
    secrets.set(BLOG, {"B": b"2", "A": b"1"})
    secrets.set(SHOP, {"A": b"other"})
    again = Secrets(State(state.path), str(tmp_path))
    assert again.names(BLOG) == ("A", "B", "EMPTY")
    assert clear(again) == {"A": "1", "B": "2", "EMPTY": ""}
    assert clear(again, SHOP) == {"A": "other"}
    assert again.apps() == (BLOG, SHOP)
    again.unset(BLOG, ["A", "EMPTY"])
    again.remove(SHOP)
    assert (clear(again), clear(again, SHOP), again.apps()) == ({"B": "2"}, {}, (BLOG,))


def test_nothing_of_a_value_is_on_the_disk_in_clear(secrets: Secrets, tmp_path: Path) -> None:
    secrets.set(BLOG, {"A": b"hunter2-hunter2"})
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert {path.name for path in files} >= {"state.db", KEY_NAME}
    assert not [path for path in files if b"hunter2" in path.read_bytes()]
    assert stat.S_IMODE((tmp_path / KEY_NAME).stat().st_mode) == 0o600
    assert "hunter2" not in repr(secrets) + repr(secrets.values(BLOG))


def test_without_secrets_nothing_needs_a_key(secrets: Secrets, tmp_path: Path) -> None:
    assert (secrets.names(BLOG), clear(secrets), secrets.apps()) == ((), {}, ())
    assert not (tmp_path / KEY_NAME).exists()


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("", b"x", "secret-invalid"),
        ("1A", b"x", "secret-invalid"),
        ("A-B", b"x", "secret-invalid"),
        ("A=hunter2", b"x", "secret-invalid"),
        ("A\n", b"x", "secret-invalid"),
        ("Ä", b"x", "secret-invalid"),
        ("A" * 129, b"x", "secret-invalid"),
        ("PORT", b"x", "secret-invalid"),
        ("A", b"hunter2\0", "secret-invalid"),
        ("A", b"hunter2\xff", "secret-invalid"),
        ("A", b"hunter2" * VALUE_BYTES, "secret-too-large"),
    ],
)
def test_what_no_environment_can_hold_is_refused_without_showing_it(
    secrets: Secrets, name: str, value: bytes, code: str
) -> None:
    with pytest.raises(Refused) as refusal:
        secrets.set(BLOG, {"GOOD": b"1", name: value})
    assert refusal.value.code == code
    assert "hunter2" not in "".join(traceback.format_exception(refusal.value))
    assert refusal.value.__context__ is None
    assert secrets.names(BLOG) == ()


def test_all_of_an_app_have_a_limit_and_what_is_too_much_changes_nothing(secrets: Secrets) -> None:
    many = {f"S{number}": b"x" * VALUE_BYTES for number in range(15)}
    secrets.set(BLOG, many)
    with pytest.raises(Refused, match="is the most") as refusal:
        secrets.set(BLOG, {"LAST": b"x" * VALUE_BYTES})
    assert refusal.value.code == "secret-too-large"
    secrets.set(BLOG, {"S0": b"y" * VALUE_BYTES})
    used = sum(len(name) + VALUE_BYTES for name in many)
    secrets.set(BLOG, {"L": b"x" * 60_000, "M": b"x" * (ALL_BYTES - used - 60_002)})
    with pytest.raises(Refused, match="is the most"):
        secrets.set(BLOG, {"N": b""})


def test_what_is_not_set_cannot_be_unset_and_nothing_else_is(secrets: Secrets) -> None:
    secrets.set(BLOG, {"A": b"1", "B": b"2"})
    with pytest.raises(Refused, match="no such secret") as refusal:
        secrets.unset(BLOG, ["A", "C"])
    assert refusal.value.code == "not-found"
    assert secrets.names(BLOG) == ("A", "B")


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (os.unlink, "secrets-key-missing"),
        (lambda path: Path(path).write_bytes(b"x" * 32), "secrets-key-wrong"),
        (lambda path: Path(path).write_bytes(b"short"), "secrets-key-wrong"),
    ],
    ids=["missing", "another", "no key"],
)
def test_without_its_key_nothing_is_read_or_added_and_there_is_a_way_out(
    secrets: Secrets, tmp_path: Path, harm: Callable[[Path], Any], code: str
) -> None:
    secrets.set(BLOG, {"A": b"1"})
    harm(tmp_path / KEY_NAME)
    for attempt in (
        lambda: secrets.values(BLOG),
        lambda: secrets.set(BLOG, {"B": b"2"}),
        lambda: secrets.set(SHOP, {"B": b"2"}),
        secrets.rotate,
    ):
        with pytest.raises(Refused, match=r"secrets\.key") as refusal:
            attempt()
        assert refusal.value.code == code
    assert secrets.names(BLOG) == ("A",)
    secrets.unset(BLOG, ["A"])
    if (tmp_path / KEY_NAME).exists():
        (tmp_path / KEY_NAME).unlink()
    secrets.set(BLOG, {"A": b"3"})
    assert clear(secrets) == {"A": "3"}


def test_what_is_moved_elsewhere_cannot_be_read_there(secrets: Secrets, state: State) -> None:
    secrets.set(BLOG, {"A": b"1", "B": b"2"})
    secrets.set(SHOP, {"A": b"3"})
    mine = state.kept(OF_APP + BLOG)
    state.keep(OF_APP + SHOP, mine)
    with pytest.raises(Refused, match="damaged or moved") as refusal:
        secrets.values(SHOP)
    assert refusal.value.code == "secrets-damaged"
    mine["secrets"]["A"], mine["secrets"]["B"] = mine["secrets"]["B"], mine["secrets"]["A"]
    state.keep(OF_APP + BLOG, mine)
    with pytest.raises(Refused, match="damaged or moved"):
        secrets.values(BLOG)
    secrets.set(BLOG, {"A": b"5", "B": b"6"})
    assert clear(secrets) == {"A": "5", "B": "6"}


def test_a_damaged_secret_keeps_no_other_from_being_set(secrets: Secrets, state: State) -> None:
    secrets.set(BLOG, {"A": b"1", "B": b"2"})
    kept = state.kept(OF_APP + BLOG)
    state.keep(OF_APP + BLOG, {**kept, "secrets": {**kept["secrets"], "A": "?"}})
    with pytest.raises(Refused, match="secret A of blog/production was damaged") as refusal:
        secrets.values(BLOG)
    assert refusal.value.code == "secrets-damaged"
    secrets.set(SHOP, {"A": b"3"})
    secrets.set(BLOG, {"A": b"4"})
    assert clear(secrets) == {"A": "4", "B": "2"}


@given(text=st.text(max_size=200))
def test_whatever_the_database_holds_is_read_or_refused(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("state")
    state = State(str(folder / "state.db"))
    secrets = Secrets(state, str(folder))
    secrets.set(BLOG, {"A": b"1"})
    state.keep(OF_APP + BLOG, {"version": 1, "secrets": {"A": text}})
    with pytest.raises(Refused):
        secrets.values(BLOG)
    assert secrets.names(BLOG) == ("A",)
    secrets.unset(BLOG, ["A"])
    secrets.set(BLOG, {"A": b"2"})
    assert clear(secrets) == {"A": "2"}
    state.keep(INDEX, {"version": 2})
    with pytest.raises(Refused, match="newer edged"):
        secrets.apps()


def test_a_rotation_seals_all_anew_and_drops_the_old_key(secrets: Secrets, tmp_path: Path) -> None:
    secrets.set(BLOG, {"A": b"1", "B": b"2"})
    secrets.set(SHOP, {"A": b"3"})
    old = (tmp_path / KEY_NAME).read_bytes()
    assert secrets.rotate() == 3
    new = (tmp_path / KEY_NAME).read_bytes()
    assert len(new) == 32
    assert new != old
    assert (clear(secrets), clear(secrets, SHOP)) == ({"A": "1", "B": "2"}, {"A": "3"})
    (tmp_path / KEY_NAME).write_bytes(old)
    with pytest.raises(Refused, match="is not the key"):
        secrets.values(BLOG)


class Failing(State):
    """A database that stops to be writable after so many values."""

    left = 1_000_000

    def keep(self, name: str, value: object) -> None:
        if not self.left:
            raise Refused("disk-full", "no room")
        self.left -= 1
        super().keep(name, value)


@pytest.mark.parametrize("done", range(5))
def test_a_rotation_that_was_cut_short_loses_nothing_and_is_finished(
    tmp_path: Path, done: int
) -> None:
    state = Failing(str(tmp_path / "state.db"))
    secrets = Secrets(state, str(tmp_path))
    wanted = {f"app{number}/production": {"A": str(number)} for number in range(5)}
    for app in wanted:
        secrets.set(app, {"A": wanted[app]["A"].encode()})
    state.left = done
    with pytest.raises(Refused, match="no room"):
        secrets.rotate()
    again = Secrets(State(state.path), str(tmp_path))
    assert {app: clear(again, app) for app in wanted} == wanted
    again.set("app0/production", {"A": b"0"})
    assert again.rotate() == 5
    assert len((tmp_path / KEY_NAME).read_bytes()) == 32
    assert {app: clear(again, app) for app in wanted} == wanted


class Waiting(State):
    """A database that lets others run meanwhile, as a locked one does."""

    def kept(self, name: str) -> Any:
        gevent.sleep(0)
        return super().kept(name)

    def keep(self, name: str, value: object) -> None:
        gevent.sleep(0)
        super().keep(name, value)


def test_changes_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    secrets = Secrets(Waiting(str(tmp_path / "state.db")), str(tmp_path))
    at_once = [
        *(gevent.spawn(secrets.set, BLOG, {f"S{number}": b"1"}) for number in range(20)),
        gevent.spawn(secrets.rotate),
        *(gevent.spawn(secrets.set, f"app{number}/x", {"A": b"1"}) for number in range(5)),
    ]
    gevent.joinall(at_once, raise_error=True)
    assert len(clear(secrets)) == 20
    assert len(secrets.apps()) == 6
