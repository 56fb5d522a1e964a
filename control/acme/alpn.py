"""The certificate that answers a TLS-ALPN-01 challenge (RFC 8737)."""

import datetime
import hashlib
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from control.acme.keys import pem_of, sans

PROTOCOL: Final = "acme-tls/1"
"""What a client that validates offers as its only protocol."""

_IDENTIFIER: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
_OCTET_STRING: Final = b"\x04\x20"
_DAY: Final = datetime.timedelta(days=1)


def challenge_certificate(name: str, key_authorization: str) -> tuple[bytes, bytes]:
    """Certificate and key (PEM) to answer with when `name` is asked for by `PROTOCOL`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ACME challenge")])
    digest = hashlib.sha256(key_authorization.encode()).digest()
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + 7 * _DAY)
        .add_extension(x509.SubjectAlternativeName(sans((name,))), critical=False)
        .add_extension(
            x509.UnrecognizedExtension(_IDENTIFIER, _OCTET_STRING + digest), critical=True
        )
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM), pem_of(key)
