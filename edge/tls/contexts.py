"""Contexts: which certificate a client gets for the name that it asks for.

They are made when a name is first asked for, and so many are kept. Exact names come before
wildcards, which stand for one label (RFC 6125 section 6.4.3). A name that nobody knows gets the
default certificate, if there is one, or the alert `unrecognized_name`; never another tenant's.
"""

import _ssl
import logging
import ssl
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final

from edge.connection import monotonic
from edge.table.model import Certificate
from edge.tls.connection import TlsConnection
from edge.tls.openssl import Unavailable, keep_no_sessions, read_ahead, share_tickets

log = logging.getLogger("edge.tls")

KEPT: Final = 2000

AGAIN_S: Final = 2.0
"""A certificate that cannot be loaded is tried again after that long."""

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption only (RFC 9325 section 4.2)."""

ACME_TLS: Final = "acme-tls/1"
"""RFC 8737: who asks with that protocol wants the answer to a challenge."""

Context: Final[Any] = _ssl._SSLContext
"""What `ssl.SSLContext` is made of. That class itself cannot be used: gevent replaces it, and then
what is inherited from it calls the replacement without end."""

Find = Callable[[str], Certificate | None]


class Contexts:
    """The contexts of one worker."""

    def __init__(self, find: Find, find_challenge: Find) -> None:
        """`find` gives the certificate for a name ("" is the default one)."""
        self._find = find
        self._find_challenge = find_challenge
        self._made: OrderedDict[Certificate, Any] = OrderedDict()
        self._broken: dict[Certificate, float] = {}  # when it is tried again
        self.base = new_context()
        self.base.sni_callback = self._choose
        self._challenge_base = new_context(ACME_TLS)
        self._challenge_base.sni_callback = self._choose_challenge

    def __repr__(self) -> str:
        return f"<Contexts {len(self._made)} kept>"

    def share_tickets(self, keys: bytes) -> None:
        """Make and open tickets with these keys from now on."""
        share_tickets(self.base, keys)

    def base_for(self, hello: bytes) -> Any:  # noqa: ANN401  a `Context`
        """The context to begin with, for a client hello (or its beginning)."""
        return self._challenge_base if _ASKS_ACME in hello else self.base

    # Private

    def _choose(self, connection: TlsConnection, name: str | None, base: object) -> int | None:
        """Called in the middle of a handshake; must not raise."""
        # Who asks for an address names none (RFC 6066 section 3): the address that was dialled.
        asked = canonical(name) if name else connection.local_address()
        connection.server_name = asked
        certificate = self._find(asked)
        if certificate is None:
            return ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        context = self._context_of(certificate)
        if context is None:
            return ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.certificate = certificate
        try:
            connection.use(context)
        except Unavailable as error:
            log.error("%s cannot ask for certificates of clients: %s", asked, error)
            return ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR
        return None

    def _choose_challenge(
        self, connection: TlsConnection, name: str | None, base: object
    ) -> int | None:
        certificate = self._find_challenge(canonical(name or ""))
        if certificate is None:
            return ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        context = _loaded(certificate, ACME_TLS)
        if context is None:
            return ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.use(context)
        return None

    def _context_of(self, certificate: Certificate) -> Any:  # noqa: ANN401  or None
        context = self._made.get(certificate)
        if context is not None:
            self._made.move_to_end(certificate)
            return context
        if self._broken.get(certificate, 0.0) > monotonic():
            return None
        context = _loaded(certificate)
        if context is None:
            self._broken[certificate] = monotonic() + AGAIN_S
            return None
        self._broken.pop(certificate, None)
        self._made[certificate] = context
        if len(self._made) > KEPT:
            self._made.popitem(last=False)
        return context


def new_context(protocol: str = "http/1.1") -> Any:  # noqa: ANN401  a `Context`
    """A server's context without a certificate."""
    context: Any = Context(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = int(ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(CIPHERS)
    context.options |= int(ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION)
    context._set_alpn_protocols(bytes((len(protocol),)) + protocol.encode())
    context.num_tickets = 1
    keep_no_sessions(context)
    read_ahead(context)
    return context


def load(certificate: Certificate, protocol: str = "http/1.1") -> Any:  # noqa: ANN401  a `Context`
    """The context for a certificate. Raises `OSError` or `ValueError` for what OpenSSL refuses."""
    context = new_context(protocol)
    if certificate.chain:
        context.load_cert_chain(certificate.chain, certificate.key)
    if certificate.client_ca:
        context.load_verify_locations(certificate.client_ca)
        is_required = certificate.client_required
        context.verify_mode = int(ssl.CERT_REQUIRED if is_required else ssl.CERT_OPTIONAL)
    return context


def is_on_demand(name: str, hosts: Iterable[str]) -> bool:
    """Whether one of the hosts of routes stands for that name: "*", "*.example.com", itself."""
    return any(
        host in ("*", name) or (host.startswith("*.") and name.endswith(host[1:])) for host in hosts
    )


def canonical(name: str) -> str:
    """A server's name as tables hold it: lower case, without a last dot."""
    return name.lower().rstrip(".")


# Private

_ASKS_ACME: Final = b"\x0a" + ACME_TLS.encode()


def _loaded(certificate: Certificate, protocol: str = "http/1.1") -> Any:  # noqa: ANN401  or None
    try:
        return load(certificate, protocol)
    except (OSError, ValueError) as error:
        log.error("the certificate %s cannot be used: %s", certificate.chain, error)
        return None
