"""The secrets of apps: encrypted in the state database, in clear only for the start of an instance.

Rule 1: a secret is sealed for its app and its name (AES-GCM, both as associated data), so that what
        is moved to another place in the database cannot be read there.
Rule 2: values leave by `values` alone. Names are no secrets; but what is refused as a name is not
        repeated, for it may be a value in the wrong place.
Rule 3: there is one key. Without it, or with another, nothing is read and nothing is added.
"""

import base64
import binascii
import os
import re
from collections.abc import Iterable, Mapping
from typing import Final, NoReturn, TypeVar

import gevent
from gevent.lock import RLock

from control.apps.delivery import SecretValues
from control.apps.keyfile import ID_BYTES, OVERHEAD_BYTES, Key, KeyFile, new_key
from control.refusal import Refused
from control.store import Store
from control.text import is_utf_8

KEY_NAME: Final = "secrets.key"
VALUE_BYTES: Final = 64 * 1024
ALL_BYTES: Final = 1 << 20
"""For one app, names included: the kernel takes 2 MiB of arguments and environment."""

NAME_LENGTH: Final = 128
OURS: Final = frozenset({"HOST", "PORT", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"})
"""What an instance is told by edged."""

FORMAT: Final = 1
INDEX: Final = "secrets"
OF_APP: Final = "secrets/"

_NAME: Final = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{NAME_LENGTH - 1}}}")

Sealed = dict[str, bytes]
T = TypeVar("T")


class Secrets:
    """The secrets of all apps; an app is `name/env`. Its methods raise `Refused`."""

    def __init__(self, store: Store, state_dir: str) -> None:
        self._store = store
        self._file = KeyFile(os.path.join(state_dir, KEY_NAME))
        self._changing = RLock()  # the store may wait between reading and writing

    def __repr__(self) -> str:
        return f"<Secrets {self._file.path}>"

    def names(self, app: str) -> tuple[str, ...]:
        """What is set, without the values; needs no key."""
        return tuple(sorted(self._sealed(app)))

    def apps(self) -> tuple[str, ...]:
        """The apps that have secrets."""
        return tuple(app for app in self._index() if self._sealed(app))

    def set(self, app: str, values: Mapping[str, bytes]) -> None:
        """Set these, all or none; what was set by their names is replaced."""
        for name, value in values.items():
            _vet(name, value)
        with self._changing:
            sealed = self._sealed(app)
            key = self._key_to_seal()
            for name, value in values.items():
                sealed[name] = key.seal(value, _place(app, name))
            size = sum(len(name) + len(each) - OVERHEAD_BYTES for name, each in sealed.items())
            if size > ALL_BYTES:
                raise Refused(
                    "secret-too-large",
                    f"The secrets of {app} would have {size:,} bytes: {ALL_BYTES:,} is the most.",
                )
            index = self._index()
            if app not in index:  # first: what is not in it would be forgotten by a rotation
                self._keep_index([*index, app])
            self._keep(app, sealed)

    def unset(self, app: str, names: Iterable[str]) -> None:
        """Remove these, all or none; needs no key."""
        with self._changing:
            sealed = self._sealed(app)
            known = ", ".join(sorted(sealed)) or "none"
            for name in set(names):
                if sealed.pop(name, None) is None:
                    raise Refused("not-found", f"{app} has no such secret. It has: {known}.")
            self._keep(app, sealed)

    def remove(self, app: str) -> None:
        """Forget all of an app; needs no key."""
        with self._changing:
            self._store.keep(OF_APP + app, None)
            self._keep_index([each for each in self._index() if each != app])

    def values(self, app: str) -> SecretValues:
        """All of them in clear, for the start of an instance."""
        sealed = self._sealed(app)
        # Nothing waits between these two, so a rotation cannot come between them.
        keys = self._file.read() if sealed else ()
        opened = {name: self._open(keys, app, name, each) for name, each in sealed.items()}
        return SecretValues(app, {name: value.decode() for name, value in opened.items()})

    def unreadable(self, apps: Iterable[str]) -> dict[str, str]:
        """Those of these apps whose secrets cannot be read, with why: no process of theirs can
        be started."""
        found = {}
        for app in apps:
            try:
                self.values(app)
            except Refused as refusal:
                found[app] = refusal.message
        return found

    def rotate(self) -> int:
        """Seal all of them with a new key; says how many. Goes on with one that was cut short."""
        with self._changing:
            apps = self.apps()
            keys = self._file.read() if apps or self._file.is_there() else ()
            for app in apps:
                for name, each in self._sealed(app).items():
                    self._open(keys, app, name, each)  # refuses before anything is changed
            if len(keys) < 2:
                keys = (new_key(), *keys)
                self._file.write(*keys)
            count = sum(self._seal_anew(keys, app) for app in apps)
            # The database does not wait for the disk at each commit, and the old key is its last
            # chance: it goes when everything that was written is there.
            gevent.get_hub().threadpool.apply(os.sync)
            self._file.write(keys[0])
        return count

    # Private

    def _key_to_seal(self) -> Key:
        if not self._file.is_there() and not self.apps():
            self._file.write(new_key())
        keys = self._file.read()
        for app in self.apps():
            for name, each in self._sealed(app).items():
                if len(each) >= OVERHEAD_BYTES:  # damaged, it must not keep others from being set
                    self._key_of(keys, app, name, each)  # no two keys are ever mixed
        return keys[0]

    def _seal_anew(self, keys: tuple[Key, ...], app: str) -> int:
        sealed = self._sealed(app)
        for name, each in sealed.items():
            if each[:ID_BYTES] != keys[0].id:
                sealed[name] = keys[0].seal(self._open(keys, app, name, each), _place(app, name))
        self._keep(app, sealed)
        return len(sealed)

    def _open(self, keys: tuple[Key, ...], app: str, name: str, sealed: bytes) -> bytes:
        value = None
        if len(sealed) >= OVERHEAD_BYTES:
            value = self._key_of(keys, app, name, sealed).unseal(sealed, _place(app, name))
        if value is None:
            raise Refused(
                "secrets-damaged",
                f"The secret {name} of {app} was damaged or moved in the database: set it anew.",
            )
        return value

    def _key_of(self, keys: tuple[Key, ...], app: str, name: str, sealed: bytes) -> Key:
        key = next((key for key in keys if key.id == sealed[:ID_BYTES]), None)
        if key is None:
            raise Refused(
                "secrets-key-wrong",
                f"{self._file.path} is not the key that {name} of {app} was encrypted with:"
                " restore the right one from a backup, or unset every secret and set them anew.",
            )
        return key

    # What is kept

    def _index(self) -> list[str]:
        nothing: list[str] = []
        return list(self._read(INDEX, "apps", nothing))

    def _keep_index(self, apps: list[str]) -> None:
        self._store.keep(INDEX, {"version": FORMAT, "apps": apps})

    def _sealed(self, app: str) -> Sealed:
        nothing: dict[str, str] = {}
        written = self._read(OF_APP + app, "secrets", nothing)
        return {name: _decoded(each) for name, each in written.items()}

    def _keep(self, app: str, sealed: Sealed) -> None:
        written = {name: base64.b64encode(each).decode() for name, each in sealed.items()}
        self._store.keep(OF_APP + app, {"version": FORMAT, "secrets": written})

    def _read(self, name: str, field: str, absent: T) -> T:
        """What was kept there, of the shape that is written here; `absent` when nothing was."""
        kept = self._store.kept(name)
        if kept is None:
            return absent
        if isinstance(kept, dict) and kept.get("version", FORMAT) != FORMAT:
            raise Refused("state-newer", "The secrets were written by a newer edged: run that one.")
        found = kept.get(field) if isinstance(kept, dict) else None
        if not isinstance(found, type(absent)):
            raise Refused(
                "secrets-damaged",
                f'What is kept as "{name}" in the state database is damaged: restore it from a'
                " backup.",
            )
        return found


# Private


def _decoded(text: str) -> bytes:
    """What was kept; nothing if it was damaged."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return b""


def _place(app: str, name: str) -> bytes:
    return f"edged secret\0{app}\0{name}".encode()


def _vet(name: str, value: bytes) -> None:
    if not _NAME.fullmatch(name):
        _refuse(
            "The name of a secret is that of an environment variable: letters, digits and _,"
            f" no digit first, at most {NAME_LENGTH} characters."
        )
    if name in OURS:
        _refuse(f"{name} is set by edged itself, for every instance.")
    if len(value) > VALUE_BYTES:
        raise Refused(
            "secret-too-large",
            f"{name} would have {len(value):,} bytes: {VALUE_BYTES:,} is the most.",
        )
    if b"\0" in value or not is_utf_8(value):
        _refuse(f"The value of {name} is not UTF-8, or has a NUL: encode it, such as by base64.")


def _refuse(why: str) -> NoReturn:
    raise Refused("secret-invalid", why)
