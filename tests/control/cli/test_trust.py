"""`edgectl trust` and `untrust`: what they do, what they take, what they say."""

import json
from collections.abc import Callable

import pytest

from control.authority import Authority
from tests.support.certificates import TestAuthority
from tests.support.machine import Machine, trusted


def test_a_root_is_installed_and_removed_again(
    machine: Machine, ca: TestAuthority, name: str
) -> None:
    other = machine.anchors / "other.crt"
    other.write_text("mine")
    done = machine.ctl("trust", "--root", str(ca.root))
    assert done, done
    file = machine.anchors / f"{name}.crt"
    assert file.read_text() == ca.root.read_text()
    assert file.stat().st_mode & 0o777 == 0o644
    assert trusted(machine.database) == {name: "C,,"}
    assert machine.database.stat().st_mode & 0o777 == 0o700
    done = machine.ctl("untrust", "--root", str(ca.root))
    assert done, done
    assert trusted(machine.database) == {}
    assert [path.name for path in machine.anchors.iterdir()] == ["other.crt"]


def test_it_may_be_done_again(machine: Machine, ca: TestAuthority, name: str) -> None:
    assert machine.ctl("trust", "--root", str(ca.root))
    again = machine.ctl("trust", "--root", str(ca.root))
    assert again
    assert f"{machine.database} has it" in again.out
    assert machine.ctl("untrust", "--root", str(ca.root))
    again = machine.ctl("untrust", "--root", str(ca.root))
    assert again
    assert again.out == "there is nothing to do\n"


def test_a_dry_run_changes_nothing(machine: Machine, ca: TestAuthority) -> None:
    done = machine.ctl("trust", "--dry-run", "--root", str(ca.root))
    assert done, done
    assert f"would make {machine.database}" in done.out
    assert f"would install it in {machine.database}" in done.out
    assert [*machine.anchors.iterdir(), *machine.home.iterdir(), *machine.called] == []
    assert machine.ctl("trust", "--root", str(ca.root))
    assert "would remove it" in machine.ctl("untrust", "--dry-run", "--root", str(ca.root)).out
    assert trusted(machine.database)
    assert [*machine.anchors.iterdir()]


def test_a_root_that_is_gone_is_removed_by_its_name(
    machine: Machine, ca: TestAuthority, name: str
) -> None:
    assert machine.ctl("trust", "--root", str(ca.root))
    assert machine.ctl("untrust", "--name", name)
    assert [*machine.anchors.iterdir()] == []
    assert trusted(machine.database) == {}


@pytest.mark.parametrize("wrong", ["other", "edged-*", "edged-0123456789ab/../x", ""])
def test_only_a_name_that_trust_gives_can_be_said(machine: Machine, wrong: str) -> None:
    assert machine.ctl("untrust", "--name", wrong).code == 2


# What they take, what they say


def test_json_is_one_document_also_of_a_failure(
    machine: Machine, ca: TestAuthority, name: str
) -> None:
    document = json.loads(machine.ctl("--json", "trust", "--root", str(ca.root)).out)
    assert document["name"] == name
    assert len(document["done"]) == 3
    (machine.system / "usr/sbin/update-ca-certificates").unlink()
    done = machine.ctl("--json", "untrust", "--root", str(ca.root))
    document = json.loads(done.out)
    assert (done.code, document["error"]) == (1, "not-everywhere")
    assert len(document["failed"]) == len(document["done"]) == 1


def half_of(ca: TestAuthority) -> str:
    return ca.root.read_text()[:200]


def key_of(ca: TestAuthority) -> str:
    return ca.issue("a.test")[1].read_text()


def leaf_of(ca: TestAuthority) -> str:
    return Authority(str(ca.folder / "a")).issue(["a"]).chain_pem.decode().partition("\n-----B")[0]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda _: "", "is no certificate in PEM"),
        (lambda _: "hello", "is no certificate in PEM"),
        (half_of, "is no certificate in PEM"),
        (key_of, "is no certificate in PEM"),
        (lambda ca: ca.root.read_text().replace("MII", "AAA"), "that is whole"),
        (lambda ca: ca.root.read_text() * 2, "several certificates"),
        (leaf_of, "is no certificate of a CA"),
    ],
)
def test_what_is_no_root_is_refused(
    machine: Machine, ca: TestAuthority, content: Callable[[TestAuthority], str], why: str
) -> None:
    path = ca.folder / "x.pem"
    path.write_text(content(ca))
    done = machine.ctl("trust", "--root", str(path))
    assert done.code == 1
    assert why in done.err
    assert [*machine.anchors.iterdir(), *machine.home.iterdir()] == []


def test_a_file_that_is_not_there_is_refused(machine: Machine) -> None:
    done = machine.ctl("trust", "--root", "/nowhere/root.pem")
    assert done.code == 1
    assert "/nowhere/root.pem cannot be read: No such file" in done.err


def test_without_edged_and_without_a_file_there_is_no_root(machine: Machine) -> None:
    for verb in ("trust", "untrust"):
        assert machine.ctl("--socket", str(machine.folder / "none"), verb).code == 3
