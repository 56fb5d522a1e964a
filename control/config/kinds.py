"""The kinds of values that settings have: how each is called, read and shown.

A kind reads one value from TOML into what the rest of edged uses, or raises `ValueError` with a
message that says what to write instead. What needs the machine (does that file exist?) is for
`check`, what needs the folder of the file is for `resolve`.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from control.config import address, units
from control.config.units import toml_type
from edge.headers import RESERVED, TOKEN
from edge.table.match import canonical

T = TypeVar("T")

REDIRECT_STATUSES: Final = (301, 302, 303, 307, 308)
BALANCES: Final = ("round_robin", "weighted", "least_conn", "random2", "consistent(KEY)")
PLACES: Final = ("host", "path", "query", "uri")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of value."""

    name: str
    example: str  # as TOML
    read: Callable[[object], Any]
    show: Callable[[Any], str]  # as TOML, for the reference


def nearest(word: str, known: Iterable[str]) -> str:
    """`: did you mean "x"?` when a known word is near, else nothing."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f': did you mean "{match[0]}"?' if match else ""


def read_name(name: str) -> str:
    """A header field's name that a route may set or remove; raises `ValueError`."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{_quote(name)} is no header name")
    if name.lower() in RESERVED:
        raise ValueError(f'"{name}" frames messages: only edged itself writes and removes it')
    return name


def read_field_value(value: object) -> str:
    """A header field's value; raises `ValueError`."""
    text = _text(value, "no-store")
    if _CONTROL.search(text):
        raise ValueError(f"{_quote(text)} holds a control character (CR, LF, NUL …)")
    if _VALUE.fullmatch(text) is None:
        raise ValueError(f"{_quote(text)} holds characters that a header cannot carry")
    return text.strip(" \t")


def read_page_status(text: str) -> str:
    """The status that an error page is for: "404", or "5xx" for a class. Raises `ValueError`."""
    if not _PAGE_STATUS.fullmatch(text):
        raise ValueError(f'{_quote(text)} is no status of an error: write "404" or "5xx"')
    return text


# Private

_NAME: Final = re.compile(TOKEN)
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TARGET: Final = re.compile(r"[!-~]+")
_PATH: Final = re.compile(r"/(?:[!$-;=@-\[\]_a-z|~]|%[0-9A-Fa-f]{2})*")
_MODULE: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?")
_USER: Final = "me:$2y$10$" + "." * 53
_HASH: Final = re.compile(r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}")
_REALM: Final = re.compile(r"[ !#-\[\]-~]{1,100}")
_PERCENT: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3})?%")
_ORIGIN: Final = re.compile(
    r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?|https?://\[[0-9a-f:]+\](?::[0-9]{1,5})?"
)
_PAGE_STATUS: Final = re.compile(r"[45](?:[0-9]{2}|xx)")
_BASE64: Final = re.compile(r"[A-Za-z0-9_-]{8,}={0,2}")
TLS_MODES: Final = ("auto", "internal", "own", "on_demand", "off")
KEY_TYPES: Final = ("p256", "p384", "rsa2048", "rsa4096")
CHALLENGES: Final = ("http-01", "tls-alpn-01", "dns-01")
ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
_RANGE: Final = re.compile(r"([0-9]{3})(?:-([0-9]{3}))?")
_PLACE: Final = re.compile(r"\{([^{}]*)\}")


def _quote(text: str) -> str:
    return '"' + text.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'


def _text(value: object, example: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f'must be a string such as "{example}", not {toml_type(value)}')
    return value


def _reader(example: str, read: Callable[[str], T]) -> Callable[[object], T]:
    return lambda value: read(_text(value, example))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {toml_type(value)}")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"must be an integer, not {toml_type(value)}")
    return value


def _workers(value: object) -> int:
    """A number; 0 stands for "auto"."""
    if value == "auto":
        return 0
    if isinstance(value, str):
        raise ValueError(f'"{value}" is no number of workers: write "auto" or an integer')
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f'must be an integer or "auto", not {toml_type(value)}')
    count = value
    if count < 1:
        raise ValueError(f'{count} is too few: write "auto" or at least 1')
    return count


def _path(text: str) -> str:
    if not text:
        raise ValueError("is empty: name a file or folder")
    return _optional_path(text)


def _optional_path(text: str) -> str:
    if "\0" in text:
        raise ValueError(f"{_quote(text)} holds a NUL character")
    return text


def _hook(text: str) -> str:
    if text.endswith(".py") and "\0" not in text:
        return text
    if not _MODULE.fullmatch(text):
        raise ValueError(f'{_quote(text)} is neither a file ending in ".py" nor a module name')
    return text


def _account(text: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise ValueError(f"{_quote(text)} is no user or group name")
    return text


def _balance(text: str) -> str:
    if text.startswith("consistent(") and text.endswith(")"):
        _key(text[len("consistent(") : -1])
    elif text not in BALANCES[:-1]:
        raise ValueError(f"{_quote(text)} is no way to balance: use {_listed(BALANCES)}")
    return text


def _key(text: str) -> str:
    kind, _, name = text.partition(":")
    if text not in ("client", "path", "host") and not (
        kind in ("header", "cookie") and _NAME.fullmatch(name)
    ):
        known = '"client", "path", "host", "header:NAME" or "cookie:NAME"'
        raise ValueError(f"{_quote(text)} is nothing of a request: use {known}")
    return text


def _part(text: str) -> float:
    if not _PERCENT.fullmatch(text):
        raise ValueError(f'{_quote(text)} is no part: write it like "50%"')
    return float(text[:-1]) / 100


def _status_range(text: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(text)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 100 <= low <= high <= 599:
        raise ValueError(f'{_quote(text)} is no status: write "200" or "200-399"')
    return low, high


def _pattern(text: str) -> str:
    if "://" in text:
        rest = text.split("://", 1)[1]
        raise ValueError(f'"{text}" is a URL: drop the scheme and write "{rest}"')
    return canonical(text)


def _target(text: str) -> str:
    if not _TARGET.fullmatch(text):
        raise ValueError(f"{_quote(text)} is no URL: spaces and non-ASCII are written as %XX")
    for place in _PLACE.findall(text):
        if place not in PLACES:
            known = ", ".join(f"{{{name}}}" for name in PLACES)
            raise ValueError(f"{_quote(text)} has the unknown place {{{place}}}: use {known}")
    if not text.startswith(("http://", "https://", "/", "{uri}", "{path}")):
        raise ValueError(f'{_quote(text)} must begin with "https://", "http://" or "/"')
    return text


def _redirect_status(value: object) -> int:
    status = _count(value)
    if status not in REDIRECT_STATUSES:
        listed = ", ".join(map(str, REDIRECT_STATUSES))
        raise ValueError(f"{status} is no redirect: use one of {listed}")
    return status


def _target_path(text: str) -> str:
    if not text.startswith("/") or not _TARGET.fullmatch(text) or "#" in text:
        raise ValueError(f'{_quote(text)} is no path to ask for: write it like "/health?deep=1"')
    return text


def _prefix(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError(f'{_quote(text)} is no path: write it like "/api"')
    return text


def _expression(text: str) -> str:
    if not text:
        raise ValueError('is empty: write a regular expression such as "^/old/(.*)"')
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{_quote(text)} is no regular expression: {error}") from None
    return text


def _user(text: str) -> tuple[str, str]:
    name, colon, hash_ = text.partition(":")
    if not colon or not name or not _HASH.fullmatch(hash_):
        # The text is not shown: it may be a password that somebody forgot to hash.
        raise ValueError('is no user: write "NAME:HASH", as "htpasswd -nB NAME" prints it')
    return name, hash_


def _realm(text: str) -> str:
    if not _REALM.fullmatch(text):
        raise ValueError(f"{_quote(text)} is no realm: use visible ASCII without quotes")
    return text


def _origin(text: str) -> str:
    if text != "*" and not _ORIGIN.fullmatch(text):
        raise ValueError(f'{_quote(text)} is no origin: write it like "https://app.example.com"')
    return text


def _token(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{_quote(text)} is no token: use letters, digits and hyphens")
    return text


def _keys(text: str) -> str:
    if text.startswith("http://") and not text.startswith(("http://127.0.0.1", "http://localhost")):
        raise ValueError(f"{_quote(text)} is not protected on its way: use https")
    if not text.startswith(("http://", "https://")):
        return _path(text)
    return _target(text)


def _directory(text: str) -> str:
    if not text.startswith("https://"):
        raise ValueError(f'{_quote(text)} is no directory of a CA: it begins with "https://"')
    return _target(text)


def _service(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError(f'{_quote(text)} is no URL: it begins with "http://" or "https://"')
    return _target(text)


def _binding(text: str) -> tuple[str, str]:
    kid, colon, key = text.partition(":")
    if not colon or not kid or not _BASE64.fullmatch(key):
        # The text is not shown: it is a secret.
        raise ValueError('is no account: write "KEY-ID:HMAC-KEY", as the CA shows them')
    return kid, key


def _choice(what: str, words: tuple[str, ...]) -> Callable[[str], str]:
    """Reads one of some words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"{_quote(text)} is no {what}: use {_listed(words)}")
        return text

    return read


def _file_name(text: str) -> str:
    if not text or "/" in text or "\0" in text or text.startswith("."):
        raise ValueError(f'{_quote(text)} is no name of a file to serve: write "index.html"')
    return text


def _listed(words: Iterable[str]) -> str:
    return " or ".join(f'"{word}"' for word in words)


def _as_string(value: object) -> str:
    return f'"{value}"'


def _textual(name: str, example: str, read: Callable[[str], str]) -> Kind:
    return Kind(name=name, example=f'"{example}"', read=_reader(example, read), show=_as_string)


# Kinds that are no text

FLAG: Final = Kind(
    name="boolean", example="true", read=_flag, show=lambda value: str(value).lower()
)
COUNT: Final = Kind(name="integer", example="10", read=_count, show=str)
DURATION: Final = Kind(
    name="duration",
    example='"15s"',
    read=units.parse_duration,
    show=lambda value: f'"{units.show_duration(value)}"' if value else "0",
)
SIZE: Final = Kind(
    name="size",
    example='"16KiB"',
    read=units.parse_size,
    show=lambda value: f'"{units.show_size(value)}"' if value else "0",
)
WORKERS: Final = Kind(
    name='integer or "auto"',
    example='"auto"',
    read=_workers,
    show=lambda value: str(value or '"auto"'),
)
REDIRECT_STATUS: Final = Kind(name="status", example="308", read=_redirect_status, show=str)
FIELD_VALUE: Final = Kind(
    name="header value", example='"no-store"', read=read_field_value, show=_as_string
)

PART: Final = Kind(
    name="part",
    example='"50%"',
    read=_reader("50%", _part),
    show=lambda value: f'"{value * 100:g}%"',
)
STATUS_RANGE: Final = Kind(
    name="status or range",
    example='"200-399"',
    read=_reader("200-399", _status_range),
    show=lambda value: f'"{value[0]}-{value[1]}"',
)

# Kinds that are text

TEXT: Final = _textual("string", "text", str)
LISTENER: Final = _textual("address", ":8080", address.parse_listener)
PEER: Final = _textual("peer", "127.0.0.1:9000", address.parse_peer)
NAMESERVER: Final = _textual("address", "127.0.0.1:53", address.parse_nameserver)
NETWORK: Final = _textual("network", "10.0.0.0/8", address.parse_network)
AUTHORITY: Final = _textual("host", "app.internal", address.parse_authority)
PATH: Final = _textual("path", "run", _path)
OPTIONAL_PATH: Final = _textual("path", "run/access.log", _optional_path)
HOOK: Final = _textual("file or module", "hooks.py", _hook)
ACCOUNT: Final = _textual("name", "edged", _account)
PATTERN: Final = _textual("pattern", "example.com/api/*", _pattern)
KEY: Final = _textual("key", "header:X-User", _key)
BALANCE: Final = _textual("choice", "least_conn", _balance)
HEALTH_PATH: Final = _textual("path", "/health", lambda text: _target_path(text) if text else "")
TARGET: Final = _textual("URL", "https://www.example.com{uri}", _target)
PREFIX: Final = _textual("path", "/api", _prefix)
EXPRESSION: Final = _textual("regular expression", "^/old/(.*)", _expression)
USER: Final = Kind(
    name="user",
    example=f'"{_USER}"',
    read=_reader(_USER, _user),
    show=lambda value: f'"{value[0]}:…"',
)
REALM: Final = _textual("text", "restricted", _realm)
OPTIONAL_EXPRESSION: Final = _textual(
    "regular expression", "^/assets/", lambda text: _expression(text) if text else ""
)
FILE_NAME: Final = _textual("file name", "index.html", _file_name)
ORIGIN: Final = _textual("origin", "https://app.example.com", _origin)
TOKEN_NAME: Final = _textual("token", "X-User", _token)
ALGORITHM: Final = _textual("choice", "ES256", _choice("algorithm for public keys", ALGORITHMS))
KEYS: Final = _textual("URL or path", "https://id.example.com/jwks.json", _keys)
SERVICE: Final = _textual("URL", "http://127.0.0.1:5555/allowed", _service)
DIRECTORY: Final = _textual("URL", "https://ca.internal/directory", _directory)
KEY_TYPE: Final = _textual("choice", "p256", _choice("kind of key", KEY_TYPES))
CHALLENGE: Final = _textual("choice", "dns-01", _choice("challenge", CHALLENGES))
BINDING: Final = Kind(
    name="account",
    example='"key-1:c2VjcmV0LXNlY3JldA"',
    read=_reader("key-1:c2VjcmV0LXNlY3JldA", _binding),
    show=lambda value: f'"{value[0]}:…"',
)
TLS_MODE: Final = _textual("choice", "auto", _choice("mode", TLS_MODES))
SAME_SITE: Final = _textual("choice", "Lax", _choice("SameSite", ("Lax", "Strict", "None")))
FIELD_NAME: Final = _textual("header name", "Server", read_name)
