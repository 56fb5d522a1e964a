"""`edgectl trust` and `edgectl untrust`: the internal CA's root in the stores of this machine.

The system's store, which curl and most programs use, and the NSS databases of browsers. It changes
nothing that it cannot undo: what it installs has a name of its own.
"""

import hashlib
import os
import pwd
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from control.cli import show
from control.cli.client import Failure
from control.cli.context import Context

EXIT_PARTLY: Final = 1

STORES: Final = (
    ("usr/local/share/ca-certificates", ".crt", ("update-ca-certificates",)),
    ("etc/pki/ca-trust/source/anchors", ".pem", ("update-ca-trust", "extract")),
    ("etc/ca-certificates/trust-source/anchors", ".crt", ("trust", "extract-compat")),
)
"""Debian and Ubuntu, Fedora, Arch: where anchors are, their suffix, what takes them up."""

NSS: Final = (
    ".pki/nssdb",
    "snap/chromium/current/.pki/nssdb",
    ".mozilla/firefox/*",
    "snap/firefox/common/.mozilla/firefox/*",
)


@dataclass(frozen=True, slots=True)
class Root:
    """A certificate to trust."""

    pem: str

    @property
    def name(self) -> str:
        """What it is called in every store."""
        der = ssl.PEM_cert_to_DER_cert(self.pem)
        return f"edged-{hashlib.sha256(der).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do: `does` is commands, or a file to write ("" removes it)."""

    what: str
    path: str = ""
    text: str = ""
    commands: tuple[tuple[str, ...], ...] = ()

    def run(self) -> str:
        """Do it; why it failed, or ""."""
        try:
            if self.path and self.text:
                Path(self.path).write_text(self.text)
                Path(self.path).chmod(0o644)
            elif self.path:
                Path(self.path).unlink(missing_ok=True)
            for command in self.commands:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    return (done.stderr or done.stdout).strip().splitlines()[-1]
        except OSError as error:
            return str(error.strerror)
        except IndexError:
            return "it failed without a word"
        return ""


def plan(root: Root, *, remove: bool, prefix: str = "/", home: str = "") -> Iterator[Step]:
    """What there is to do on this machine."""
    yield from _system(root, remove=remove, prefix=prefix)
    yield from _browsers(root, remove=remove, home=Path(home or _home()))


@click.command(short_help="Have this machine trust the internal CA.")
@click.option("--root", "file", type=click.Path(), help="A root's PEM file, instead of edged's.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@click.pass_obj
def trust(context: Context, file: str | None, *, dry_run: bool) -> None:
    """Install the internal CA's root in the system's store and in browsers; run it as root.

    Programs that look there then believe https://localhost and the other internal names.

    \b
    Example: edgectl trust --dry-run
    """
    _run(context, file, remove=False, dry_run=dry_run)


@click.command(short_help="Have it trusted no more.")
@click.option("--root", "file", type=click.Path(), help="A root's PEM file, instead of edged's.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@click.pass_obj
def untrust(context: Context, file: str | None, *, dry_run: bool) -> None:
    """Remove what `trust` has installed, and nothing else.

    \b
    Example: edgectl untrust --dry-run
    """
    _run(context, file, remove=True, dry_run=dry_run)


# Private


def _run(context: Context, file: str | None, *, remove: bool, dry_run: bool) -> None:
    root = _root_of(context, file)
    prefix = os.environ.get("EDGED_ROOT_DIR", "/")  # for tests
    steps = list(plan(root, remove=remove, prefix=prefix))
    done: list[str] = []
    failed: list[str] = []
    for step in steps:
        why = "" if dry_run else step.run()
        (failed if why else done).append(f"{step.what}{': ' if why else ''}{why}")
    document = {"name": root.name, "done": done, "failed": failed, "dry_run": dry_run}
    context.say(document, show.trusted)
    if failed or not (steps or remove):
        raise Failure(
            "not-everywhere",
            "Not everywhere: run it as root, with certutil (libnss3-tools) for browsers, or install"
            " the certificate by hand from 'edgectl --json trust --dry-run' and /v1/authority.",
            EXIT_PARTLY,
        )


def _root_of(context: Context, file: str | None) -> Root:
    if file is None:
        return Root(str(context.client.get("/v1/authority")["root_pem"]))
    try:
        root = Root(Path(file).read_text())
        _ = root.name
    except (OSError, ValueError) as error:
        raise Failure("bad-root", f"{file} is no certificate in PEM: {error}.", 1) from None
    return root


def _home() -> str:
    """Of who asks, also through sudo."""
    user = os.environ.get("SUDO_USER", "")
    if user and os.geteuid() == 0:
        try:
            return pwd.getpwnam(user).pw_dir
        except KeyError:
            return os.path.expanduser("~")
    return os.path.expanduser("~")


def _system(root: Root, *, remove: bool, prefix: str) -> Iterator[Step]:
    for folder, suffix, update in STORES:
        place = Path(prefix, folder)
        if not place.is_dir():
            continue
        path = place / f"{root.name}{suffix}"
        if remove and not path.exists():
            continue
        commands: Sequence[tuple[str, ...]] = (update,) if prefix == "/" else ()
        if remove:
            yield Step(f"remove {path}", str(path), "", tuple(commands))
        else:
            yield Step(f"install {path}", str(path), root.pem, tuple(commands))


def _browsers(root: Root, *, remove: bool, home: Path) -> Iterator[Step]:
    if shutil.which("certutil") is None:
        return
    databases = [
        path for pattern in NSS for path in home.glob(pattern) if (path / "cert9.db").exists()
    ]
    if not databases and not remove and (home / ".pki").parent.is_dir():
        first = home / NSS[0]
        first.mkdir(parents=True, exist_ok=True, mode=0o700)
        subprocess.run(
            ("certutil", "-d", f"sql:{first}", "-N", "--empty-password"),
            capture_output=True, check=False,
        )  # fmt: skip
        databases = [first]
    for database in databases:
        where = ("certutil", "-d", f"sql:{database}")
        known = subprocess.run((*where, "-L", "-n", root.name), capture_output=True, check=False)
        if remove:
            if known.returncode == 0:
                command = (*where, "-D", "-n", root.name)
                yield Step(f"remove it from {database}", commands=(command,))
            continue
        add = ("sh", "-c", f'printf %s "$1" | certutil -d "sql:{database}" -A -t C,, -n "$2"',
               "sh", root.pem, root.name)  # fmt: skip
        yield Step(f"install it in {database}", commands=(add,))
