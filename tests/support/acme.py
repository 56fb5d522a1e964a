"""What the stories about certificates share: a CA with who answers it, and what is wanted."""

import itertools
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control.acme.chain import trouble_with
from control.acme.spec import Authority, CertSpec, Kind
from control.acme.vault import Cert
from tests.support.keeping import Keeping
from tests.support.pebble import Pebble
from tests.support.responders import FolderSolver, Responders

_numbers = itertools.count(1)


def new_name() -> str:
    """A name that the CA has not proven yet."""
    return f"site{next(_numbers)}.test"


@dataclass
class Acme:
    """A CA, and who answers its questions."""

    pebble: Pebble
    responders: Responders
    folder: Path

    @property
    def solver(self) -> FolderSolver:
        return FolderSolver(self.responders.folder)

    @property
    def authority(self) -> Authority:
        return Authority(directory=self.pebble.directory, ca_file=self.pebble.ca_file)

    def spec(self, *names: str, **more: Any) -> CertSpec:
        wanted = names or (new_name(),)
        more.setdefault("kinds", (Kind.HTTP,))
        more.setdefault("authorities", (self.authority,))
        return CertSpec(id=wanted[0], names=wanted, **more)


def assert_served(keeping: Keeping, cert: Cert, *names: str) -> None:
    """Its files are there, belong together, are for those names, and are nobody else's to read."""
    chain = Path(cert.chain_path).read_text(encoding="utf-8")
    key = Path(cert.key_path).read_bytes()
    assert trouble_with(chain, key, names, keeping.clock.now()) == ""
    assert chain.count("BEGIN CERTIFICATE") >= 2
    for path in (cert.key_path, cert.chain_path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(cert.folder).st_mode) == 0o700
