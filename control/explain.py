"""What would happen to a request, found out with the worker's own parts and without sending it.

The head goes through the worker's parser, the lookup through the worker's table, what a peer would
get through the worker's rewriting. Only the user's hooks are not run: they may have effects.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import urlsplit

import gevent

from control.hookcheck import HookInfo
from control.refusal import Refused
from edge.builtin.order import Platform
from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.forwarding import Forwarding
from edge.headers import Headers
from edge.hooks import Chains, phases_of
from edge.http1.parse import parse_request
from edge.message import Peer, Request
from edge.pages import STATUS
from edge.phases import BUILTIN_FIRST, Phase
from edge.rewrite import apply_rules, fill, networks, upstream_path, with_host
from edge.table.model import Balancing, Route
from edge.table.reader import Table, TableError, TableReader

CLIENT: Final = "192.0.2.1"
EXCHANGE_ID: Final = "(new)"

Fields = Sequence[tuple[str, str]]


class Explainer:
    """Answers `edgectl explain` from the table that is published."""

    def __init__(self, table_path: str) -> None:
        self._reader = TableReader(table_path)
        self._table: Table | None = None

    def __repr__(self) -> str:
        return f"<Explainer {self._table!r}>"

    def table(self, generation: int) -> Table:
        """The published table, read like a worker reads it. Raises `Refused`."""
        try:
            if self._table is None:
                self._table = self._reader.read(_pause)
            elif self._table.generation < generation:
                self._table = self._reader.refresh(self._table, generation, _pause)
        except TableError as error:
            raise Refused("table-unreadable", f"{error}.") from None
        return self._table

    def forget(self) -> None:
        """Let go of the memory; the next question reads the table again."""
        self._table = None


def explain(
    table: Table, hooks: Sequence[HookInfo], method: str, url: str, fields: Fields, client: str
) -> dict[str, Any]:
    """The document of `GET /v1/explain`. Raises `Refused` for a URL that is none."""
    head = _head(method, url, fields)
    settings = table.settings
    try:
        request = parse_request(head, settings.limits, underscores=settings.underscore_headers)
    except EdgeError as error:
        return {"method": method, "url": url, "answer": _refusal(error)}
    if request is None:
        raise Refused("bad-url", "That makes no complete request head.")
    candidates = table.candidates(request.host, request.path)
    route = table.find(request.host, request.path)
    document: dict[str, Any] = {
        "method": request.method,
        "url": url,
        "target": request.target,
        "host": request.host,
        "path": request.path,
        "generation": table.generation,
        "route": None if route is None else _described(route),
        "candidates": [
            {"pattern": c.pattern, "owner": c.value.owner, "chosen": c.chosen, "why": c.why}
            for c in candidates
        ],
        "hooks": _hooks_by_phase(table, hooks, route),
        "answer": _own_answer(request, route),
    }
    if route is not None and route.upstreams:
        document |= _upstream(table, request, route, client)
    if route is not None and route.response_headers is not None:
        document["response_headers"] = asdict(route.response_headers)
    return document


# Private


def _pause() -> None:
    gevent.sleep(0)


def _head(method: str, url: str, fields: Fields) -> bytes:
    """The request head that a client would send for it; a bad one is the parser's to refuse."""
    try:
        parts = urlsplit(url if "://" in url or url.startswith("/") else f"http://{url}")
    except ValueError as error:
        raise Refused("bad-url", f"{url!r} is no URL: {error}.") from None
    if parts.scheme not in ("http", "https", ""):
        raise Refused("bad-url", f"{url!r} is neither http nor https.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{name}: {value}" for name, value in fields]
    if parts.netloc and not any(name.lower() == "host" for name, _ in fields):
        lines.insert(0, f"Host: {_ascii_host(parts.netloc)}")
    text = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""])
    return text.encode("utf-8", "surrogateescape")


def _ascii_host(authority: str) -> str:
    """Browsers send names of other scripts in their ASCII form."""
    if authority.isascii():
        return authority
    host, colon, port = authority.rpartition(":")
    name = host if colon else authority
    try:
        return name.encode("idna").decode("ascii") + (colon + port if colon else "")
    except UnicodeError as error:
        raise Refused("bad-url", f"{name!r} is no host name: {error}.") from None


def _refusal(error: EdgeError) -> dict[str, Any]:
    return {
        "kind": "error",
        "status": STATUS[error.reason],
        "reason": error.reason.value,
        "why": error.detail,
    }


def _own_answer(request: Request, route: Route | None) -> dict[str, Any] | None:
    """What the edge answers by itself; None when a peer answers."""
    if route is None:
        return _refusal(EdgeError(Reason.NO_ROUTE, "no route matches"))
    if route.redirect is not None:
        location = fill(route.redirect.to, request)
        return {"kind": "redirect", "status": route.redirect.status, "location": location}
    if route.respond is not None:
        return {"kind": "fixed", **asdict(route.respond)}
    if route.files is not None:
        return {"kind": "files", **asdict(route.files)}
    if not route.upstreams:
        names = ", ".join(found.name for found in route.names)
        return _refusal(EdgeError(Reason.NO_PEER, f"not resolved yet: {names}"))
    return None


def _described(route: Route) -> dict[str, Any]:
    return {name: part for name, part in asdict(route).items() if part not in (None, "", ())}


def _hooks_by_phase(
    table: Table, hooks: Sequence[HookInfo], route: Route | None
) -> dict[str, list[str]]:
    """The chain, phase by phase, as a worker compiles it."""
    platform = Platform(table)
    platform.follow(table.settings)
    applying = [hook for hook in platform.hooks if hook.applies_to(route)]
    phases: dict[str, list[str]] = {}
    for phase in Phase:
        own = [f"edge.{type(hook).__name__}" for hook in applying if phase in phases_of(hook)]
        theirs = [hook.name for hook in hooks if phase.value in hook.phases]
        names = [*own, *theirs] if phase in BUILTIN_FIRST else [*theirs, *own]
        if names:
            phases[phase.value] = names
    return phases


def _upstream(table: Table, request: Request, route: Route, client: str) -> dict[str, Any]:
    """The peers, and what the first of them would get."""
    try:
        trusted = networks(table.settings.trusted_proxies)
        forwarding = Forwarding(client, trusted, b"\r\nVia: 1.1 edged")
    except (ValueError, UnicodeError):
        raise Refused("bad-client", f"{client!r} is no address.") from None
    before = Headers(request.block).items()
    exchange = Exchange(
        EXCHANGE_ID, request, forwarding.client_of(request), 0.0, Chains([], []).base()
    )
    exchange.route = route
    exchange.peer = Peer(route.upstreams[0])
    block = forwarding.upstream_fields(exchange)
    if route.upstream_host:
        block = with_host(block, route.upstream_host)
    headers = Headers(block)
    if route.request_headers is not None:
        apply_rules(headers, route.request_headers)
    after = headers.items()
    return {
        "client": exchange.client.address,
        "peers": list(route.upstreams),
        "balance": (route.balancing or Balancing()).policy,
        "attempts": table.settings.limits.attempts,
        "upstream_target": upstream_path(route.path, request.target),
        "headers_added": [list(field) for field in after if field not in before],
        "headers_removed": [list(field) for field in before if field not in after],
    }
