"""A CA of the tests' own, and certificates of it."""

import datetime
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

DAY: Final = datetime.timedelta(days=1)


@dataclass
class TestAuthority:
    """Signs certificates; `root.pem` in its folder is what clients trust."""

    __test__ = False

    folder: Path
    name: str = "tests"
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        subject = _named(self.name)
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        self.certificate = (
            _builder(subject, subject, self.key, days=3650)
            .add_extension(constraints, critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.root = self.folder / f"{self.name}.pem"
        self.root.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        self.root.chmod(0o644)

    def issue(self, *names: str, days: float = 30, into: str = "") -> tuple[Path, Path]:
        """A certificate for names and addresses: its file, and that of its key (0600)."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [_alternative(name) for name in names]
        certificate = (
            _builder(_named(names[0]), self.certificate.subject, key, days=days)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        stem = into or names[0].replace("*", "any")
        chain_path, key_path = self.folder / f"{stem}.crt", self.folder / f"{stem}.key"
        chain_path.write_bytes(certificate.public_bytes(Encoding.PEM))
        key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key_path.chmod(0o600)
        return chain_path, key_path


# Private


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: float
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * abs(days) * DAY)
        .not_valid_after(now + days * DAY)
    )
