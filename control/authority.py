"""The internal CA: certificates for names that no public CA knows.

A root for ten years, which people install once (`edgectl trust`); an intermediate for a week;
leaves for twelve hours. Intermediates and leaves are renewed when a third of their life is left. An
intermediate that the present root did not sign, or that cannot be read, is made anew; a root is
never replaced, since people trust it.
"""

import contextlib
import datetime
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from control import durable
from control.acme.keys import pem_of, sans
from control.acme.spec import is_address
from control.refusal import Refused

log = logging.getLogger("control.authority")

ROOT: Final = datetime.timedelta(days=3650)
INTERMEDIATE: Final = datetime.timedelta(days=7)
LEAF: Final = datetime.timedelta(hours=12)
EARLIER: Final = datetime.timedelta(minutes=1)
"""Certificates begin before they are made, for clocks that are behind."""

SUFFIXES: Final = (".localhost", ".internal", ".home.arpa", ".local", ".test")

Clock = Callable[[], datetime.datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A certificate of the CA with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


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
    _kept: Signer | None = field(default=None)  # the intermediate

    def root_pem(self) -> bytes:
        """The root's certificate, made now if there is none. Raises `Refused`."""
        return self._root().certificate.public_bytes(Encoding.PEM)

    def issue(self, names: Sequence[str]) -> Issued:
        """A certificate for names and addresses. Raises `Refused`."""
        issuer = self._intermediate()
        now = self.clock()
        key = ec.generate_private_key(ec.SECP256R1())
        bare = tuple(name.strip("[]") for name in names)
        lasts = min(LEAF, _left(issuer, now))
        leaf = (
            _builder(_named(bare[0]), issuer.certificate.subject, key, now, lasts)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(is_ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(sans(bare)), critical=False)
            .add_extension(_key_id(issuer.key), critical=False)
            .sign(issuer.key, hashes.SHA256())
        )
        chain = (leaf, issuer.certificate)
        return Issued(
            chain_pem=b"".join(each.public_bytes(Encoding.PEM) for each in chain),
            key_pem=pem_of(key),
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
        )

    def has_signed(self, leaf: x509.Certificate) -> bool:
        """Whether its chain is the one that leaves have now. Raises `Refused`."""
        return _is_signed(leaf, self._intermediate())

    # Private

    def _root(self) -> Signer:
        place = os.path.join(self.folder, "root")
        if not os.path.lexists(place):
            key = ec.generate_private_key(ec.SECP256R1())
            name = _named(f"edged internal root {x509.random_serial_number() % 10**6:06d}")
            made = _sign_ca(_builder(name, name, key, self.clock(), ROOT), key, 1)
            return _write(place, Signer(certificate=made, key=key))
        try:
            found = _read(place)
        except (OSError, ValueError) as error:
            raise _broken(place, f"cannot be read ({error}): restore it, or") from None
        if _left(found, self.clock()) < LEAF:
            raise _broken(place, "is at its end:")
        return found

    def _intermediate(self) -> Signer:
        """The one that is kept, while it is any good, or else a new one."""
        place = os.path.join(self.folder, "intermediate")
        root, now = self._root(), self.clock()
        found = self._kept or _find(place)
        if found is None or not _is_good(found, root, now):
            key = ec.generate_private_key(ec.SECP256R1())
            name = _named("edged internal intermediate")
            lasts = min(INTERMEDIATE, _left(root, now))
            builder = _builder(name, root.certificate.subject, key, now, lasts)
            made = _sign_ca(builder, root.key, 0)
            found = _write(place, Signer(certificate=made, key=key))
        self._kept = found
        return found


# Private


def _broken(place: str, why: str) -> Refused:
    return Refused(
        "authority-broken",
        f"The internal CA in {place} {why} move it away and have a new one trusted with"
        " 'edgectl trust'.",
    )


def _left(signer: Signer, now: datetime.datetime) -> datetime.timedelta:
    return signer.certificate.not_valid_after_utc - now


def _is_good(signer: Signer, root: Signer, now: datetime.datetime) -> bool:
    """Whether an intermediate may sign: that root signed it, and its time has come and lasts."""
    begins = signer.certificate.not_valid_before_utc
    ends = signer.certificate.not_valid_after_utc
    is_in_time = begins <= now and not is_due(begins, ends, now)
    return is_in_time and _is_signed(signer.certificate, root)


def _is_signed(certificate: x509.Certificate, issuer: Signer) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer.certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


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


def _find(place: str) -> Signer | None:
    """The intermediate there; None when there is none that can be read."""
    if not os.path.lexists(place):
        return None
    try:
        return _read(place)
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read (%s): it is made anew", place, error)
        return None


def _read(place: str) -> Signer:
    """Raises `OSError` or `ValueError`."""
    certificate = x509.load_pem_x509_certificate(Path(place, "cert.pem").read_bytes())
    pem = Path(place, "key.pem").read_bytes()
    try:
        key = load_pem_private_key(pem, None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"key.pem: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("its key is not one of edged")
    if key.public_key() != certificate.public_key():
        raise ValueError("its key is that of another certificate")
    return Signer(certificate=certificate, key=key)


def _write(place: str, signer: Signer) -> Signer:
    """Keep it, a whole folder in one step: there is never half a CA. Raises `Refused`."""
    files = {
        "cert.pem": signer.certificate.public_bytes(Encoding.PEM),
        "key.pem": pem_of(signer.key),
    }
    try:
        durable.make_folder(os.path.dirname(place))
        shutil.rmtree(place, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)  # what is no folder
        durable.write_folder(place, files)
    except OSError as error:
        raise Refused("disk-full", f"{place} cannot be written: {error.strerror}.") from None
    return signer
