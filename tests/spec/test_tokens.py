"""Signed tokens before a route: what passes, what never does, and keys that come and go."""

import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.support.client import Answer, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import Received, Reply, ScriptedOrigin


def now() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())


def published(**keys: Any) -> bytes:
    """The key set of some private keys, by their ids."""
    found = []
    for kid, key in keys.items():
        kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
        found.append({**json.loads(kind.to_jwk(key.public_key())), "kid": kid, "use": "sig"})
    return json.dumps({"keys": found}).encode()


class KeyServer:
    """Answers with a key set that tests change."""

    def __init__(self) -> None:
        self.text = published(rsa=RSA, ec=EC)
        self.asked = 0

    def __call__(self, request: Received) -> Reply:
        self.asked += 1
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(self.text), self.text)


RULES = """
[route.jwt]
jwks = "http://{keys}/jwks.json"
issuer = "https://id.example.com"
audience = ["api", "admin"]
claims = {{ X-User = "sub", X-Roles = "roles" }}
"""


@pytest.fixture
def keys() -> KeyServer:
    return KeyServer()


@pytest.fixture
def guarded(origin: ScriptedOrigin, keys: KeyServer) -> Iterator[Edged]:
    with ScriptedOrigin(keys) as key_server:
        body = (
            route("a.test", origin.address)
            + RULES.format(keys=key_server.address)
            + route("cookie.test", origin.address)
            + '[route.jwt]\njwks = "keys.json"\ncookie = "session"\n'
        )
        files = {"keys.json": published(ec=EC).decode()}
        with Edged(body, workers=2, files=files) as edged:
            yield edged


def token(key: Any = EC, kid: str = "ec", algorithm: str = "ES256", **claims: object) -> str:
    content = {
        "sub": "ada", "iss": "https://id.example.com", "aud": "api", "exp": now() + 600,
        "roles": ["dev", "ops"], **claims,
    }  # fmt: skip
    content = {name: value for name, value in content.items() if value is not None}
    return jwt.encode(content, key, algorithm=algorithm, headers={"kid": kid} if kid else {})


def ask(edged: Edged, credentials: str, fields: str = "") -> Answer:
    return fetch(
        edged.address, host="a.test", fields=f"Authorization: Bearer {credentials}\r\n{fields}"
    )


def test_a_good_token_passes_and_the_peer_is_told_who_it_is(
    guarded: Edged, origin: ScriptedOrigin
) -> None:
    forged = "X-User: root\r\nX-Roles: all\r\n"
    for good in (token(), token(RSA, "rsa", "RS256"), token(kid="")):
        assert ask(guarded, good, forged).status == 200
        seen = origin.requests[-1]
        assert (seen.get("X-User"), seen.get("X-Roles")) == ("ada", "dev,ops")
        assert seen.get("Authorization") == f"Bearer {good}"


BAD: dict[str, Callable[[], str]] = {
    "expired": lambda: token(exp=now() - 60),
    "no end": lambda: token(exp=None),
    "not yet": lambda: token(nbf=now() + 600),
    "another issuer": lambda: token(iss="https://evil.example"),
    "no issuer": lambda: token(iss=None),
    "another audience": lambda: token(aud="shop"),
    "another key of that name": lambda: token(OTHER),
    "a key that is not known": lambda: token(OTHER, "new"),
    "the public key as a secret": lambda: token("x" * 64, "ec", "HS256"),
    "unsigned": lambda: jwt.encode({"sub": "ada", "exp": now() + 60}, None, "none"),
    "changed": lambda: token()[:-8] + "AAAAAAAA",
    "no token": lambda: "a.b.c",
    "empty": lambda: "",
    "huge": lambda: "a" * 9000,
    "dots": lambda: "." * 4000,
}


@pytest.mark.parametrize("made", BAD.values(), ids=BAD)
def test_what_is_no_good_token_is_refused(
    guarded: Edged, origin: ScriptedOrigin, made: Callable[[], str]
) -> None:
    answer = ask(guarded, made())
    assert (answer.status, answer.get("X-Edge-Error")) == (401, "unauthorized")
    assert answer.get("WWW-Authenticate").startswith("Bearer")
    assert origin.requests == []


def test_a_new_key_is_found_without_a_reload(guarded: Edged, keys: KeyServer) -> None:
    assert ask(guarded, token()).status == 200
    keys.text = published(new=OTHER)
    # A key that is not known is asked for again, but not more often than every ten seconds.
    eventually(lambda: ask(guarded, token(OTHER, "new")).status == 200, 25)
    before = keys.asked
    for _ in range(20):
        ask(guarded, token(EC, "gone"))
    assert keys.asked - before <= 2  # once for each worker at most


def test_known_keys_stay_when_they_cannot_be_read(guarded: Edged, keys: KeyServer) -> None:
    assert {ask(guarded, token()).status for _ in range(8)} == {200}
    keys.text = b"garbage"
    assert {ask(guarded, token(OTHER, "new")).status for _ in range(8)} == {401}
    assert {ask(guarded, token()).status for _ in range(8)} == {200}


def test_without_any_keys_nobody_passes(guarded: Edged, keys: KeyServer) -> None:
    keys.text = b"garbage"
    answer = ask(guarded, token())
    assert (answer.status, answer.get("X-Edge-Error")) == (502, "auth-failed")
    assert "Traceback" not in guarded.log


def test_a_cookie_carries_a_token(guarded: Edged, origin: ScriptedOrigin) -> None:
    def with_cookie(value: str) -> int:
        fields = f"Cookie: a=b; session={value}\r\n"
        return fetch(guarded.address, host="cookie.test", fields=fields).status

    assert with_cookie(token()) == 200
    assert with_cookie(token(OTHER)) == 401
    assert fetch(guarded.address, host="cookie.test").status == 401
