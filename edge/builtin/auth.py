"""Basic authentication (RFC 7617): names and passwords before a route.

Checking a bcrypt hash takes a tenth of a second on purpose. So it runs in a thread, few at a time,
and who was right once is remembered for a while, by a keyed digest and never by the password.
"""

import base64
import binascii
import secrets
from hashlib import blake2b
from typing import Final

import bcrypt
import gevent
from gevent.lock import BoundedSemaphore

from edge.connection import monotonic
from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.table.model import BasicAuth, Route

REMEMBERED_S: Final = 300.0
REMEMBERED: Final = 10_000
AT_ONCE: Final = 2
"""Hashes that a worker checks at the same time: guessing must not take all its processor."""

LONGEST_BYTES: Final = 4096
PASSWORD_BYTES: Final = 72
"""bcrypt looks at no more; a longer password is refused, not cut."""

_NOBODY: Final = "$2b$10$" + "." * 53
"""Checked for names that nobody has, so that they take as long."""


class Authenticate(Hook):
    """Asks for a name and a password, and lets the right ones pass."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, float] = {}
        self._turns = BoundedSemaphore(AT_ONCE)

    def applies_to(self, route: Route | None) -> bool:
        """Routes that ask."""
        return route is not None and route.basic_auth is not None

    def request_filter(self, exchange: Exchange) -> None:
        """Raises `EdgeError` (401 `unauthorized`)."""
        rules = exchange.route.basic_auth if exchange.route is not None else None
        if rules is None:
            return
        headers = exchange.request.headers
        given = _credentials(headers.get("authorization"))
        if given is None or not self._is_right(rules, *given):
            challenge = f'Basic realm="{rules.realm}", charset="UTF-8"'
            fields = (("WWW-Authenticate", challenge),)
            raise EdgeError(Reason.UNAUTHORIZED, given[0] if given else "", fields=fields)
        exchange.ctx.user = given[0]
        if not rules.forward:
            headers.remove("authorization")

    # Private

    def _is_right(self, rules: BasicAuth, name: str, password: bytes) -> bool:
        stored = next((hash_ for user, hash_ in rules.users if user == name), "")
        digest = blake2b(
            b"\0".join((stored.encode(), name.encode(), password)), key=self._key, digest_size=32
        ).digest()
        now = monotonic()
        if self._known.get(digest, 0.0) > now:
            return True
        with self._turns:
            pool = gevent.get_hub().threadpool
            hash_ = (stored or _NOBODY).encode()
            right: bool = pool.apply(_check, (password, hash_)) and bool(stored)
        if right:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[digest] = now + REMEMBERED_S
        return right


# Private


def _check(password: bytes, hash_: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, hash_)
    except ValueError:
        return False


def _credentials(field: str) -> tuple[str, bytes] | None:
    """Name and password; None for what is neither, or too long."""
    scheme, _, encoded = field.partition(" ")
    if scheme.lower() != "basic" or len(encoded) > LONGEST_BYTES:
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True)
        name, colon, password = text.partition(b":")
        user = name.decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    if not colon or b"\0" in text or len(password) > PASSWORD_BYTES:
        return None
    return user, password
