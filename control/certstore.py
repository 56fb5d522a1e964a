"""What workers may read of certificates: each chain with its key in a folder of its own.

Workers load one when its name is first asked for, as the user that they run as, so the files are
that user's, and nobody else reads them. The folders are not: who has taken over a worker can put no
link in a file's place that root would follow, and what root reads back is compared with what it has
written. Another certificate is another folder: what serves is never overwritten.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from control import durable
from control.events import wall_time
from edge.table.model import Certificate
from supervisor.identity import resolve
from supervisor.spec import Spec

FOLDER: Final = "certs"
CHAIN: Final = "chain.pem"
KEY: Final = "key.pem"
CLIENT: Final = "client.pem"

KEPT_S: Final = 86400.0
"""A folder that nobody names any more is kept that long: a draining worker may still load it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a certificate lies."""

    folder: str
    fingerprint: str

    @property
    def chain(self) -> str:
        """The chain's file."""
        return os.path.join(self.folder, CHAIN)

    @property
    def key(self) -> str:
        """The private key's file."""
        return os.path.join(self.folder, KEY)

    @property
    def client_ca(self) -> str:
        """The file of whoever signs for clients."""
        return os.path.join(self.folder, CLIENT)


@dataclass(frozen=True, slots=True)
class CertificateStore:
    """The folders. What is stored twice is there once."""

    folder: str
    owner: durable.Owner

    def put(self, chain_pem: bytes, key_pem: bytes, client_pem: bytes = b"") -> Place:
        """Have it in a folder. Raises `OSError`."""
        digest = _digest(chain_pem, key_pem, client_pem)
        place = Place(folder=os.path.join(self.folder, digest[:40]), fingerprint=digest)
        if not self.take_up(place.folder):
            files = {CHAIN: chain_pem, KEY: key_pem, CLIENT: client_pem}
            durable.make_folder(self.folder, durable.PASSABLE)
            present = {name: content for name, content in files.items() if content}
            durable.write_folder(place.folder, present, self.owner)
        return place

    def take_up(self, folder: str) -> bool:
        """It is used again: it may be old, and of a time when workers ran as somebody else. Whether
        it is there. Raises `OSError`."""
        try:
            os.utime(folder)
        except FileNotFoundError:
            return False
        if self.owner != durable.Owner():
            found = os.lstat(os.path.join(folder, KEY))
            if (found.st_uid, found.st_gid) != self.owner:
                for entry in os.scandir(folder):
                    os.chown(entry.path, *self.owner, follow_symlinks=False)
                os.chmod(folder, durable.PASSABLE)
        return True

    def read(self, certificate: Certificate) -> tuple[bytes, bytes] | None:
        """Its chain and key, if they are what was put there. Raises `OSError`."""
        paths = (certificate.chain, certificate.key, certificate.client_ca)
        parts = [_content(path) if path else b"" for path in paths]
        return (parts[0], parts[1]) if _digest(*parts) == certificate.fingerprint else None

    def discard(self, certificate: Certificate) -> None:
        """Remove it now: nobody else has it, and whoever still asks for it gets another."""
        shutil.rmtree(os.path.dirname(certificate.chain), ignore_errors=True)

    def clean(self, named: Container[str]) -> None:
        """Remove what has not been named for long; the time of a folder is when it was, last.
        Raises `OSError`."""
        if not os.path.isdir(self.folder):
            return
        for entry in os.scandir(self.folder):
            if entry.path in named:
                os.utime(entry.path)
            elif wall_time() - entry.stat().st_mtime > KEPT_S:
                shutil.rmtree(entry.path, ignore_errors=True)


def store_of(spec: Spec) -> CertificateStore:
    """The store of an edged. Its workers' user owns the folders, when that is another than ours."""
    identity = resolve(spec)
    owner = durable.Owner(identity.uid, identity.gid) if identity.differs else durable.Owner()
    return CertificateStore(os.path.join(spec.state_dir, FOLDER), owner)


# Private

_LARGEST: Final = 1 << 20


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _content(path: str) -> bytes:
    """Of a file that another may have changed: not what a link leads to; no wait, and not much."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        return file.read(_LARGEST) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
