"""Upgrades: from a peer's 101 to a tunnel, and back to what is logged of it (RFC 9110 section 7.8).

Nothing of the client's went through before the 101: bytes behind its request may be a request that
was meant to slip past the edge.
"""

from typing import TYPE_CHECKING

from edge.connection import Connection, Expired, Gone
from edge.errors import EdgeError, Reason
from edge.message import Response
from edge.relay import Downstream
from edge.rewrite import response_block, upgrade_fields
from edge.shared import counters
from edge.tunnel import Tunnel

if TYPE_CHECKING:
    from edge.exchange import Exchange
    from edge.session import Session


def switch(
    session: "Session",
    downstream: Downstream,
    upstream: Connection,
    response: Response,
    buffer: bytes,
) -> None:
    """Pass the 101 on, and tunnel until the end; `buffer` is what came behind it.

    Raises `EdgeError` (`bad-response`) for a 101 that nobody asked for.
    """
    exchange = session.exchange
    if exchange is None or not exchange.request.upgrade or not response.upgrade:
        raise EdgeError(Reason.BAD_RESPONSE, "101 to a request without Upgrade")
    exchange.response = response
    for call in exchange.chain.response_filter:
        call(exchange)
    head = b"HTTP/1.1 101 Switching Protocols" + response_block(response) + upgrade_fields(response)
    downstream.started = True
    exchange.status = 101
    downstream.write(head + downstream.via + b"\r\n\r\n" + buffer)
    early = session.take_rest()
    if early:
        try:
            upstream.write(early, session.engine.timeouts.write_idle_s)
        except (Gone, Expired):
            return
    _tunnel(session, exchange, upstream, len(early), len(buffer))


# Private


def _tunnel(
    session: "Session", exchange: "Exchange", upstream: Connection, up_bytes: int, down_bytes: int
) -> None:
    engine = session.engine
    tunnel = Tunnel(session.connection, upstream, engine.timeouts.upgraded_idle_s)
    session.is_upgraded = True
    engine.upgraded += 1
    engine.cells[counters.UPGRADES] += 1
    try:
        in_time = tunnel.run()
    finally:
        engine.upgraded -= 1
        exchange.received_bytes += up_bytes + tunnel.up_bytes
        exchange.sent_bytes += down_bytes + tunnel.down_bytes
    if not in_time:
        exchange.reason = Reason.STREAM_IDLE.value
