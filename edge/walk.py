"""One exchange from its first phase to its last: read downwards, this is what a request does."""

from typing import TYPE_CHECKING

from edge.answer import answer, fail
from edge.connection import monotonic
from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.forward import Forward
from edge.message import Response
from edge.phases import Abort, Reroute, Verdict
from edge.relay import Downstream
from edge.shared import counters

if TYPE_CHECKING:
    from edge.session import Session


def walk(session: "Session", exchange: Exchange, downstream: Downstream) -> None:
    """Take the exchange through its phases, answer it, and log it once. Raises only bugs."""
    engine = session.engine
    engine.exchanges += 1
    try:
        _pass_phases(session, exchange, downstream)
    except EdgeError as error:
        fail(session, exchange, downstream, error)
    except BaseException:
        exchange.reason = Reason.INTERNAL.value
        raise
    finally:
        engine.exchanges -= 1
        record(session, exchange)


def refuse(
    session: "Session", exchange: Exchange, downstream: Downstream, error: EdgeError
) -> None:
    """Answer a head that could not be parsed. No phase is passed but `logging`."""
    fail(session, exchange, downstream, error)
    record(session, exchange)


def record(session: "Session", exchange: Exchange) -> None:
    """The logging phase: counters, the hooks' logging, the access log."""
    exchange.ended = now = monotonic()
    status = exchange.status
    cells = session.engine.cells
    cells[counters.STATUS_BASE + status // 100] += 1
    cells[counters.SENT_BYTES] += exchange.sent_bytes
    if exchange.received_bytes:
        cells[counters.RECEIVED_BYTES] += exchange.received_bytes
    counters.observe(cells, counters.EXCHANGE_BUCKETS, now - exchange.started)
    if exchange.first_byte:
        first_s = exchange.first_byte - exchange.sent_upstream
        counters.observe(cells, counters.FIRST_BYTE_BUCKETS, first_s)
    try:
        for call in exchange.chain.logging:
            call(exchange)
    except EdgeError:
        pass  # counted and logged where it was raised; the answer is out
    access_log = session.engine.access_log
    if access_log.enabled:
        access_log.write(exchange)


# Private


def _pass_phases(session: "Session", exchange: Exchange, downstream: Downstream) -> None:
    for call in exchange.chain.early_request_filter:
        verdict = call(exchange)
        if verdict is not None and _is_answered(session, exchange, downstream, verdict):
            return
    _plan(session, exchange)
    filters = exchange.chain.request_filter
    position = 0
    while position < len(filters):
        verdict = filters[position](exchange)
        position += 1
        if verdict is not None:
            if _is_answered(session, exchange, downstream, verdict):
                return
            filters = exchange.chain.request_filter  # of the other route
    if session.body is not None:
        _limit_body(session, exchange)
    Forward(session, exchange, downstream).run()


def _plan(session: "Session", exchange: Exchange) -> None:
    """Go on with the chain of the exchange's route: the user's hooks are the same in all."""
    if exchange.route is not None:
        exchange.plan = plan = session.engine.plan_of(exchange.route)
        exchange.chain = plan.chain


def _is_answered(
    session: "Session", exchange: Exchange, downstream: Downstream, verdict: Verdict
) -> bool:
    """Do what a hook said; whether the exchange is answered by it."""
    if isinstance(verdict, Response):
        answer(session, exchange, downstream, verdict)
        return True
    if isinstance(verdict, Reroute):
        exchange.route = session.engine.table.find(verdict.host, verdict.path)
        if exchange.route is None:
            raise EdgeError(Reason.NO_ROUTE, f"rerouted to {verdict.host}{verdict.path}")
        _plan(session, exchange)
        return False
    if isinstance(verdict, Abort):
        raise EdgeError(Reason.HOOK_ABORT, verdict.detail)
    raise EdgeError(Reason.HOOK_ERROR, f"a hook returned {type(verdict).__name__}")


def _limit_body(session: "Session", exchange: Exchange) -> None:
    route = exchange.route
    limit = session.engine.limits.body_bytes
    if route is not None and route.body_bytes >= 0:
        limit = route.body_bytes
    if limit and session.body is not None:
        session.body.limit_bytes = limit
        if exchange.request.length > limit:
            raise EdgeError(Reason.BODY_TOO_LARGE, f"{exchange.request.length} bytes")
