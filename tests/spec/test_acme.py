"""Certificates from a real Pebble: strict, half of its nonces refused, over real sockets."""

import itertools
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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
class Desk:
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


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("pebble")
    with (
        Pebble(folder / "ca") as pebble,
        Responders(folder / "challenges", pebble.http_port, pebble.tls_port) as responders,
    ):
        yield Desk(pebble, responders, folder)


@pytest.fixture
def keep(desk: Desk, tmp_path: Path) -> Iterator[Callable[..., Keeping]]:
    """Makes keepers on the test's folder, each a new life of control."""
    made: list[Keeping] = []

    def make(**more: Any) -> Keeping:
        if made:
            made[-1].end()
        more.setdefault("solver", desk.solver)
        made.append(Keeping(tmp_path, **more))
        return made[-1]

    yield make
    for each in made:
        each.end()


def assert_served(keeping: Keeping, cert: Cert, *names: str) -> None:
    """Its files are there, belong together, are for those names, and are nobody else's to read."""
    chain = Path(cert.chain_path).read_text(encoding="utf-8")
    key = Path(cert.key_path).read_bytes()
    assert trouble_with(chain, key, names, keeping.clock.now()) == ""
    assert chain.count("BEGIN CERTIFICATE") >= 2
    for path in (cert.key_path, cert.chain_path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(cert.folder).st_mode) == 0o700


# Proving names


@pytest.mark.parametrize("kind", [Kind.HTTP, Kind.ALPN])
def test_a_name_is_proven_and_gets_its_certificate(
    desk: Desk, keep: Callable[..., Keeping], kind: Kind
) -> None:
    solver = desk.solver
    keeping = keep(solver=solver)
    spec = desk.spec(kinds=(kind,))
    [cert] = keeping.obtain(spec)
    assert_served(keeping, cert, spec.id)
    assert solver.presented == [(kind, spec.id)]
    assert solver.left == []
    assert keeping.installed == [cert]
    assert keeping.kinds() == ["certificate-obtained"]
    assert "Pebble" in cert.issuer
    line = keeping.line(spec.id)
    assert (line["state"], line["next"], line["failures"]) == ("valid", "renew", 0)
    assert line["expires"] == cert.not_after
