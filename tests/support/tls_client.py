"""A client that speaks TLS, with everything about its handshake in a test's hands."""

import socket
import ssl
from pathlib import Path
from typing import Any

from tests.support.client import PATIENCE_S, Client
from tests.support.ports import split_address


def context_for(root: Path | None, **options: Any) -> ssl.SSLContext:
    """What trusts that root only; without one, anybody. Options are attributes of the context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if root is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(root)
    for name, value in options.items():
        setattr(context, name, value)
    return context


class TlsClient(Client):
    """One connection with TLS. Raises `ssl.SSLError` when the handshake fails."""

    def __init__(
        self,
        address: str,
        name: str | None,
        context: ssl.SSLContext,
        *,
        session: ssl.SSLSession | None = None,
        before: bytes = b"",
    ) -> None:
        """`before` is sent without TLS first, such as a PROXY header."""
        plain = socket.create_connection(split_address(address), timeout=PATIENCE_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if before:
            plain.sendall(before)
        try:
            self.tls = context.wrap_socket(plain, server_hostname=name, session=session)
        except BaseException:
            plain.close()
            raise
        self.socket: Any = self.tls
        self.buffer = b""

    def get(self, path: str = "/", host: str = "", fields: str = "") -> bytes:
        """The body of an answer that must be 200."""
        self.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode())
        answer = self.read_answer()
        assert answer.status == 200, answer
        return answer.body
