"""Where roots are kept: in the system's store, as each kind of system has it, and by browsers."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from control.cli.anchors import ARCH, DEBIAN, FEDORA, SUSE, System
from control.cli.steps import who_asks
from tests.support.certificates import TestAuthority
from tests.support.edged import ROOT
from tests.support.machine import CALL, NOBODY, Machine, certutil, owners, trusted

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

UPDATE = "/usr/sbin/update-ca-certificates"


# The system's store


# Debian's own program leaves links to what is gone, unless it begins afresh.
SYSTEMS = [
    (FEDORA, "pki/ca-trust/source/anchors/NAME.pem", "update-ca-trust extract", ""),
    (SUSE, "pki/trust/anchors/NAME.pem", "update-ca-certificates", ""),
    (ARCH, "trust-source/anchors/NAME.crt", "trust extract-compat", ""),
    (DEBIAN, "ca-certificates/NAME.crt", "update-ca-certificates", "--fresh"),
]


@pytest.mark.parametrize(("system", "place", "refresh", "forget"), SYSTEMS)
def test_each_kind_of_system_takes_it_up(
    system: System, place: str, refresh: str, forget: str, ca: TestAuthority, name: str
) -> None:
    with Machine(system.folder, refresh.split()[0]) as machine:
        assert machine.ctl("trust", "--root", str(ca.root))
        (file,) = machine.anchors.iterdir()
        assert str(file).endswith(place.replace("NAME", name))
        assert machine.ctl("untrust", "--root", str(ca.root))
        assert not file.exists()
        calls = [call.split() for call in machine.called]
        assert calls == [refresh.split(), [*refresh.split(), *forget.split()]]


@pytest.mark.skipif(not os.path.exists(UPDATE), reason="not a Debian")
def test_debians_own_program_takes_it_up_and_forgets_it(
    machine: Machine, ca: TestAuthority, name: str, tmp_path: Path
) -> None:
    for folder in ("certs", "none", "hooks"):
        (machine.folder / folder).mkdir()
    (machine.folder / "conf").touch()
    machine.install(
        "update-ca-certificates",
        f"cd {machine.folder}; exec {UPDATE} --certsconf conf --certsdir none --hooksdir hooks"
        f" --localcertsdir {machine.anchors} --etccertsdir {machine.folder}/certs $*",
    )
    other = TestAuthority(tmp_path, name="other").root
    shutil.copy(other, machine.anchors / "other.crt")
    bundle = machine.folder / "certs" / "ca-certificates.crt"
    done = machine.ctl("trust", "--root", str(ca.root))
    assert done, done
    assert ca.root.read_text() in bundle.read_text()
    assert (machine.folder / "certs" / f"{name}.pem").exists()
    assert machine.ctl("untrust", "--root", str(ca.root))
    assert bundle.read_text() == other.read_text()
    links = [path for path in bundle.parent.iterdir() if path.is_symlink()]
    assert {path.resolve().name for path in links} == {"other.crt"}


def test_what_cannot_be_done_is_told(machine: Machine, ca: TestAuthority, name: str) -> None:
    (machine.anchors / f"{name}.crt").mkdir()  # cannot be written, by root neither
    done = machine.ctl("trust", "--root", str(ca.root))
    assert done.code == 1
    assert "failed to install" in done.out
    assert "Not everywhere" in done.err
    assert trusted(machine.database) == {name: "C,,"}
    assert [path.name for path in machine.anchors.iterdir()] == [f"{name}.crt"]


def test_a_program_that_fails_is_told_and_its_step_can_be_done_again(
    machine: Machine, ca: TestAuthority
) -> None:
    machine.install("update-ca-certificates", "echo first; echo the disk is full >&2; exit 3")
    done = machine.ctl("trust", "--root", str(ca.root))
    assert done.code == 1
    program = machine.system / "usr/sbin/update-ca-certificates"
    assert f".crt: the disk is full (its file is changed; run: {program})\n" in done.out
    machine.install("update-ca-certificates")
    assert machine.ctl("trust", "--root", str(ca.root))


def test_a_missing_program_is_told_before_anything_is_written(
    machine: Machine, ca: TestAuthority
) -> None:
    (machine.system / "usr/sbin/update-ca-certificates").unlink()
    done = machine.ctl("trust", "--root", str(ca.root))
    assert done.code == 1
    assert "update-ca-certificates is missing" in done.out
    assert [*machine.anchors.iterdir()] == []


def test_a_system_that_edgectl_does_not_know_is_told(machine: Machine, ca: TestAuthority) -> None:
    machine.anchors.rmdir()
    done = machine.ctl("trust", "--root", str(ca.root))
    assert done.code == 1
    assert "edgectl knows none here" in done.out
    assert machine.ctl("untrust", "--root", str(ca.root))


@needs_root
def test_who_is_not_root_is_told_how_to_be(machine: Machine, ca: TestAuthority) -> None:
    become = f"import os, control.cli.main; os.setgroups([]); os.setgid({NOBODY});"
    root = machine.folder / "root.pem"
    root.write_text(ca.root.read_text())
    done = machine.ctl("trust", "--root", str(root), call=f"{become} os.setuid({NOBODY}); {CALL}")
    assert done.code == 1
    assert ".crt: Permission denied" in done.out
    assert "sudo edgectl trust" in done.err


# Browsers

PROFILES = [
    ".local/share/pki/nssdb",
    ".mozilla/firefox/a1.default",
    ".mozilla/firefox/b 2.work",
    ".config/mozilla/firefox/d4.default",
    "snap/firefox/common/.mozilla/firefox/c3.default",
    "snap/chromium/current/.pki/nssdb",
    ".var/app/org.mozilla.firefox/.mozilla/firefox/e5.default",
    ".var/app/org.chromium.Chromium/data/pki/nssdb",
]


def test_every_database_gets_it_and_loses_it(
    machine: Machine, ca: TestAuthority, name: str
) -> None:
    folders = [machine.make_database(place) for place in PROFILES]
    (machine.home / ".mozilla/firefox/Crash Reports").mkdir()
    assert machine.ctl("trust", "--root", str(ca.root))
    assert [trusted(folder) for folder in folders] == [{name: "C,,"}] * len(folders)
    assert not machine.database.exists()  # it would hide the one that Chromium has
    assert machine.ctl("untrust", "--root", str(ca.root))
    assert [trusted(folder) for folder in folders] == [{}] * len(folders)


def test_a_profile_of_firefox_does_not_stand_for_chromiums_database(
    machine: Machine, ca: TestAuthority, name: str
) -> None:
    machine.make_database(".mozilla/firefox/a1.default")
    assert machine.ctl("trust", "--root", str(ca.root))
    assert trusted(machine.database) == {name: "C,,"}


@pytest.mark.parametrize("place", ['x"; touch pwned; "', "$(touch pwned)", "a'b", "*"])
def test_a_profiles_name_is_only_a_name(
    machine: Machine, ca: TestAuthority, name: str, place: str
) -> None:
    folder = machine.make_database(f".mozilla/firefox/{place}")
    assert machine.ctl("trust", "--root", str(ca.root))
    assert trusted(folder) == {name: "C,,"}
    assert machine.ctl("untrust", "--root", str(ca.root))
    assert trusted(folder) == {}
    assert [*machine.folder.rglob("pwned")] == []


def test_a_persons_own_certificates_stay(
    machine: Machine, ca: TestAuthority, name: str, tmp_path: Path
) -> None:
    folder = machine.make_database(".pki/nssdb")
    other = TestAuthority(tmp_path, name="other")
    certutil(folder, "-A", "-a", "-n", "mine", "-t", "C,,", given=other.root.read_text())
    assert machine.ctl("trust", "--root", str(ca.root))
    assert trusted(folder) == {"mine": "C,,", name: "C,,"}
    assert machine.ctl("untrust", "--root", str(ca.root))
    assert trusted(folder) == {"mine": "C,,"}


def test_trust_that_was_taken_away_is_given_again(
    machine: Machine, ca: TestAuthority, name: str
) -> None:
    assert machine.ctl("trust", "--root", str(ca.root))
    certutil(machine.database, "-M", "-n", name, "-t", ",,")
    assert machine.ctl("trust", "--root", str(ca.root))
    assert trusted(machine.database) == {name: "C,,"}


def test_a_database_with_a_password_is_told_and_not_waited_for(
    machine: Machine, ca: TestAuthority
) -> None:
    folder = machine.make_database(".mozilla/firefox/a1.default", password="open sesame")
    done = machine.ctl("trust", "--root", str(ca.root))
    assert done.code == 1
    assert f"failed to install it in {folder}: certutil: " in done.out
    assert trusted(folder) == {}


def test_certutil_cannot_ask_on_the_terminal_of_who_calls(
    machine: Machine, ca: TestAuthority
) -> None:
    folder = machine.make_database(".mozilla/firefox/a1.default", password="open sesame")
    command = shlex.join([sys.executable, "-c", CALL, "trust", "--root", str(ca.root)])
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"],  # gives it a terminal
        cwd=ROOT, env=machine.environ, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert f"failed to install it in {folder}" in done.stdout
    assert "Password" not in done.stdout


def test_a_homes_name_is_only_a_name(machine: Machine, ca: TestAuthority, name: str) -> None:
    machine.home = machine.home.rename(machine.folder / "h[o]me *")
    folder = machine.make_database(".mozilla/firefox/a1.default")
    assert machine.ctl("trust", "--root", str(ca.root))
    assert trusted(folder) == {name: "C,,"}


@pytest.mark.parametrize("verb", ["trust", "untrust"])
def test_a_damaged_database_is_told_and_the_others_are_served(
    machine: Machine, ca: TestAuthority, name: str, verb: str
) -> None:
    good = machine.make_database(".mozilla/firefox/b.good")
    if verb == "untrust":
        assert machine.ctl("trust", "--root", str(ca.root))
    damaged = machine.home / ".mozilla/firefox/a.damaged"
    damaged.mkdir()
    (damaged / "cert9.db").write_bytes(os.urandom(4096))
    done = machine.ctl(verb, "--root", str(ca.root))
    assert done.code == 1
    assert f"{damaged}: certutil: function failed" in done.out
    assert trusted(good) == ({name: "C,,"} if verb == "trust" else {})


def test_without_certutil_only_a_database_that_is_there_is_a_failure(
    machine: Machine, ca: TestAuthority
) -> None:
    done = machine.ctl("trust", "--root", str(ca.root), PATH="/nowhere")
    assert done, done
    assert "no browsers: certutil is missing" in done.out
    folder = machine.make_database(".mozilla/firefox/a1.default")
    for verb in ("trust", "untrust"):
        done = machine.ctl(verb, "--root", str(ca.root), PATH="/nowhere")
        assert done.code == 1
        assert f"failed to change {folder}: certutil is missing" in done.out


def test_a_home_that_is_not_there_has_no_browsers(machine: Machine, ca: TestAuthority) -> None:
    machine.home.rmdir()
    assert machine.ctl("trust", "--root", str(ca.root))
    assert not machine.home.exists()


# Whose browsers


@needs_root
def test_in_somebodys_home_root_does_nothing_as_root(machine: Machine, ca: TestAuthority) -> None:
    os.chown(machine.home, NOBODY, NOBODY)
    assert machine.ctl("trust", "--root", str(ca.root))
    assert trusted(machine.database)
    assert owners([machine.home]) == {NOBODY}


@needs_root
def test_of_root_nothing_is_left_to_a_program_in_somebodys_home(
    machine: Machine, ca: TestAuthority
) -> None:
    os.chown(machine.home, NOBODY, NOBODY)
    machine.install("certutil", 'echo $(id -u) $(id -g) $(id -G) $HOME > "$HOME/who"')
    path = f"{machine.system}/usr/sbin:{os.environ['PATH']}"
    call = f"import os; os.setgroups([0, 4]); {CALL}"
    assert machine.ctl("trust", "--root", str(ca.root), call=call, PATH=path)
    who = (machine.home / "who").read_text().split()
    assert who == [str(NOBODY)] * 3 + [str(machine.home)]


@needs_root
def test_a_home_that_leads_to_roots_own_things_harms_nothing(
    machine: Machine, ca: TestAuthority
) -> None:
    roots = machine.make_database("of-root").rename(machine.folder / "of-root")
    roots.chmod(0o755)
    (machine.home / ".pki").mkdir()
    (machine.home / ".pki/nssdb").symlink_to(roots)
    for path in (machine.home, machine.home / ".pki"):
        os.chown(path, NOBODY, NOBODY)
    done = machine.ctl("trust", "--root", str(ca.root))
    assert done.code == 1
    assert trusted(roots) == {}
    assert owners([roots]) == {0}


@needs_root
def test_behind_sudo_they_are_those_of_who_called_it() -> None:
    for program in ("SUDO_USER", "DOAS_USER"):
        person = who_asks({program: "nobody", "XDG_DATA_HOME": "/of-root"})
        assert (person.uid, person.home, person.data) == (
            NOBODY,
            "/nonexistent",
            "/nonexistent/.local/share",
        )
    assert who_asks({"SUDO_USER": "root"}).uid == 0
    assert who_asks({"SUDO_USER": "no such user"}).uid == 0


def test_the_folder_that_one_has_for_data_is_looked_into(
    machine: Machine, ca: TestAuthority, name: str
) -> None:
    folder = machine.make_database("elsewhere/pki/nssdb")
    data = str(machine.home / "elsewhere")
    assert machine.ctl("trust", "--root", str(ca.root), XDG_DATA_HOME=data)
    assert trusted(folder) == {name: "C,,"}
    assert not machine.database.exists()
