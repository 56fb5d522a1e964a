"""TLS on the way to peers: verified, unless a person says that it need not be."""

import ssl
from typing import Any

from edge.connection import Connection, monotonic
from edge.dial import dial
from edge.table.model import UpstreamTls
from edge.tls.connection import HandshakeFailed, Socket, TlsConnection
from edge.tls.contexts import CIPHERS, Context

_made: dict[UpstreamTls, Any] = {}


def dial_tls(
    address: str,
    rules: UpstreamTls,
    server_name: str,
    timeout_s: float,
    registry: set[Connection],
) -> TlsConnection:
    """Connect, and be sure who answers. `HandshakeFailed`, `Expired`, `Gone` or `OSError`."""
    deadline = monotonic() + timeout_s
    made: list[TlsConnection] = []

    def make(sock: Any, known: set[Connection]) -> Connection:  # noqa: ANN401  a `Socket`
        made.append(TlsConnection(sock, known))
        return made[0]

    dial(address, timeout_s, registry, kind=Socket, make=make)
    (connection,) = made
    try:
        connection.begin(context_of(rules), server_side=False, server_name=server_name)
        connection.shake_hands(deadline)
    except BaseException as error:  # also the end of a greenlet that nobody waits for any more
        connection.close()
        if isinstance(error, (OSError, ValueError)):  # files that cannot be read, a bad name
            raise HandshakeFailed(str(error)) from None
        raise
    return connection


def context_of(rules: UpstreamTls) -> Any:  # noqa: ANN401  a `Context`
    """The context for these rules, made once. Raises `OSError` for files that cannot be read."""
    context = _made.get(rules)
    if context is None:
        context = _made[rules] = _new(rules)
    return context


# Private


def _new(rules: UpstreamTls) -> Any:  # noqa: ANN401  `_ssl` has no types
    context: Any = Context(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = int(ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(CIPHERS)
    context._set_alpn_protocols(b"\x08http/1.1")
    if not rules.verify:
        context.check_hostname = False
        context.verify_mode = int(ssl.CERT_NONE)
    elif rules.ca:
        context.load_verify_locations(rules.ca)
    else:
        context.set_default_verify_paths()
    if rules.chain:
        context.load_cert_chain(rules.chain, rules.key or None)
    return context
