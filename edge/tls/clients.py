"""TLS on the way to peers: verified, unless a person says that it need not be."""

import contextlib
import logging
import os
import ssl
from typing import Any, Final, NamedTuple

from edge.connection import Connection, monotonic
from edge.dial import dial
from edge.table.model import UpstreamTls
from edge.tls.connection import HandshakeFailed, Socket, TlsConnection
from edge.tls.contexts import CIPHERS, Context

log = logging.getLogger("edge.tls")

LOOK_S: Final = 5.0
"""How often the files of a context are looked at, when somebody dials."""


class _Made(NamedTuple):
    """A context, and what its files were when it was made."""

    context: Any
    stamps: tuple[int, ...]
    looked_at: float


_made: dict[UpstreamTls, _Made] = {}


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
    """The context for these rules, made again when a file of theirs has changed. Raises `OSError`
    for files that cannot be read, unless they could be before."""
    known, now = _made.get(rules), monotonic()
    if known is not None and now - known.looked_at < LOOK_S:
        return known.context
    stamps = _stamps(rules)
    context = known.context if known is not None else None
    if known is None or known.stamps != stamps:
        try:
            context = _new(rules)
        except OSError as error:
            if known is None:
                raise
            log.error("files of upstream_tls cannot be read, those of before hold: %s", error)
    _made[rules] = _Made(context, stamps, now)
    return context


# Private


def _stamps(rules: UpstreamTls) -> tuple[int, ...]:
    stamps: list[int] = []
    for path in filter(None, (rules.ca, rules.chain, rules.key)):
        with contextlib.suppress(OSError):
            found = os.stat(path)
            stamps += (found.st_mtime_ns, found.st_ino, found.st_size)
    return tuple(stamps)


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
