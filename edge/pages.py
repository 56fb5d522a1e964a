"""The answers that the edge makes by itself: the only place where a reason becomes a status."""

import json
from collections.abc import Callable, Sequence
from html import escape
from typing import Final, NamedTuple

from edge.errors import EdgeError, Reason
from edge.message import Response

TEXT: Final = "text/plain"
HTML: Final = "text/html"
PROBLEM: Final = "application/problem+json"
"""The forms in which a page can be had."""

STATUS: Final[dict[Reason, int]] = {
    Reason.BAD_REQUEST: 400,
    Reason.PLAIN_HTTP: 400,
    Reason.MISDIRECTED: 421,
    Reason.CLIENT_CERTIFICATE: 403,
    Reason.HEAD_TIMEOUT: 408,
    Reason.HEAD_TOO_LARGE: 431,
    Reason.TARGET_TOO_LONG: 414,
    Reason.BODY_TIMEOUT: 408,
    Reason.BODY_TOO_LARGE: 413,
    Reason.METHOD_REFUSED: 405,
    Reason.TRANSFER_CODING: 501,
    Reason.VERSION: 505,
    Reason.EXPECTATION: 417,
    Reason.CLIENT_GONE: 499,
    Reason.CLIENT_STALLED: 499,
    Reason.NO_ROUTE: 404,
    Reason.RATE_LIMITED: 429,
    Reason.CONCURRENCY: 429,
    Reason.DENIED: 403,
    Reason.BANNED: 403,
    Reason.UNAUTHORIZED: 401,
    Reason.NO_FILE: 404,
    Reason.MAINTENANCE: 503,
    Reason.PAUSED: 503,
    Reason.AUTH_FAILED: 502,
    Reason.NO_PEER: 503,
    Reason.CIRCUIT_OPEN: 503,
    Reason.QUEUE_FULL: 503,
    Reason.QUEUE_TIMEOUT: 504,
    Reason.CONNECT_REFUSED: 502,
    Reason.CONNECT_FAILED: 502,
    Reason.CONNECT_TIMEOUT: 504,
    Reason.TLS_FAILED: 502,
    Reason.TIMEOUT: 504,
    Reason.UPSTREAM_CLOSED: 502,
    Reason.BAD_RESPONSE: 502,
    Reason.RESPONSE_CUT: 502,
    Reason.STREAM_IDLE: 504,
    Reason.HOOK_ERROR: 500,
    Reason.HOOK_ABORT: 499,
    Reason.DRAINED: 503,
    Reason.INTERNAL: 500,
}
"""499 (nginx's "client closed request") is logged and never sent."""

PHRASES: Final[dict[int, bytes]] = {
    100: b"Continue", 101: b"Switching Protocols", 103: b"Early Hints",
    200: b"OK", 201: b"Created", 202: b"Accepted", 204: b"No Content", 206: b"Partial Content",
    301: b"Moved Permanently", 302: b"Found", 303: b"See Other", 304: b"Not Modified",
    307: b"Temporary Redirect", 308: b"Permanent Redirect",
    400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found",
    405: b"Method Not Allowed", 406: b"Not Acceptable", 408: b"Request Timeout", 409: b"Conflict",
    410: b"Gone", 411: b"Length Required", 412: b"Precondition Failed", 413: b"Content Too Large",
    414: b"URI Too Long", 415: b"Unsupported Media Type", 416: b"Range Not Satisfiable",
    417: b"Expectation Failed", 421: b"Misdirected Request", 422: b"Unprocessable Content",
    426: b"Upgrade Required", 428: b"Precondition Required", 429: b"Too Many Requests",
    431: b"Request Header Fields Too Large", 451: b"Unavailable For Legal Reasons",
    500: b"Internal Server Error", 501: b"Not Implemented", 502: b"Bad Gateway",
    503: b"Service Unavailable", 504: b"Gateway Timeout", 505: b"HTTP Version Not Supported",
}  # fmt: skip


def page(error: EdgeError, exchange_id: str, form: str = TEXT) -> Response:
    """The answer for an error: its reason in `X-Edge-Error`, never its detail."""
    status = STATUS[error.reason]
    facts = Facts(status, error.reason.value, exchange_id, error.message)
    fields = [("X-Edge-Error", error.reason.value), *error.fields]
    if error.reason is Reason.METHOD_REFUSED and not error.fields:
        fields.append(("Allow", "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS"))
    return answer_of(facts, form, _MADE[form](facts), fields)


class Facts(NamedTuple):
    """What a page of an error can say."""

    status: int
    reason: str  # "" for a peer's own error
    request: str  # its id
    message: str = ""

    @property
    def phrase(self) -> str:
        """What the status means."""
        return PHRASES.get(self.status, b"Error").decode()


def answer_of(
    facts: Facts, form: str, body: str, fields: Sequence[tuple[str, str]] = ()
) -> Response:
    """The answer with a page of that media type."""
    kind = form if form == PROBLEM else f"{form}; charset=utf-8"
    return Response(
        facts.status,
        body,
        [
            ("Content-Type", kind),
            ("X-Request-Id", facts.request),
            ("Cache-Control", "no-store"),
            ("Vary", "Accept"),
            *fields,
        ],
    )


# Private


def _text(facts: Facts) -> str:
    lines = [f"{facts.status} {facts.phrase}"]
    if facts.message:
        lines.append(facts.message)
    if facts.reason:
        lines.append(f"reason: {facts.reason}")
    return "\n".join([*lines, f"request: {facts.request}", ""])


def _problem(facts: Facts) -> str:
    """Problem details (RFC 9457); the type is the status's own."""
    document = {"type": "about:blank", "title": facts.phrase, "status": facts.status}
    if facts.message:
        document["detail"] = facts.message
    if facts.reason:
        document["reason"] = facts.reason
    return json.dumps(document | {"request": facts.request}) + "\n"


def _html(facts: Facts) -> str:
    lines = [f"<p>{escape(facts.message)}</p>\n"] if facts.message else []
    reason = f"{escape(facts.reason)} · " if facts.reason else ""
    title = f"{facts.status} {facts.phrase}"
    return _PAGE % {
        "title": title,
        "message": "".join(lines),
        "small": f"{reason}{escape(facts.request)}",
    }


_MADE: Final[dict[str, Callable[[Facts], str]]] = {TEXT: _text, PROBLEM: _problem, HTML: _html}

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%(title)s</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; margin: 20vh auto 0; max-width: 34rem }
h1 { font-size: 1.5rem; font-weight: 600 }
small { opacity: .6 }
</style>
<h1>%(title)s</h1>
%(message)s<small>%(small)s</small>
</html>
"""
