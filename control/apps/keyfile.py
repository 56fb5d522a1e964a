"""The key of all secrets: 32 random bytes in a file that only edged's user can read.

While it is changed the file holds two keys, the new one first, so that whatever a crash leaves can
be read. Whoever has the file and the state database has the secrets: back them up apart.
"""

import hashlib
import os
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from control import durable
from control.refusal import Refused

KEY_BYTES: Final = 32
ID_BYTES: Final = 8
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = ID_BYTES + NONCE_BYTES + TAG_BYTES


class Key:
    """One key. What it sealed begins with its id, so another is told from damage."""

    __slots__ = ("_aead", "content", "id")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.id = hashlib.sha256(b"edged secrets key\0" + content).digest()[:ID_BYTES]
        self._aead = AESGCM(content)

    def __repr__(self) -> str:
        return f"<Key {self.id.hex()}>"

    def seal(self, text: bytes, place: bytes) -> bytes:
        """Encrypt a text for that place, and for no other."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return self.id + nonce + self._aead.encrypt(nonce, text, place)

    def unseal(self, sealed: bytes, place: bytes) -> bytes | None:
        """The text; None if it was damaged, or brought there from another place."""
        nonce, text = sealed[ID_BYTES:][:NONCE_BYTES], sealed[ID_BYTES + NONCE_BYTES :]
        if len(text) < TAG_BYTES:
            return None
        try:
            return self._aead.decrypt(nonce, text, place)
        except InvalidTag:
            return None


class KeyFile:
    """The file. Its methods raise `Refused`."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"<KeyFile {self.path}>"

    def is_there(self) -> bool:
        """Whether there is one, whatever it holds."""
        return os.path.lexists(self.path)

    def read(self) -> tuple[Key, ...]:
        """The keys, the one to seal with first."""
        try:
            with open(self.path, "rb") as file:
                content = file.read(2 * KEY_BYTES + 1)
        except FileNotFoundError:
            raise Refused(
                "secrets-key-missing",
                f"{self.path}, the key of all secrets, is missing: restore it from a backup,"
                " or unset every secret and set them anew.",
            ) from None
        except OSError as error:
            raise Refused(
                "secrets-key-missing", f"{self.path} cannot be read: {error.strerror}."
            ) from None
        if len(content) not in (KEY_BYTES, 2 * KEY_BYTES):
            raise Refused(
                "secrets-key-wrong",
                f"{self.path} is no key: it has {len(content)} bytes and not {KEY_BYTES}."
                " Restore it from a backup, or remove it when no secret is left.",
            )
        parts = (content[:KEY_BYTES], content[KEY_BYTES:])
        return tuple(Key(part) for part in parts if part)

    def write(self, *keys: Key) -> None:
        """Have these in the file, durably."""
        try:
            durable.write(self.path, b"".join(key.content for key in keys))
        except OSError as error:
            raise Refused(
                "disk-full", f"{self.path} cannot be written: {error.strerror}: make room."
            ) from None


def new_key() -> Key:
    """A key that nobody else has."""
    return Key(secrets.token_bytes(KEY_BYTES))
