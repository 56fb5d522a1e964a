"""Which pattern a host and a path match: by hash, so 100,000 routes take the time of ten.

Patterns are `host`, `*.host` (any depth below it, never itself) and `*` (any host), each with an
optional `/path` or `/path/*`; `/p/*` matches `/p`, `/p/` and `/p/x`, never `/px`. Exact hosts come
before wildcards, longer wildcard suffixes before shorter, then longer paths before shorter, then
exact paths before prefixes. A host whose paths do not fit leaves the request to the wildcards.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import idna

from edge.table.path import canonical_host, normalize

T = TypeVar("T")


class PatternError(ValueError):
    """A pattern that cannot be a route's. The message says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate(Generic[T]):
    """A route whose host fits, for `explain`: whether it was chosen, and why (not)."""

    pattern: str
    value: T
    chosen: bool
    why: str


def canonical(pattern: str) -> str:
    """The one spelling of a pattern. Raises `PatternError`."""
    host, slash, rest = pattern.strip().partition("/")
    return _canonical_host_pattern(pattern, host) + (
        _canonical_path(pattern, rest) if slash else ""
    )


_KNOWN_HOSTS: Final = 4096


class Router(Generic[T]):
    """The patterns of a table. Hosts are looked up canonical, paths normalised."""

    def __init__(self) -> None:
        self._exact: dict[str, _Paths[T]] = {}
        self._wild: dict[str, _Paths[T]] = {}  # by suffix with its dot; "" is any host
        self._known: dict[str, tuple[_Paths[T], ...]] = {}  # what fits hosts asked for lately
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, pattern: str, value: T) -> None:
        """Add a canonical pattern, or replace its value."""
        hosts, host, path = self._place(pattern)
        paths = hosts.get(host)
        if paths is None:
            paths = hosts[host] = _Paths()
            self._known.clear()
        self._count += paths.put(path, value)

    def remove(self, pattern: str) -> None:
        """Take a pattern out; one that is not there is no error."""
        hosts, host, path = self._place(pattern)
        paths = hosts.get(host)
        if paths is not None:
            self._count -= paths.remove(path)
            if not paths.exact and not paths.prefixes:
                del hosts[host]
                self._known.clear()

    def named(self, pattern: str) -> T | None:
        """The value of that very pattern, or None."""
        hosts, host, path = self._place(pattern)
        paths = hosts.get(host)
        return None if paths is None else paths.named(path)

    def find(self, host: str, path: str) -> T | None:
        """The value of the best pattern, or None."""
        fitting = self._known.get(host)
        if fitting is None:
            if len(self._known) >= _KNOWN_HOSTS:
                self._known.clear()
            fitting = tuple(paths for _, paths in self._fitting(host))
            self._known[host] = fitting
        for paths in fitting:
            value = paths.find(path)
            if value is not None:
                return value
        return None

    def candidates(self, host: str, path: str) -> list[Candidate[T]]:
        """Every route whose host fits, best first; the first that matches is chosen."""
        found: list[Candidate[T]] = []
        chosen = False
        for label, paths in self._fitting(host):
            for pattern, value in paths.ordered(label):
                fits = _path_fits(pattern, path)
                why = "chosen" if fits and not chosen else _why_not(pattern, path, fits)
                found.append(
                    Candidate(pattern=pattern, value=value, chosen=fits and not chosen, why=why)
                )
                chosen = chosen or fits
        return found

    # Private

    def _place(self, pattern: str) -> "tuple[dict[str, _Paths[T]], str, str]":
        host, slash, rest = pattern.partition("/")
        path = slash + rest if slash else "/*"
        if host == "*":
            return self._wild, "", path
        if host.startswith("*."):
            return self._wild, host[1:], path
        return self._exact, host, path

    def _fitting(self, host: str) -> "Iterator[tuple[str, _Paths[T]]]":
        if host in self._exact:
            yield host, self._exact[host]
        for suffix in _suffixes(host):
            if suffix in self._wild:
                yield "*" + suffix, self._wild[suffix]


class _Paths(Generic[T]):
    """The paths of one host pattern."""

    __slots__ = ("depth", "exact", "prefixes")

    def __init__(self) -> None:
        self.exact: dict[str, T] = {}
        self.prefixes: dict[str, T] = {}  # "/p" for "/p/*", "" for "/*"
        self.depth = 0  # segments of the longest prefix: a hostile path costs no more

    def put(self, path: str, value: T) -> int:
        kind, key = (self.prefixes, path[:-2]) if path.endswith("/*") else (self.exact, path)
        new = key not in kind
        kind[key] = value
        if kind is self.prefixes:
            self.depth = max(self.depth, key.count("/"))
        return int(new)

    def named(self, path: str) -> T | None:
        kind, key = (self.prefixes, path[:-2]) if path.endswith("/*") else (self.exact, path)
        return kind.get(key)

    def remove(self, path: str) -> int:
        kind, key = (self.prefixes, path[:-2]) if path.endswith("/*") else (self.exact, path)
        return int(kind.pop(key, None) is not None)

    def find(self, path: str) -> T | None:
        if self.exact:
            value = self.exact.get(path)
            if value is not None:
                # "/p/*" matches "/p" too, and is no longer: the exact path comes first.
                return value
        prefixes = self.prefixes
        if self.depth:
            key = _cut(path, self.depth)
            while key:
                value = prefixes.get(key)
                if value is not None:
                    return value
                key = key[: key.rfind("/")]
        return prefixes.get("")

    def ordered(self, label: str) -> list[tuple[str, T]]:
        entries = [(len(p), 0, label + p, v) for p, v in self.exact.items()]
        entries += [(len(p), 1, f"{label}{p}/*", v) for p, v in self.prefixes.items()]
        entries.sort(key=lambda entry: (-entry[0], entry[1], entry[2]))
        return [(_shown(pattern), value) for _, _, pattern, value in entries]


def _cut(path: str, depth: int) -> str:
    """The first `depth` segments of a path, without a trailing slash."""
    end = 0
    for _ in range(depth):
        end = path.find("/", end + 1)
        if end < 0:
            return path.rstrip("/") if path.endswith("/") else path
    return path[:end]


def _suffixes(host: str) -> Iterator[str]:
    """The wildcard suffixes of a host, longest first: ".b.c", ".c", ""."""
    if not host.startswith("["):
        dot = host.find(".")
        while dot >= 0:
            yield host[dot:]
            dot = host.find(".", dot + 1)
    yield ""


def _shown(pattern: str) -> str:
    host, _, path = pattern.partition("/")
    return host if path == "*" else pattern


def _path_fits(pattern: str, path: str) -> bool:
    _, slash, rest = pattern.partition("/")
    if not slash:
        return True
    own = slash + rest
    if own.endswith("/*"):
        prefix = own[:-2]
        return path == prefix or path.startswith(prefix + "/")
    return path == own


def _why_not(pattern: str, path: str, fits: bool) -> str:
    return "a more specific route was chosen" if fits else f"its path does not match {path}"


def _canonical_host_pattern(pattern: str, host: str) -> str:
    if host == "*":
        return host
    wild = host.startswith("*.")
    name = host[2:] if wild else host
    if not name or "*" in name:
        raise PatternError(f"{pattern!r}: the host is a name, *.name or *")
    try:
        if not name.isascii():
            name = idna.encode(name, uts46=True).decode("ascii")
        name = canonical_host(name)
    except (ValueError, UnicodeError) as error:
        raise PatternError(f"{pattern!r}: {error}") from None
    if wild and name.startswith("["):
        raise PatternError(f"{pattern!r}: an address has no names below it")
    return ("*." if wild else "") + name


def _canonical_path(pattern: str, rest: str) -> str:
    path = "/" + rest
    if path == "/*":
        return ""
    prefix = path.endswith("/*")
    own = path[:-2] if prefix else path
    if "*" in own or "?" in own or "#" in own:
        raise PatternError(f"{pattern!r}: a path may end in /* and hold no other *, ? or #")
    try:
        own = normalize(own.encode())
    except ValueError as error:
        raise PatternError(f"{pattern!r}: {error}") from None
    return own.rstrip("/") + "/*" if prefix else own
