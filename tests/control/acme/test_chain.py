"""What a chain says, and when it must not be served."""

import base64
import datetime

import pytest

from control.acme.alpn import challenge_certificate
from control.acme.chain import facts_of, trouble_with
from control.acme.keys import key_of, new_key, pem_of, request_of
from control.acme.spec import KeyType
from tests.support.authority import DAY, certificate, pem

ROOT = certificate("root", ())
LEAF, LEAF_KEY = certificate("leaf", ("a.test", "192.0.2.1"), ROOT)
CHAIN = (pem(LEAF) + pem(ROOT[0])).decode()
KEY = pem_of(LEAF_KEY)
NOW = datetime.datetime.now(datetime.UTC).timestamp()


def test_a_chain_says_what_its_first_certificate_is() -> None:
    facts = facts_of(CHAIN)
    assert facts.names == ("a.test", "192.0.2.1")
    assert facts.issuer == "root"
    assert facts.not_after - facts.not_before == 90 * 86400 + 3600


def test_a_certificates_id_is_its_issuers_key_and_its_number() -> None:
    # The example of RFC 9773, 4.1, has the serial 87 65 43 21, which is 5 octets with its sign.
    issuer, serial = facts_of(CHAIN).ari_id.split(".")
    octets = base64.urlsafe_b64decode(serial + "=" * (-len(serial) % 4))
    assert int.from_bytes(octets, "big") == LEAF.serial_number
    assert octets[0] < 0x80
    assert len(base64.urlsafe_b64decode(issuer + "=" * (-len(issuer) % 4))) == 20


@pytest.mark.parametrize(
    ("chain", "key", "names", "day", "trouble"),
    [
        (CHAIN, KEY, ("a.test",), 0, ""),
        (CHAIN, KEY, ("a.test", "192.0.2.1"), 0, ""),
        (CHAIN, KEY, ("a.test", "b.test"), 0, "it is not for b.test"),
        (CHAIN, new_key(KeyType.P256), ("a.test",), 0, "another key"),
        (CHAIN, KEY, ("a.test",), 91, "expired"),
        ("", KEY, ("a.test",), 0, "cannot be read"),
        ("nonsense", KEY, ("a.test",), 0, "cannot be read"),
    ],
)
def test_what_must_not_be_served_says_why(
    chain: str, key: bytes, names: tuple[str, ...], day: int, trouble: str
) -> None:
    found = trouble_with(chain, key, names, NOW + day * DAY.total_seconds())
    assert trouble in found
    assert bool(found) == bool(trouble)


@pytest.mark.parametrize("key_type", [KeyType.P256, KeyType.P384, KeyType.RSA2048])
def test_a_request_can_be_made_with_any_key(key_type: KeyType) -> None:
    assert request_of(new_key(key_type), ("a.test", "*.b.test", "2001:db8::1"))


def test_every_challenge_has_a_key_of_its_own() -> None:
    (_, one), (_, other) = (challenge_certificate("a.test", "token.thumb") for _ in range(2))
    assert key_of(one).private_numbers() != key_of(other).private_numbers()
