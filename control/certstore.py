"""What workers may read of certificates: each chain with its key in a folder of its own.

Workers load one when its name is first asked for, as the user that they run as, so the folder is
that user's alone. Another certificate is another folder: what serves is never overwritten.
"""

import hashlib
import os
import shutil
from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from control import durable
from control.events import wall_time
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
        digest = hashlib.sha256(b"\0".join((chain_pem, key_pem, client_pem))).hexdigest()
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
        uid, gid = self.owner
        found = os.stat(folder)
        if -1 not in (uid, gid) and (found.st_uid, found.st_gid) != (uid, gid):
            for entry in os.scandir(folder):
                os.chown(entry.path, uid, gid, follow_symlinks=False)
            os.chown(folder, uid, gid)  # last, as when it is made
        return True

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
