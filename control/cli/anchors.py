"""Where this machine keeps the roots that it trusts, and the steps to put one there or take it out.

The system's store, which curl and most programs use: a file in a folder, and a program that takes
it up. Browsers' stores: NSS databases in a home folder, changed by `certutil`. What is installed
has a name of its own, and nothing else is ever removed. A browser that has the root under another
name, which its owner gave it, trusts it under that name, and goes on having it.
"""

import base64
import glob
import hashlib
import os
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from control.cli.steps import Command, Person, Step

NAME: Final = re.compile("edged-[0-9a-f]{12}")
"""What a root is called in every store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Where a kind of system has its anchors, their ending, what takes them up and forgets them."""

    folder: str
    ending: str
    refresh: tuple[str, ...]
    forget: tuple[str, ...] = ()  # where that is another


FEDORA: Final = System(
    folder="etc/pki/ca-trust/source/anchors", ending=".pem", refresh=("update-ca-trust", "extract")
)
SUSE: Final = System(
    folder="etc/pki/trust/anchors", ending=".pem", refresh=("update-ca-certificates",)
)
ARCH: Final = System(
    folder="etc/ca-certificates/trust-source/anchors",
    ending=".crt",
    refresh=("trust", "extract-compat"),
)
DEBIAN: Final = System(  # and Alpine
    folder="usr/local/share/ca-certificates",
    ending=".crt",
    refresh=("update-ca-certificates",),
    forget=("update-ca-certificates", "--fresh"),  # else links to what is gone stay
)
SYSTEMS: Final = (FEDORA, SUSE, ARCH, DEBIAN)
"""The first whose folder there is counts."""

PROGRAMS: Final = ("usr/sbin", "usr/bin", "sbin", "bin")

PROFILELESS: Final = ".pki/nssdb"
"""Chromium's database. Where there is none it uses that of XDG_DATA_HOME, so it is made only where
there is neither: a new one would hide the other."""

DATABASES: Final = (
    "snap/chromium/current/.pki/nssdb",
    "snap/chromium/current/.local/share/pki/nssdb",
    ".var/app/*/.pki/nssdb",
    ".var/app/*/data/pki/nssdb",
    ".mozilla/firefox/*",
    ".config/mozilla/firefox/*",
    "snap/firefox/common/.mozilla/firefox/*",
    ".var/app/org.mozilla.firefox/.mozilla/firefox/*",
)
"""Those of browsers in boxes of their own, and Firefox's, one for each profile."""

MISSING: Final = "certutil is missing (packages libnss3-tools, nss-tools, mozilla-nss-tools or nss)"

TRUSTED: Final = "C,,"
"""For what `certutil` trusts it: to sign certificates of servers."""

_PEM: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A root: what it is called in every store; without its certificate it can only be removed."""

    name: str
    pem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What there is to do on this machine, and what is to be known besides."""

    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()  # why something cannot even be tried


def root_of(text: str) -> Root:
    """The one root certificate in a text. Raises `ValueError`, which says what is wrong with it."""
    found = _PEM.findall(text)
    if len(found) != 1:
        raise ValueError("holds several certificates" if found else "is no certificate in PEM")
    try:
        der = base64.b64decode("".join(found[0].split()), validate=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=der)
    except (ValueError, ssl.SSLError):
        raise ValueError("is no certificate in PEM that is whole") from None
    if not context.cert_store_stats()["x509_ca"]:
        raise ValueError("is no certificate of a CA")
    name = f"edged-{hashlib.sha256(der).hexdigest()[:12]}"
    return Root(name=name, pem=ssl.DER_cert_to_PEM_cert(der))


def plan_of(root: Root, person: Person, *, prefix: str, remove: bool) -> Plan:
    """What there is to do for the whole machine, and for that person. It changes nothing."""
    plans = (
        _system(root, prefix, remove=remove),
        _browsers(root, person, remove=remove),
    )
    return Plan(
        steps=tuple(step for plan in plans for step in plan.steps),
        notes=tuple(note for plan in plans for note in plan.notes),
        problems=tuple(problem for plan in plans for problem in plan.problems),
    )


# Private


def _system(root: Root, prefix: str, *, remove: bool) -> Plan:
    for system in SYSTEMS:
        folder = os.path.join(prefix, system.folder)
        if os.path.isdir(folder):
            file = os.path.join(folder, root.name + system.ending)
            return _anchor(root, file, system, prefix, remove=remove)
    text = "install it in the system's store: edgectl knows none here (is ca-certificates there?)"
    return Plan(problems=() if remove else (text,))


def _anchor(root: Root, file: str, system: System, prefix: str, *, remove: bool) -> Plan:
    name, *words = system.forget if remove and system.forget else system.refresh
    commands = (Command(words=(_program(prefix, name), *words)),)
    if not remove:
        step = Step(what=f"install {file}", file=file, text=root.pem, commands=commands)
        return Plan(steps=(step,))
    if not os.path.lexists(file):
        return Plan()
    return Plan(steps=(Step(what=f"remove {file}", file=file, commands=commands),))


def _program(prefix: str, name: str) -> str:
    """That of the system itself, whatever stands in PATH."""
    places = [os.path.join(prefix, folder, name) for folder in PROGRAMS]
    return next((place for place in places if os.path.exists(place)), places[0])


def _browsers(root: Root, person: Person, *, remove: bool) -> Plan:
    shared = _databases(person.home, PROFILELESS) + _databases(person.data, "pki/nssdb")
    found = shared + _databases(person.home, *DATABASES)
    if _certutil(person, "").program is None:
        texts = tuple(f"change {folder}: {MISSING}" for folder in found)
        return Plan(problems=texts) if found else Plan(notes=(f"no browsers: {MISSING}",))
    steps: list[Step] = []
    notes: list[str] = []
    if not (remove or shared) and os.path.isdir(person.home):
        steps += _made(root, person)
    for folder in found:
        listed = _certutil(person, folder, "-L").run()
        trust = _trust_in(listed.out, root.name)
        # One that cannot be read is tried all the same: the step then says why it fails.
        if remove and (trust is not None or listed.why):
            steps.append(_removal(root, folder, person))
        elif not remove and trust is not None and trust.startswith("C"):
            notes.append(f"{folder} has it")
        elif not remove:
            steps.append(_installation(root, folder, person, is_new=trust is None))
    if steps:
        notes.append("browsers that are open notice it when they are started again")
    return Plan(steps=tuple(steps), notes=tuple(notes))


def _databases(folder: str, *patterns: str) -> list[str]:
    """Where there are databases."""
    paths = [os.path.join(glob.escape(folder), each, "cert9.db") for each in patterns]
    return [os.path.dirname(found) for path in paths for found in sorted(glob.glob(path))]


def _made(root: Root, person: Person) -> Iterator[Step]:
    """A database where there is none, and the root in it."""
    folder = os.path.join(person.home, PROFILELESS)
    folders = ("mkdir", "-p", "-m", "700", "--", os.path.dirname(folder), folder)
    commands = (
        Command(words=folders, person=person),
        _certutil(person, folder, "-N", "--empty-password"),
    )
    yield Step(what=f"make {folder}", commands=commands)
    yield _installation(root, folder, person, is_new=True)


def _installation(root: Root, folder: str, person: Person, *, is_new: bool) -> Step:
    add = _certutil(person, folder, "-A", "-a", "-t", TRUSTED, "-n", root.name, given=root.pem)
    # A database with a password takes the certificate, and then fails to trust it.
    undo = (_certutil(person, folder, "-D", "-n", root.name),) if is_new else ()
    return Step(what=f"install it in {folder}", commands=(add,), undo=undo)


def _removal(root: Root, folder: str, person: Person) -> Step:
    command = _certutil(person, folder, "-D", "-n", root.name)
    return Step(what=f"remove it from {folder}", commands=(command,))


def _certutil(person: Person, folder: str, *words: str, given: str = "") -> Command:
    command = ("certutil", "-d", f"sql:{folder}", *words)
    return Command(words=command, given=given, person=person)


def _trust_in(listed: str, name: str) -> str | None:
    """For what that name is trusted in a list of `certutil`; None when it is not there."""
    found = re.search(rf"^{re.escape(name)} +(\S*) *$", listed, re.M)
    return found[1] if found else None
