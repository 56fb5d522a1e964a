"""The internal CA: what it signs, for how long, and that it stays the same one."""

import datetime
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from control.acme.keys import pem_of
from control.authority import LEAF, ROOT, Authority, Issued, is_due, is_internal
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


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("app.localhost", "-verify_hostname"),
        ("localhost", "-verify_hostname"),
        ("printer", "-verify_hostname"),
        ("127.0.0.1", "-verify_ip"),
        ("[2001:db8::1]", "-verify_ip"),
        ("a." + "long-" * 12 + "name.internal", "-verify_hostname"),
    ],
)
def test_a_leaf_is_believed_by_who_trusts_the_root(
    world: World, tmp_path: Path, name: str, check: str
) -> None:
    authority = world.authority()
    issued = authority.issue([name])
    said = openssl_says(authority, issued, tmp_path, check, name.strip("[]"))
    assert said == "chain.pem: OK\n"
    leaf, intermediate = x509.load_pem_x509_certificates(issued.chain_pem)
    assert leaf.not_valid_after_utc - world.now <= LEAF
    assert leaf.issuer == intermediate.subject


def openssl_says(authority: Authority, issued: Issued, folder: Path, *checks: str) -> str:
    (folder / "root.pem").write_bytes(authority.root_pem())
    (folder / "chain.pem").write_bytes(issued.chain_pem)
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "chain.pem",
         *checks, "chain.pem"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


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


def test_an_intermediate_of_another_root_signs_no_more(world: World, tmp_path: Path) -> None:
    running = world.authority()
    running.issue(["a"])
    (world.folder / "authority" / "root").rename(tmp_path / "old root")
    for authority in (world.authority(), running):
        said = openssl_says(authority, authority.issue(["a"]), tmp_path)
        assert said == "chain.pem: OK\n"


def test_an_intermediate_of_a_root_with_the_same_name_signs_no_more(
    world: World, tmp_path: Path
) -> None:
    authority = world.authority()
    authority.issue(["a"])
    folder = world.folder / "authority" / "root"
    root = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    like = (
        x509.CertificateBuilder(root.subject, root.subject, key.public_key(), 1)
        .not_valid_before(root.not_valid_before_utc)
        .not_valid_after(root.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_extension(root, x509.KeyUsage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(like.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(pem_of(key))
    assert openssl_says(authority, authority.issue(["a"]), tmp_path) == "chain.pem: OK\n"


def _extension(certificate: x509.Certificate, kind: type[x509.KeyUsage]) -> x509.KeyUsage:
    return certificate.extensions.get_extension_for_class(kind).value


def half(folder: Path) -> None:
    (folder / "cert.pem").write_text("half")


def without_key(folder: Path) -> None:
    (folder / "key.pem").unlink()


def with_a_folder_as_key(folder: Path) -> None:
    without_key(folder)
    (folder / "key.pem").mkdir()


def with_another_key(folder: Path) -> None:
    (folder / "key.pem").write_bytes(pem_of(ec.generate_private_key(ec.SECP256R1())))


def with_a_locked_key(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    lock = BestAvailableEncryption(b"open sesame")
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))


def with_a_key_of_another_kind(folder: Path) -> None:
    (folder / "key.pem").write_bytes(pem_of(rsa.generate_private_key(65537, 2048)))


def empty(folder: Path) -> None:
    (folder / "cert.pem").unlink()
    (folder / "key.pem").unlink()


def a_file(folder: Path) -> None:
    empty(folder)
    folder.rmdir()
    folder.touch()


DAMAGES = [
    half,
    without_key,
    with_a_folder_as_key,
    with_another_key,
    with_a_locked_key,
    with_a_key_of_another_kind,
    empty,
    a_file,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_intermediate_that_cannot_be_read_is_made_anew(
    world: World, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    old = world.authority().issue(["a"])
    damage(world.folder / "authority" / "intermediate")
    authority = world.authority()
    issued = authority.issue(["a"])
    assert openssl_says(authority, issued, tmp_path) == "chain.pem: OK\n"
    assert _signer(issued.chain_pem) != _signer(old.chain_pem)
    assert _signer(world.authority().issue(["a"]).chain_pem) == _signer(issued.chain_pem)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_root_that_cannot_be_read_is_told_and_not_replaced(
    world: World, damage: Callable[[Path], None]
) -> None:
    world.authority().issue(["a"])
    place = world.folder / "authority" / "root"
    damage(place)
    before = contents_of(place)
    with pytest.raises(Refused, match="restore it, or move it away"):
        world.authority().root_pem()
    with pytest.raises(Refused, match="restore it, or move it away"):
        world.authority().issue(["a"])
    assert contents_of(place) == before


def contents_of(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_nothing_lasts_longer_than_the_root(world: World, tmp_path: Path) -> None:
    authority = world.authority()
    root = x509.load_pem_x509_certificate(authority.root_pem())
    world.now += ROOT - datetime.timedelta(days=2)
    chain = x509.load_pem_x509_certificates(authority.issue(["a"]).chain_pem)
    assert max(each.not_valid_after_utc for each in chain) <= root.not_valid_after_utc
    world.now += datetime.timedelta(days=1.9)
    with pytest.raises(Refused, match="is at its end: move it away"):
        authority.issue(["a"])


def test_a_clock_that_was_ahead_leaves_nothing_behind(world: World) -> None:
    world.authority().root_pem()
    world.now += datetime.timedelta(days=30)
    world.authority().issue(["a"])
    world.now -= datetime.timedelta(days=29)
    chain = x509.load_pem_x509_certificates(world.authority().issue(["a"]).chain_pem)
    assert max(each.not_valid_before_utc for each in chain) <= world.now
