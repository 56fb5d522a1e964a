"""The internal CA: what it signs, for how long, and that it stays the same one."""

import datetime
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from control.authority import LEAF, Authority, is_due, is_internal
from control.refusal import Refused

NOW = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = datetime.datetime.now(datetime.UTC)

    def authority(self) -> Authority:
        return Authority(str(self.folder / "authority"), lambda: self.now)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(
    ("host", "internal"),
    [
        ("localhost", True),
        ("app.localhost", True),
        ("*.app.localhost", True),
        ("db.internal", True),
        ("nas.home.arpa", True),
        ("printer", True),
        ("192.168.1.1", True),
        ("[2001:db8::1]", True),
        ("a.test", True),
        ("example.com", False),
        ("*.example.com", False),
        ("internal.example", False),
        ("notinternal", True),
        ("xlocalhost.com", False),
    ],
)
def test_internal_names_are_those_that_no_public_ca_knows(host: str, internal: bool) -> None:
    assert is_internal(host) is internal


@pytest.mark.parametrize(("hours", "due"), [(0, False), (7.9, False), (8, True), (13, True)])
def test_a_third_of_its_life_is_left_when_it_is_due(hours: float, due: bool) -> None:
    assert is_due(NOW, NOW + 12 * HOUR, NOW + hours * HOUR) is due


def test_a_leaf_is_believed_by_who_trusts_the_root(world: World, tmp_path: Path) -> None:
    authority = world.authority()
    issued = authority.issue(["app.localhost"])
    (tmp_path / "root.pem").write_bytes(authority.root_pem())
    (tmp_path / "chain.pem").write_bytes(issued.chain_pem)
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "chain.pem",
         "-verify_hostname", "app.localhost", "chain.pem"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "chain.pem: OK\n", done.stderr
    leaf, intermediate = x509.load_pem_x509_certificates(issued.chain_pem)
    assert leaf.not_valid_after_utc - world.now <= LEAF
    assert leaf.issuer == intermediate.subject


def test_addresses_are_names_too(world: World) -> None:
    leaf = x509.load_pem_x509_certificates(world.authority().issue(["127.0.0.1"]).chain_pem)[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_it_is_the_same_one_later_with_another_intermediate(world: World) -> None:
    first = world.authority()
    root, chain = first.root_pem(), first.issue(["a"]).chain_pem
    again = world.authority()
    assert again.root_pem() == root
    assert _signer(again.issue(["a"]).chain_pem) == _signer(chain)
    world.now += datetime.timedelta(days=5)
    assert _signer(again.issue(["a"]).chain_pem) != _signer(chain)
    assert again.root_pem() == root


def _signer(chain: bytes) -> int:
    return x509.load_pem_x509_certificates(chain)[1].serial_number


def test_its_keys_are_for_nobody_else(world: World) -> None:
    world.authority().issue(["a"])
    for path in (world.folder / "authority").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_broken_one_is_told_and_not_replaced(world: World) -> None:
    world.authority().root_pem()
    place = world.folder / "authority" / "root" / "cert.pem"
    place.write_text("half")
    with pytest.raises(Refused, match="restore it, or move it away"):
        world.authority().root_pem()
    assert place.read_text() == "half"
