"""What a certificate chain says, and whether it is what was asked for: CAs err, too."""

import base64
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from control.acme.keys import key_of
from control.leaf import is_for_key, names_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The first certificate of a chain, in plain values."""

    names: tuple[str, ...]
    issuer: str
    serial: str
    not_before: float
    not_after: float
    ari_id: str  # by which the CA knows it in renewalInfo and `replaces`; "" when it has none


def facts_of(chain_pem: str) -> Facts:
    """What it says of itself. Raises `ValueError`."""
    leaf = leaf_of(chain_pem)
    return Facts(
        names=names_of(leaf),
        issuer=_issuer(leaf),
        serial=f"{leaf.serial_number:x}",
        not_before=leaf.not_valid_before_utc.timestamp(),
        not_after=leaf.not_valid_after_utc.timestamp(),
        ari_id=_ari_id(leaf),
    )


def leaf_of(chain_pem: str) -> x509.Certificate:
    """The first certificate. Raises `ValueError`."""
    return x509.load_pem_x509_certificates(chain_pem.encode())[0]


def trouble_with(chain_pem: str, key_pem: bytes, names: tuple[str, ...], now: float) -> str:
    """Why that chain must not be served with that key for those names; "" when it may."""
    try:
        leaf, facts = leaf_of(chain_pem), facts_of(chain_pem)
    except ValueError as error:
        return f"its chain cannot be read: {error}"
    if not is_for_key(leaf, key_of(key_pem)):
        return "it is for another key"
    missing = set(names) - set(facts.names)
    if missing:
        return f"it is not for {' '.join(sorted(missing))}"
    if facts.not_after <= now:
        return "it has expired already"
    return ""


# Private


def _issuer(leaf: x509.Certificate) -> str:
    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in leaf.issuer.get_attributes_for_oid(kind):
            return str(attribute.value)
    return leaf.issuer.rfc4514_string()


def _ari_id(leaf: x509.Certificate) -> str:
    """RFC 9773, 4.1: the issuing key's identifier and the serial number, as DER has it."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return ""
    if not found.key_identifier:
        return ""
    serial = leaf.serial_number
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")  # a sign bit, too
    return f"{_base64(found.key_identifier)}.{_base64(octets)}"


def _base64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
