"""Trusting the internal CA: in the system's store and in browsers, and no more."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from control.cli.trust import Root
from tests.support.certificates import TestAuthority


@pytest.fixture
def ca(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path)


class Machine:
    """A root folder and a home of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.system = folder / "machine"
        self.anchors = self.system / "usr/local/share/ca-certificates"
        self.anchors.mkdir(parents=True)
        self.home = folder / "home"
        self.home.mkdir()

    def run(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in os.environ.items() if name != "SUDO_USER"}
        environ |= {"EDGED_ROOT_DIR": str(self.system), "HOME": str(self.home)}
        command = "import sys; from control.cli.main import main; sys.exit(main())"
        return subprocess.run(
            [sys.executable, "-c", command, verb, *arguments],
            env=environ, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def known(self, name: str) -> bool:
        database = f"sql:{self.home / '.pki/nssdb'}"
        command = ["certutil", "-d", database, "-L", "-n", name]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_root_is_installed_and_removed_again(machine: Machine, ca: TestAuthority) -> None:
    name = Root(ca.root.read_text()).name
    other = machine.anchors / "other.crt"
    other.write_text("mine")
    done = machine.run("trust", "--root", str(ca.root))
    assert done.returncode == 0, done
    assert (machine.anchors / f"{name}.crt").read_text() == ca.root.read_text()
    assert shutil.which("certutil")
    assert machine.known(name)
    done = machine.run("untrust", "--root", str(ca.root))
    assert done.returncode == 0, done
    assert not machine.known(name)
    assert [path.name for path in machine.anchors.iterdir()] == ["other.crt"]


def test_a_dry_run_changes_nothing(machine: Machine, ca: TestAuthority) -> None:
    done = machine.run("trust", "--dry-run", "--root", str(ca.root))
    assert done.returncode == 0, done
    assert "would install" in done.stdout
    assert list(machine.anchors.iterdir()) == []


def test_what_cannot_be_done_is_told(machine: Machine, ca: TestAuthority) -> None:
    shutil.rmtree(machine.anchors)
    machine.anchors.mkdir()
    name = Root(ca.root.read_text()).name
    (machine.anchors / f"{name}.crt").mkdir()  # cannot be written, by root neither
    done = machine.run("trust", "--root", str(ca.root))
    assert done.returncode == 1
    assert "failed to install" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["", "hello", "-----BEGIN CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(machine: Machine, tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.pem"
    path.write_text(text)
    done = machine.run("trust", "--root", str(path))
    assert done.returncode == 1
    assert "is no certificate" in done.stderr
