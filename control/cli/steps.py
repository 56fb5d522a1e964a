"""One step of what `edgectl trust` does: a file of the system, then programs, each as its user.

No shell, no questions: a program gets its words as they are and has no terminal. In a home folder
nothing is done as root: programs become the user whose home it is.
"""

import contextlib
import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

WITHIN_S: Final = 120.0
SYSTEM_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where the system's own programs are, some of which users do not have in their PATH."""

CALLERS: Final = ("SUDO_USER", "DOAS_USER")
"""Who became root with sudo and with doas."""

DATA: Final = ".local/share"
"""What stands for XDG_DATA_HOME where that is not set."""

READABLE: Final = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with a home folder, and a folder for programs' data."""

    home: str
    data: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a program ended: what it printed, and why it failed, or ""."""

    out: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program, what it reads on its stdin, and who runs it: who asks, or that person."""

    words: tuple[str, ...]
    given: str = ""
    person: Person | None = None

    @property
    def program(self) -> str | None:
        """Where the program is, or None."""
        return shutil.which(self.words[0], path=_path())

    def run(self) -> Ran:
        """Run it to its end."""
        person = self.person
        becomes = person if os.geteuid() == 0 and person and person.uid != 0 else None
        environ = {**os.environ, "PATH": _path(), "LC_ALL": "C"}
        try:
            done = subprocess.run(
                self.words,
                executable=self.program,
                cwd="/",
                env=environ | ({"HOME": person.home} if person else {}),
                input=self.given.encode(),
                capture_output=True,
                timeout=WITHIN_S,
                check=False,
                start_new_session=True,  # without a terminal that it could ask on
                user=becomes.uid if becomes else None,
                group=becomes.gid if becomes else None,
                extra_groups=[] if becomes else None,
            )
        except subprocess.TimeoutExpired:
            return Ran(why=f"{self._name} did not end within {WITHIN_S:g} s")
        except OSError as error:
            return Ran(why=f"{self._name} cannot be run: {error.strerror}")
        out, err = (text.decode(errors="replace").strip() for text in (done.stdout, done.stderr))
        if done.returncode == 0:
            return Ran(out=out)
        last = (err or out or f"{self._name} ended with {done.returncode}").splitlines()[-1]
        return Ran(out=out, why=last)

    @property
    def _name(self) -> str:
        return os.path.basename(self.words[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Write `text` into a file, or without a text remove it; then run `commands`."""

    what: str
    file: str = ""
    text: str = ""
    commands: tuple[Command, ...] = ()
    undo: tuple[Command, ...] = ()  # run when a command fails

    def run(self) -> str:
        """Do it; why it failed, or ""."""
        for command in self.commands:
            if command.program is None:  # known before anything is changed
                return f"the program {command.words[0]} is missing"
        try:
            if self.file and self.text:
                _write(self.file, self.text)
            elif self.file:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.file)
        except OSError as error:
            return error.strerror or str(error)
        for command in self.commands:
            why = command.run().why
            if why:
                for each in self.undo:
                    each.run()
                again = f" (its file is changed; run: {shlex.join(command.words)})"
                return why + (again if self.file else "")
        return ""


def who_asks(environ: Mapping[str, str]) -> Person:
    """Whose home folder is meant: for root that of who became root, or the owner of $HOME."""
    home = os.path.expanduser("~")
    data = environ.get("XDG_DATA_HOME") or os.path.join(home, DATA)
    if os.geteuid() != 0:
        return Person(home=home, data=data, uid=os.geteuid(), gid=os.getegid())
    for name in CALLERS:
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(environ.get(name, ""))
            data = os.path.join(found.pw_dir, DATA)
            return Person(home=found.pw_dir, data=data, uid=found.pw_uid, gid=found.pw_gid)
    try:
        owner = os.stat(home)
    except OSError:
        return Person(home=home, data=data, uid=0, gid=0)
    return Person(home=home, data=data, uid=owner.st_uid, gid=owner.st_gid)


# Private


def _path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}"


def _write(path: str, text: str) -> None:
    """Whole, or as it was before. Raises `OSError`."""
    # A name that nobody can know before: others may be allowed to write in that folder.
    fd, fresh = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".edged-")
    try:
        with open(fd, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fchmod(fd, READABLE)
            os.fsync(fd)
        os.rename(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise
