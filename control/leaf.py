"""What the certificate itself says, the first of its chain."""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import (
    PrivateKeyTypes,
    PublicKeyTypes,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def names_of(leaf: x509.Certificate) -> tuple[str, ...]:
    """The names and the addresses that it is for, in lower case."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = (str(each) for each in found.get_values_for_type(x509.IPAddress))
    return (*(name.lower() for name in found.get_values_for_type(x509.DNSName)), *addresses)


def is_for_key(leaf: x509.Certificate, key: PrivateKeyTypes) -> bool:
    """Whether they belong together."""
    return _der(leaf.public_key()) == _der(key.public_key())


# Private


def _der(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
