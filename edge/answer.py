"""The edge's own answers: a hook's response, a route's, or the page of an error."""

import logging
from typing import TYPE_CHECKING, Final

from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.message import Response
from edge.pages import page
from edge.relay import Downstream, body_filters
from edge.shared import counters

if TYPE_CHECKING:
    from edge.session import Session

log = logging.getLogger("edge.exchange")

_QUIET: Final = frozenset({Reason.CLIENT_GONE, Reason.NO_ROUTE, Reason.BAD_REQUEST})
_UNANSWERED: Final = frozenset({Reason.CLIENT_GONE, Reason.CLIENT_STALLED, Reason.HOOK_ABORT})


def answer(
    session: "Session", exchange: Exchange, downstream: Downstream, response: Response
) -> None:
    """Send an answer that the response filters see. Raises `EdgeError`."""
    exchange.response = response
    for call in exchange.chain.response_filter:
        response = exchange.response = call(exchange) or response
    _send(session, exchange, downstream, response, filtered=True)


def fail(session: "Session", exchange: Exchange, downstream: Downstream, error: EdgeError) -> None:
    """Answer an error, or cut the connection where an answer has begun. Raises nothing."""
    exchange.reason = error.reason.value
    session.engine.cells[counters.REASON_INDEX[error.reason]] += 1
    if error.detail and error.reason not in _QUIET:
        log.info("%s %s: %s", exchange.id, error.reason.value, error.detail)
    if session.gone or downstream.started or error.reason in _UNANSWERED:
        _cut(session, exchange, downstream, error)
        return
    try:
        response = exchange.response = _error_response(exchange, error)
        _send(session, exchange, downstream, response, filtered=False)
    except EdgeError as second:
        _cut(session, exchange, downstream, second)


# Private


def _send(
    session: "Session",
    exchange: Exchange,
    downstream: Downstream,
    response: Response,
    *,
    filtered: bool,
) -> None:
    body = session.body
    if body is not None and 0 < exchange.request.length <= len(body.first):
        body.limit_bytes = 0
        body.read()  # nobody asked for it, but all of it is here: the connection can go on
    downstream.keep = session.may_keep(exchange)
    downstream.answer(response, body_filters(exchange.chain, exchange) if filtered else ())


def _error_response(exchange: Exchange, error: EdgeError) -> Response:
    try:
        for call in exchange.chain.fail_to_proxy:
            response = call(exchange, error)
            if isinstance(response, Response):
                return response
    except EdgeError as second:
        error = second
    return page(error, exchange.id)


def _cut(session: "Session", exchange: Exchange, downstream: Downstream, error: EdgeError) -> None:
    """A cut answer must not look whole, so it is reset; who is gone only loses the socket."""
    if not exchange.status and error.reason in _UNANSWERED:
        exchange.status = 499
    downstream.keep = False
    if downstream.started:
        session.connection.reset()
    else:
        session.connection.close()
