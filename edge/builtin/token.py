"""Signed tokens (RFC 7519) before a route, checked with public keys (RFC 7517)."""

import logging
import ssl
import urllib.request
from typing import Any, Final

import gevent
import jwt
from gevent.lock import RLock

from edge.connection import monotonic
from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.table.model import Jwt, Route

log = logging.getLogger("edge.token")

FRESH_S: Final = 600.0
"""Keys are looked at again after that long …"""

AGAIN_S: Final = 10.0
"""… and for a key that is not known, but not more often than this."""

FETCH_S: Final = 5.0
KEYS_BYTES: Final = 1 << 20
TOKEN_CHARACTERS: Final = 8192


class CheckToken(Hook):
    """Lets requests with a good token pass, and tells the peer what is in it."""

    def __init__(self) -> None:
        self._keys: dict[str, Keys] = {}

    def applies_to(self, route: Route | None) -> bool:
        """Routes that ask for one."""
        return route is not None and route.jwt is not None

    def request_filter(self, exchange: Exchange) -> None:
        """Raises `EdgeError`: 401 `unauthorized`, 502 `auth-failed` when there are no keys."""
        rules = exchange.route.jwt if exchange.route is not None else None
        if rules is None:
            return
        headers = exchange.request.headers
        token = _token_of(exchange, rules)
        if not token:
            raise _refused("no token", "")
        claims = self._checked(token, rules)
        for name, claim in rules.claims:
            headers.remove(name)
            if (text := _as_text(claims.get(claim))) is not None:
                headers.set(name, text)
        exchange.ctx.claims = claims
        if not rules.forward and not rules.cookie:
            headers.remove("authorization")

    # Private

    def _checked(self, token: str, rules: Jwt) -> dict[str, Any]:
        keys = self._keys.get(rules.jwks)
        if keys is None:
            keys = self._keys[rules.jwks] = Keys(rules.jwks)
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in rules.algorithms:
                raise _refused("an algorithm that is not allowed", "invalid_token")
            key = keys.find(str(header.get("kid", "")), str(header["alg"]))
            if key is None:
                raise _refused("signed with a key that is not known", "invalid_token")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[header["alg"]],
                audience=rules.audience or None,
                issuer=rules.issuer or None,
                leeway=rules.leeway_s,
                options={"require": ["exp"], "verify_aud": bool(rules.audience)},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise _refused(str(error), "invalid_token") from None
        return claims


class Keys:
    """The public keys of one place. Those that are known stay when it cannot be reached."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._keys: list[jwt.PyJWK] = []
        self._looked = -FRESH_S
        self._lock = RLock()

    def __repr__(self) -> str:
        return f"<Keys {len(self._keys)} of {self.place}>"

    def find(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        """The key of that id, or the only one that fits a token that names none.

        Raises `EdgeError` (502 `auth-failed`) when there are no keys at all.
        """
        key = self._known(kid, algorithm)
        age_s = monotonic() - self._looked
        if age_s > FRESH_S or (key is None and age_s > AGAIN_S):
            self._look()
            key = self._known(kid, algorithm)
        if not self._keys:
            raise EdgeError(Reason.AUTH_FAILED, f"no keys of {self.place}")
        return key

    # Private

    def _known(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        fitting = [
            key for key in self._keys
            if (not kid or key.key_id == kid) and _fits(key, algorithm)
        ]  # fmt: skip
        return fitting[0] if fitting and (kid or len(fitting) == 1) else None

    def _look(self) -> None:
        """Read them anew: once, however many requests want them."""
        before = self._looked
        with self._lock:
            if self._looked != before:
                return
            self._looked = monotonic()
            try:
                self._keys = _parsed(_read(self.place))
            except (OSError, ValueError, jwt.PyJWTError, gevent.Timeout) as error:
                log.error("cannot read the keys of %s, keeping %d: %s", self.place,
                          len(self._keys), error)  # fmt: skip


# Private


def _refused(detail: str, error: str) -> EdgeError:
    challenge = f'Bearer error="{error}"' if error else "Bearer"
    return EdgeError(Reason.UNAUTHORIZED, detail, fields=(("WWW-Authenticate", challenge),))


def _token_of(exchange: Exchange, rules: Jwt) -> str:
    request = exchange.request
    if rules.cookie:
        token = request.cookie(rules.cookie)
    else:
        scheme, _, token = request.headers.get("authorization").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
    return token if len(token) <= TOKEN_CHARACTERS else ""


def _as_text(value: object) -> str | None:
    """A claim as a field's value; None for what no field can carry."""
    if isinstance(value, list):
        value = ",".join(str(each) for each in value)
    if not isinstance(value, str | int | float):
        return None
    text = str(value)
    return text if text.isascii() and text.isprintable() else None


def _fits(key: jwt.PyJWK, algorithm: str) -> bool:
    kinds = {"R": "RSA", "P": "RSA", "E": "OKP" if algorithm == "EdDSA" else "EC"}
    return key.key_type == kinds.get(algorithm[:1]) and key.public_key_use in (None, "sig")


def _read(place: str) -> bytes:
    if "://" not in place:
        with open(place, "rb") as file:
            return file.read(KEYS_BYTES)
    context = ssl.create_default_context() if place.startswith("https:") else None
    with (
        gevent.Timeout(FETCH_S),
        urllib.request.urlopen(place, timeout=FETCH_S, context=context) as answer,
    ):
        data: bytes = answer.read(KEYS_BYTES)
        return data


def _parsed(text: bytes) -> list[jwt.PyJWK]:
    return jwt.PyJWKSet.from_json(text.decode()).keys
