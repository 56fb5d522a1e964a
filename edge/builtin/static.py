"""Static files: what a route with a `root` answers."""

import contextlib
import functools
import mimetypes
import os
import re
import secrets
from dataclasses import replace
from typing import Final

from edge.connection import monotonic
from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.message import FileBody, Response
from edge.static.cache import LARGEST, LASTS_S, Cache, Entry, Key
from edge.static.conditional import Outcome, date_of, etag_of, evaluate, range_holds
from edge.static.encoding import accepted
from edge.static.ranges import Span, Unsatisfiable, parse_range
from edge.static.resolve import Folder, IsFolder, NotServed, Opened, names_of, walk
from edge.table.model import Files, Route

IMMUTABLE: Final = "public, max-age=31536000, immutable"
METHODS: Final = ("GET", "HEAD")

Fields = list[tuple[str, str]]


class Static(Hook):
    """Answers with a file beneath the route's root."""

    def __init__(self) -> None:
        self._cache = Cache()

    def applies_to(self, route: Route | None) -> bool:
        """Routes that have a root."""
        return route is not None and route.files is not None

    def request_filter(self, exchange: Exchange) -> Response | None:
        """The file. Raises `EdgeError`: 404 `no-file`, 405 `method-refused`."""
        route, request = exchange.route, exchange.request
        if route is None or route.files is None:
            return None
        files = route.files
        if request.method not in METHODS:
            _refuse_method(files)
            return None
        path = _path_of(route, request.path)
        headers = request.headers
        accepts = headers.get("accept-encoding") if files.precompressed else ""
        key = (route.pattern, path, accepts)
        if not headers.has_any(_SPECIAL):
            entry = self._cache.find(key, files, monotonic())
            if entry is not None:
                return Response.prepared(200, entry.block, entry.data)
        try:
            return self._answer(exchange, files, path, key)
        except IsFolder:
            return None if files.beside else _to_folder(request.target)
        except NotServed as reason:
            return self._instead(exchange, files, key, reason)

    # Private

    def _instead(
        self, exchange: Exchange, files: Files, key: Key, reason: NotServed
    ) -> Response | None:
        """What is sent when there is no such file."""
        if _is_immutable(files.immutable, key[1]):
            for root in files.former:  # of a release whose pages may be open yet
                with contextlib.suppress(IsFolder, NotServed):
                    return self._answer(exchange, replace(files, root=root), key[1], key)
        if files.beside:
            return None
        if not files.fallback or "html" not in exchange.request.headers.get("accept", "html"):
            raise EdgeError(Reason.NO_FILE, str(reason)) from None
        try:
            return self._answer(exchange, files, "/" + files.fallback, key)
        except (IsFolder, NotServed) as why:
            raise EdgeError(Reason.NO_FILE, f"fallback: {why}") from None

    def _answer(self, exchange: Exchange, files: Files, path: str, key: Key) -> Response:
        names = names_of(path)
        name = names.pop() if names and not path.endswith("/") else files.index
        with walk(files.root, names) as folder:
            opened, coding = _opened(folder, name, key[2])
        response = _represent(exchange, files, opened, coding, path)
        if response.status == 200 and opened.size <= LARGEST:
            place = os.path.join(files.root, *names, opened.name)
            data = os.pread(opened.file.fileno(), opened.size, 0)
            if len(data) == opened.size:
                until = monotonic() + LASTS_S
                entry = Entry(place, opened.identity, files, response.block, data, until)
                self._cache.keep(key, entry)
        return response


# Private


_SPECIAL: Final = (b"\r\nif-", b"\r\nrange:")
"""A request without these gets the whole file."""


def _refuse_method(files: Files) -> None:
    """Raises `EdgeError` (405 `method-refused`), unless the peers may know what to do."""
    if not files.beside:
        fields = (("Allow", ", ".join(METHODS)),)
        raise EdgeError(Reason.METHOD_REFUSED, "a file", fields=fields)


def _path_of(route: Route, path: str) -> str:
    prefix = route.path.strip_prefix.rstrip("/") if route.path is not None else ""
    if prefix and (path == prefix or path.startswith(prefix + "/")):
        return path[len(prefix) :] or "/"
    return path


def _to_folder(target: str) -> Response:
    """A folder's path ends with a slash, so that its pages' relative links are right."""
    path, mark, query = target.partition("?")
    # One slash in front: with two, a browser takes the next segment for a host.
    return Response(308, b"", [("Location", f"/{path.strip('/')}/{mark}{query}")])


def _represent(
    exchange: Exchange, files: Files, opened: Opened, coding: str, path: str
) -> Response:
    get = exchange.request.headers.get
    etag = etag_of(opened.size, opened.mtime_ns, coding)
    fields: Fields = [("ETag", etag), ("Last-Modified", date_of(opened.mtime_ns))]
    if files.precompressed:
        fields.append(("Vary", "Accept-Encoding"))
    if _is_immutable(files.immutable, path):
        fields.append(("Cache-Control", IMMUTABLE))
    elif files.cache_control:
        fields.append(("Cache-Control", files.cache_control))
    outcome = evaluate(get, etag, opened.mtime_ns)
    if outcome is Outcome.NOT_MODIFIED:
        return Response(304, b"", fields)
    if outcome is Outcome.FAILED:
        return Response(412, b"", fields)
    if coding:
        fields.append(("Content-Encoding", coding))
    kind = _type_of(path if not path.endswith("/") else files.index)
    fields += [("Accept-Ranges", "bytes"), ("X-Content-Type-Options", "nosniff")]
    wanted = get("range") if exchange.request.method == "GET" else ""
    if wanted and range_holds(get, etag, opened.mtime_ns):
        return _part(opened, wanted, kind, fields)
    return _whole(opened, kind, fields)


def _opened(folder: Folder, name: str, accepts: str) -> tuple[Opened, str]:
    """The file, or the best precompressed one beside it that the client takes."""
    for coding, suffix in accepted(accepts):
        try:
            return folder.open(name + suffix), coding
        except (NotServed, IsFolder):
            continue
    return folder.open(name), ""


def _whole(opened: Opened, kind: str, fields: Fields) -> Response:
    response = Response(200, b"", [("Content-Type", kind), *fields])
    response.file = FileBody(opened.file, ((b"", 0, opened.size),))
    return response


def _part(opened: Opened, wanted: str, kind: str, fields: Fields) -> Response:
    size = opened.size
    try:
        spans = parse_range(wanted, size)
    except Unsatisfiable:
        return Response(416, b"", [("Content-Range", f"bytes */{size}"), *fields])
    if not spans:
        return _whole(opened, kind, fields)
    if len(spans) == 1:
        first, last = spans[0]
        shown = ("Content-Range", f"bytes {first}-{last}/{size}")
        response = Response(206, b"", [("Content-Type", kind), shown, *fields])
        response.file = FileBody(opened.file, ((b"", first, last - first + 1),))
        return response
    return _parts(opened, spans, kind, fields)


def _parts(opened: Opened, spans: list[Span], kind: str, fields: Fields) -> Response:
    """Several ranges in one answer (RFC 9110 section 14.6)."""
    boundary = secrets.token_hex(12)
    pieces = []
    for number, (first, last) in enumerate(spans):
        head = (
            f"{'' if number == 0 else chr(13) + chr(10)}--{boundary}\r\nContent-Type: {kind}\r\n"
            f"Content-Range: bytes {first}-{last}/{opened.size}\r\n\r\n"
        )
        pieces.append((head.encode("latin-1"), first, last - first + 1))
    pieces.append((f"\r\n--{boundary}--\r\n".encode("latin-1"), 0, 0))
    response = Response(
        206, b"", [("Content-Type", f"multipart/byteranges; boundary={boundary}"), *fields]
    )
    response.file = FileBody(opened.file, tuple(pieces))
    return response


_TYPES: Final = mimetypes.MimeTypes()
for _extension, _kind in {
    ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm",
    ".webp": "image/webp", ".avif": "image/avif", ".woff2": "font/woff2", ".woff": "font/woff",
    ".webmanifest": "application/manifest+json", ".map": "application/json",
    ".md": "text/markdown", ".svg": "image/svg+xml", ".ico": "image/x-icon",
}.items():  # fmt: skip
    _TYPES.add_type(_kind, _extension)


@functools.lru_cache(maxsize=4096)
def _type_of(name: str) -> str:
    name = name.rpartition("/")[2]
    kind, coding = _TYPES.guess_type("x" + name[name.rfind(".") :] if "." in name else "x")
    if coding:  # a .gz that is asked for by its own name
        return "application/gzip" if coding == "gzip" else "application/octet-stream"
    kind = kind or "application/octet-stream"
    is_text = kind.startswith("text/") or kind in ("application/json", "image/svg+xml")
    return f"{kind}; charset=utf-8" if is_text else kind


@functools.lru_cache(maxsize=4096)
def _is_immutable(pattern: str, path: str) -> bool:
    return bool(pattern) and re.search(pattern, path) is not None
