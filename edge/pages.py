"""The answers that the edge makes by itself: the only place where a reason becomes a status."""

from typing import Final

from edge.errors import EdgeError, Reason
from edge.message import Response

STATUS: Final[dict[Reason, int]] = {
    Reason.BAD_REQUEST: 400,
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
    Reason.DENIED: 403,
    Reason.UNAUTHORIZED: 401,
    Reason.NO_FILE: 404,
    Reason.NO_PEER: 503,
    Reason.QUEUE_FULL: 503,
    Reason.QUEUE_TIMEOUT: 504,
    Reason.CONNECT_REFUSED: 502,
    Reason.CONNECT_FAILED: 502,
    Reason.CONNECT_TIMEOUT: 504,
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


def page(error: EdgeError, exchange_id: str) -> Response:
    """The answer for an error: its reason in `X-Edge-Error`, never its detail."""
    status = STATUS[error.reason]
    phrase = PHRASES.get(status, b"Error").decode()
    fields = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("X-Edge-Error", error.reason.value),
        ("X-Request-Id", exchange_id),
        ("Cache-Control", "no-store"),
        *error.fields,
    ]
    if error.reason is Reason.METHOD_REFUSED and not error.fields:
        fields.append(("Allow", "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS"))
    text = f"{status} {phrase}\nreason: {error.reason.value}\nrequest: {exchange_id}\n"
    return Response(status, text, fields)
