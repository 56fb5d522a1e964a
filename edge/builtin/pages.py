"""Error pages: in the form that a client takes, and from a person's own files."""

import functools
import json
import logging
import os
from html import escape
from typing import Final

from edge.errors import EdgeError
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.message import Response
from edge.pages import HTML, PROBLEM, STATUS, TEXT, Facts, answer_of, page
from edge.table.model import Route

log = logging.getLogger("edge.pages")

PAGE_BYTES: Final = 1 << 18
FORMS: Final = {".html": HTML, ".htm": HTML, ".json": PROBLEM, ".txt": TEXT}
_MOST_RANGES: Final = 32
_MOST_BYTES: Final = 1024
_KEPT: Final = ("WWW-Authenticate", "Retry-After", "Allow")
"""Fields of a peer's error that mean something without its page."""

Pages = tuple[tuple[str, str], ...]


class ErrorPages(Hook):
    """Answers errors, a peer's own too where a route says so."""

    def __init__(self) -> None:
        self.pages: Pages = ()  # of the settings
        self._files: dict[str, _File] = {}

    def fail_to_proxy(self, exchange: Exchange, error: EdgeError) -> Response | None:
        """The page: the route's, the server's, or edged's own."""
        form = form_for(exchange.request.headers.get("accept"))
        status = STATUS[error.reason]
        facts = Facts(status, error.reason.value, exchange.id, error.message)
        fields = [("X-Edge-Error", error.reason.value), *error.fields]
        made = self._own(exchange, facts, form, fields)
        return made or page(error, exchange.id, form)

    def for_peer(self, exchange: Exchange) -> Response | None:
        """The page for a peer's own error, where there is one."""
        response = exchange.response
        if response is None or response.status < 400:
            return None
        form = form_for(exchange.request.headers.get("accept"))
        facts = Facts(response.status, "", exchange.id)
        fields = [
            (name, value) for name in _KEPT if (value := response.headers.get(name))
        ]  # fmt: skip
        return self._own(exchange, facts, form, fields)

    # Private

    def _own(
        self, exchange: Exchange, facts: Facts, form: str, fields: list[tuple[str, str]]
    ) -> Response | None:
        """The page of a file, if there is one that the client takes."""
        route = exchange.route
        pages = (*(route.error_pages if route is not None else ()), *self.pages)
        path = _page_for(pages, facts.status)
        if not path or FORMS.get(os.path.splitext(path)[1], HTML) != form:
            return None
        text = self._text(path)
        return None if text is None else answer_of(facts, form, _filled(text, facts, form), fields)

    def _text(self, path: str) -> str | None:
        """What the file holds now; None, and a line in the log, when it cannot be read."""
        known = self._files.get(path)
        try:
            found = os.stat(path)
            state = (found.st_mtime_ns, found.st_size, found.st_ino)
            if known is None or known.state != state:
                with open(path, encoding="utf-8") as file:
                    text = file.read(PAGE_BYTES + 1)
                if len(text) > PAGE_BYTES:
                    raise ValueError(f"it has more than {PAGE_BYTES} bytes")
                known = self._files[path] = _File(state, text)
        except (OSError, ValueError) as error:
            if known is None or known.text is not None:
                log.error("the error page %s cannot be shown: %s", path, error)
            self._files[path] = _File(None, None)
            return None
        return known.text


class InterceptErrors(Hook):
    """Shows error pages instead of a peer's own errors."""

    def __init__(self, pages: ErrorPages) -> None:
        self._pages = pages

    def applies_to(self, route: Route | None) -> bool:
        """Routes that say so."""
        return route is not None and route.intercept

    def upstream_response_filter(self, exchange: Exchange) -> Response | None:
        """The page, where there is one."""
        return self._pages.for_peer(exchange)


class _File:
    __slots__ = ("state", "text")

    def __init__(self, state: tuple[int, int, int] | None, text: str | None) -> None:
        self.state = state
        self.text = text


@functools.lru_cache(maxsize=1024)
def form_for(accept: str) -> str:
    """The form that a client takes: HTML or problem details where it names them, else text.

    Looks at 32 media ranges (RFC 9110 section 12.5.1) at most, however many there are.
    """
    best, form = 0.0, TEXT
    for part in accept[:_MOST_BYTES].split(",")[:_MOST_RANGES]:
        name, *parameters = part.lower().split(";")
        found = _NAMED.get(name.strip())
        quality = _quality(parameters)
        if found is not None and quality > best:
            best, form = quality, found
    return form


# Private

_NAMED: Final = {
    "text/html": HTML, "application/xhtml+xml": HTML, "text/plain": TEXT,
    "application/json": PROBLEM, "application/problem+json": PROBLEM,
}  # fmt: skip


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def _page_for(pages: Pages, status: int) -> str:
    """The file for a status; one for its very number comes before one for its class."""
    for wanted in (str(status), f"{status // 100}xx"):
        for name, path in pages:
            if name == wanted:
                return path
    return ""


def _filled(text: str, facts: Facts, form: str) -> str:
    quote = escape if form == HTML else _in_json if form == PROBLEM else str
    for name, value in (
        ("status", str(facts.status)),
        ("reason", facts.reason),
        ("request", facts.request),
        ("message", facts.message),
    ):
        text = text.replace(f"{{{name}}}", quote(value))
    return text


def _in_json(value: str) -> str:
    return json.dumps(value)[1:-1]
