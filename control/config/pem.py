"""Certificates from files: whether they and their keys are fit to serve with."""

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from control.leaf import is_for_key, names_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate with its key, as read."""

    chain_pem: bytes
    key_pem: bytes
    names: frozenset[str]  # lower case, addresses too
    issuer: str
    not_before: datetime.datetime
    not_after: datetime.datetime

    def covers(self, host: str) -> bool:
        """Whether it is for that host (a pattern's: "*.example.com" is a name of its own)."""
        host = host.strip("[]").lower()
        return host in self.names or f"*.{host.partition('.')[2]}" in self.names


def read_pair(cert: str, key: str) -> Pair:
    """Read both files. Raises `ValueError`, which says what is wrong with which."""
    chain_pem, key_pem = _read(cert), _read(key)
    try:
        leaf = x509.load_pem_x509_certificates(chain_pem)[0]
        names = frozenset(names_of(leaf))
    except (ValueError, IndexError, x509.DuplicateExtension) as error:
        raise ValueError(f'"{cert}" holds no certificate in PEM: {error}') from None
    try:
        private = load_pem_private_key(key_pem, None)
    except TypeError:
        raise ValueError(f'"{key}" has a password: edged cannot ask for it') from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f'"{key}" holds no private key in PEM') from None
    try:
        if not is_for_key(leaf, private):
            raise ValueError(f'"{key}" is not the key of "{cert}"')
    except UnsupportedAlgorithm as error:
        raise ValueError(f'"{cert}" has a key that nobody can use: {error}') from None
    return Pair(
        chain_pem=chain_pem,
        key_pem=key_pem,
        names=names,
        issuer=leaf.issuer.rfc4514_string(),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
    )


def problem_of(pair: Pair, cert: str, host: str, now: datetime.datetime) -> str:
    """Why it must not serve that host now; "" when it may."""
    if pair.not_after <= now:
        return f'"{cert}" expired on {pair.not_after:%Y-%m-%d}: renew it'
    if pair.not_before > now + datetime.timedelta(days=1):
        return f'"{cert}" is not valid before {pair.not_before:%Y-%m-%d}'
    if not pair.covers(host):
        names = ", ".join(sorted(pair.names)) or "nothing"
        return f'"{cert}" is for {names}, and not for "{host}"'
    return ""


# Private


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError as error:
        raise ValueError(f'"{path}" cannot be read: {error.strerror}') from None
