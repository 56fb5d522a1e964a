"""The internal CA: certificates for names that no public CA knows.

A root for ten years, which people install once (`edgectl trust`); an intermediate for a week;
leaves for twelve hours. All are renewed when a third of their life is left. The root's key is read
when an intermediate is made, and stays where it is.
"""

import datetime
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from control import durable
from control.acme.keys import pem_of, sans
from control.acme.spec import is_address
from control.refusal import Refused

ROOT: Final = datetime.timedelta(days=3650)
INTERMEDIATE: Final = datetime.timedelta(days=7)
LEAF: Final = datetime.timedelta(hours=12)
EARLIER: Final = datetime.timedelta(minutes=1)
"""Certificates begin before they are made, for clocks that are behind."""

SUFFIXES: Final = (".localhost", ".internal", ".home.arpa", ".local", ".test")

Clock = Callable[[], datetime.datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A leaf with its key."""

    chain_pem: bytes
    key_pem: bytes
    not_before: datetime.datetime
    not_after: datetime.datetime


def is_internal(host: str) -> bool:
    """Whether no public CA would sign for it: bare names, addresses, and reserved domains."""
    name = host.strip("[]").removeprefix("*.").lower()
    return is_address(name) or "." not in name or f".{name}".endswith(SUFFIXES)


def is_due(
    not_before: datetime.datetime, not_after: datetime.datetime, now: datetime.datetime
) -> bool:
    """Whether a third of its life, or less, is left."""
    return now >= not_after - (not_after - not_before) / 3


@dataclass(slots=True)
class Authority:
    """One CA, in a folder that only control enters."""

    folder: str
    clock: Clock = lambda: datetime.datetime.now(datetime.UTC)
    _signer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = field(default=None)

    def root_pem(self) -> bytes:
        """The root's certificate, made now if there is none. Raises `Refused`."""
        return self._root()[0].public_bytes(Encoding.PEM)

    def issue(self, names: Sequence[str]) -> Issued:
        """A certificate for names and addresses. Raises `Refused`."""
        issuer, issuer_key = self._intermediate()
        now = self.clock()
        key = ec.generate_private_key(ec.SECP256R1())
        bare = tuple(name.strip("[]") for name in names)
        leaf = (
            _builder(_named(names[0]), issuer.subject, key, now, min(LEAF, _left(issuer, now)))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(is_ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(sans(bare)), critical=False)
            .add_extension(_key_id(issuer_key), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )
        return Issued(
            chain_pem=leaf.public_bytes(Encoding.PEM) + issuer.public_bytes(Encoding.PEM),
            key_pem=pem_of(key),
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
        )

    def has_signed(self, leaf: x509.Certificate) -> bool:
        """Whether its chain is the one that leaves have now. Raises `Refused`."""
        try:
            leaf.verify_directly_issued_by(self._intermediate()[0])
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    # Private

    def _root(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        place = os.path.join(self.folder, "root")
        found = _read(place)
        if found is None:
            key = ec.generate_private_key(ec.SECP256R1())
            name = _named(f"edged internal root {x509.random_serial_number() % 10**6:06d}")
            root = _sign_ca(_builder(name, name, key, self.clock(), ROOT), key, 1)
            _write(place, root, key)
            found = root, key
        return found

    def _intermediate(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        place = os.path.join(self.folder, "intermediate")
        found = self._signer or _read(place)
        now = self.clock()
        if found is None or is_due(
            found[0].not_valid_before_utc, found[0].not_valid_after_utc, now
        ):
            root, root_key = self._root()
            key = ec.generate_private_key(ec.SECP256R1())
            name = _named("edged internal intermediate")
            made = _sign_ca(_builder(name, root.subject, key, now, INTERMEDIATE), root_key, 0)
            _write(place, made, key)
            found = made, key
        self._signer = found
        return found


# Private


def _left(issuer: x509.Certificate, now: datetime.datetime) -> datetime.timedelta:
    return issuer.not_valid_after_utc - now


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    lasts: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _sign_ca(
    builder: x509.CertificateBuilder, issuer_key: ec.EllipticCurvePrivateKey, path_length: int
) -> x509.Certificate:
    return (
        builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=path_length), critical=True
        )
        .add_extension(_usage(is_ca=True), critical=True)
        .add_extension(_key_id(issuer_key), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _key_id(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=is_ca, crl_sign=is_ca, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _read(place: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
    """A certificate with its key, or None where there is none. Raises `Refused` for broken ones."""
    folder = Path(place)
    if not folder.exists():
        return None
    try:
        certificate = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
        key = load_pem_private_key((folder / "key.pem").read_bytes(), None)
    except (OSError, ValueError) as error:
        raise Refused(
            "authority-broken",
            f"The internal CA in {place} cannot be read ({error}): restore it, or move it away and"
            " have a new one trusted with 'edgectl trust'.",
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Refused("authority-broken", f"The key in {place} is not one of edged.")
    return certificate, key


def _write(place: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """A whole folder in one step: there is never half a CA. Raises `Refused`."""
    try:
        durable.make_folder(os.path.dirname(place))
        shutil.rmtree(place, ignore_errors=True)
        durable.write_folder(
            place, {"cert.pem": certificate.public_bytes(Encoding.PEM), "key.pem": pem_of(key)}
        )
    except OSError as error:
        raise Refused("disk-full", f"{place} cannot be written: {error.strerror}.") from None
