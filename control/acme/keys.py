"""Private keys, and what is asked of a CA with them. Making an RSA key takes long: for a thread."""

import ipaddress
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from control.acme.spec import KeyType, is_address

Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def new_key(key_type: KeyType) -> bytes:
    """A key that nobody has had before, as PEM (PKCS #8)."""
    key: Private
    if key_type in _CURVES:
        key = ec.generate_private_key(_CURVES[key_type]())
    else:
        key = rsa.generate_private_key(65537, _BITS[key_type])
    return pem_of(key)


def pem_of(key: Private) -> bytes:
    """A key as a file has it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def key_of(pem: bytes) -> Private:
    """The key of a file. Raises `ValueError`."""
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, Private):
        raise ValueError(f"a {type(key).__name__} is no key for a certificate")
    return key


def request_of(key_pem: bytes, names: tuple[str, ...]) -> bytes:
    """The certificate request (DER) for those names: in the SAN alone, the subject is empty."""
    builder = x509.CertificateSigningRequestBuilder(subject_name=x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName(sans(names)), critical=False)
    request = builder.sign(key_of(key_pem), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


def sans(names: tuple[str, ...]) -> list[x509.GeneralName]:
    """Names and addresses as a certificate has them."""
    return [
        x509.IPAddress(ipaddress.ip_address(name)) if is_address(name) else x509.DNSName(name)
        for name in names
    ]


# Private

_CURVES: Final[dict[KeyType, type[ec.SECP256R1 | ec.SECP384R1]]] = {
    KeyType.P256: ec.SECP256R1,
    KeyType.P384: ec.SECP384R1,
}
_BITS: Final = {KeyType.RSA2048: 2048, KeyType.RSA4096: 4096}
