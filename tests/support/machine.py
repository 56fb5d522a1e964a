"""A machine as `edgectl trust` sees it, in one folder: a system's stores and a home."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from tests.support.edged import ROOT, Outcome

CALL: Final = "import sys; from control.cli.main import main; sys.exit(main())"
DEBIAN: Final = "usr/local/share/ca-certificates"
NOBODY: Final = 65534


class Machine:
    """A Debian, unless another folder is said; its programs write down how they are called."""

    def __init__(self, anchors: str = DEBIAN, program: str = "update-ca-certificates") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.folder.chmod(0o755)  # for users whose homes are in it
        self.system = self.folder / "system"
        self.anchors = self.system / anchors
        self.anchors.mkdir(parents=True)
        self.home = self.folder / "home"
        self.home.mkdir()
        self.database = self.home / ".pki/nssdb"
        self._called = self.folder / "called"
        self._called.touch()
        self._called.chmod(0o666)  # whoever its programs are run by
        self.install(program)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder)

    def __repr__(self) -> str:
        return f"<Machine {self.folder}>"

    @property
    def environ(self) -> dict[str, str]:
        """That of a program that runs on it."""
        dropped = {"SUDO_USER", "DOAS_USER", "XDG_DATA_HOME"}
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        return kept | {"EDGED_ROOT_DIR": str(self.system), "HOME": str(self.home)}

    @property
    def called(self) -> list[str]:
        """The calls of its programs."""
        return self._called.read_text().splitlines()

    def install(self, program: str, script: str = "") -> None:
        """Have a program of the system."""
        path = self.system / "usr/sbin" / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{program} $*" >> {self._called}\n{script}\n')
        path.chmod(0o755)

    def ctl(self, *arguments: str, call: str = CALL, **environ: str) -> Outcome:
        """Run edgectl on it."""
        done = subprocess.run(
            [sys.executable, "-c", call, *arguments],
            cwd=ROOT, env=self.environ | environ, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done
        return Outcome(done.returncode, done.stdout, done.stderr)

    def make_database(self, place: str, password: str = "") -> Path:
        """A database as a browser makes it."""
        folder = self.home / place
        folder.mkdir(parents=True)
        file = self.folder / "password"
        file.write_text(password)
        certutil(folder, "-N", *(["-f", str(file)] if password else ["--empty-password"]))
        return folder


def certutil(folder: Path, *words: str, given: str = "") -> str:
    """What certutil says of a database; it must succeed."""
    done = subprocess.run(
        ["certutil", "-d", f"sql:{folder}", *words],
        input=given, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    return done.stdout


def trusted(folder: Path) -> dict[str, str]:
    """What is in a database, and for what it is trusted."""
    return dict(re.findall(r"^(\S.*?) +([a-zA-Z]*,[a-zA-Z]*,[a-zA-Z]*) *$", _listed(folder), re.M))


def owners(folders: Iterable[Path]) -> set[int]:
    """Whose those folders are, and everything in them."""
    return {path.lstat().st_uid for each in folders for path in (each, *each.rglob("*"))}


# Private


def _listed(folder: Path) -> str:
    return certutil(folder, "-L")
