"""Packing a folder in a process that is thrown away, as the owner of the folder.

What lies in a folder of somebody else is read with that user's rights and not with edged's: a link,
or a setting of git, leads to nothing that its owner could not read himself.
"""

import hashlib
import json
import os
import pwd
import sys
from dataclasses import dataclass
from typing import IO, Final

import gevent
from gevent import subprocess

from control.apps.archive import write_archive
from control.apps.identity import identity
from control.apps.selection import select
from control.refusal import Refused

PACKING_S: Final = 300.0
PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What a folder holds now."""

    name: str
    env: str
    digest: str  # of all that would be packed
    is_packed: bool  # it is in the archive: it has another digest than was known


def pack_as_owner(folder: str, env: str, known: str, archive: IO[bytes]) -> Packed:
    """Write a folder's archive, unless its digest is the known one. Raises `Refused`."""
    command = [sys.executable, "-m", "control.apps.packing", folder, env, known]
    process = subprocess.Popen(
        [*command, str(archive.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(archive.fileno(),),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        with gevent.Timeout(PACKING_S, TimeoutError()):
            answer, noise = process.communicate()
        raw = json.loads(answer)
    except TimeoutError:
        text = f"Reading {folder} took more than {PACKING_S:g} s: it was ended."
        raise Refused("pack-failed", text) from None
    except ValueError:
        text = f"{folder} cannot be read: {noise.decode(errors='replace').strip()[-500:]}"
        raise Refused("pack-failed", text) from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if "error" in raw:
        raise Refused(raw["error"], raw["message"])
    archive.seek(0)
    return Packed(**raw)


def digest_of(folder: str) -> str:
    """Of the names, contents and rights to execute of all that would be packed; times do not count.
    Raises `Refused`."""
    found = hashlib.sha256()
    for name in select(folder):
        path = os.path.join(folder, name)
        try:
            if os.path.islink(path):
                found.update(_framed(b"link", name, os.fsencode(os.readlink(path))))
                continue
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(fd, "rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
                runs = b"program" if os.fstat(fd).st_mode & 0o100 else b"file"
            found.update(_framed(runs, name, content))
        except OSError as error:
            raise Refused("unreadable", f"{path} cannot be read: {error.strerror}.") from None
    return found.hexdigest()


def main(folder: str, env: str, known: str, fd: str) -> None:
    """In the process of its own: one JSON document on stdout."""
    try:
        _become_owner(folder)
        name, env = identity(folder, env)
        digest = digest_of(folder)
        if digest != known:
            with open(int(fd), "wb", closefd=False) as archive:
                write_archive(folder, archive)
        document = {"name": name, "env": env, "digest": digest, "is_packed": digest != known}
    except Refused as refusal:
        document = {"error": refusal.code, "message": refusal.message}
    except OSError as error:
        document = {"error": "pack-failed", "message": f"{folder} is not packed: {error}"}
    sys.stdout.write(json.dumps(document))


# Private


def _become_owner(folder: str) -> None:
    if os.geteuid() == 0:
        status = os.stat(folder)
        os.setgroups([])
        os.setgid(status.st_gid)
        os.setuid(status.st_uid)
        os.environ["HOME"] = _home_of(status.st_uid)  # git's settings are that user's


def _home_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "/"


def _framed(kind: bytes, name: str, value: bytes) -> bytes:
    """No two files frame alike."""
    parts = (kind, os.fsencode(name), value)
    return b"".join(len(part).to_bytes(8) + part for part in parts)


if __name__ == "__main__":
    main(*sys.argv[1:])
