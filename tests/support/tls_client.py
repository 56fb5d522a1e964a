"""A client that speaks TLS, with everything about its handshake in a test's hands."""

import contextlib
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

from tests.support.client import PATIENCE_S, Client, Reset
from tests.support.connections import is_read_by_the_other
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


class TlsByHand(Client):
    """TLS made in memory: when which bytes of it go out is in a test's hands.

    `hello` are the first bytes, which nobody has sent yet.
    """

    def __init__(self, address: str, name: str, context: ssl.SSLContext) -> None:
        super().__init__(address)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        self.hello = self._out.read()

    def shake_hands(self, hello: bytes | None = None) -> None:
        """Send the hello, or what is left of it, and do the rest. Raises `ssl.SSLError`."""
        self.send_plainly(self.hello if hello is None else hello)
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.send_plainly(self._out.read())
                self._take()
        self.send_plainly(self._out.read())

    def send_plainly(self, data: bytes) -> None:
        """Send bytes as they are."""
        super().send(data)

    def seal(self, data: bytes) -> bytes:
        """What TLS makes of it, to be sent plainly."""
        self._tls.write(data)
        return self._out.read()

    def send(self, *pieces: bytes) -> None:
        """Send the pieces, each in records of its own."""
        for piece in pieces:
            super().send(self.seal(piece))

    def ending_plainly(self, within_s: float) -> str:
        """As `ending`, of the connection beneath TLS; bytes that come are lost."""
        self.socket.settimeout(within_s)
        try:
            return "bytes" if super()._receive() else "fin"
        except Reset:
            return "reset"
        except TimeoutError:
            return "open"
        finally:
            self.socket.settimeout(PATIENCE_S)

    def is_taken(self) -> bool:
        """Whether the other side has read all that was sent."""
        return is_read_by_the_other(self.socket)

    def take_tickets(self) -> None:
        """Wait for what a server says behind its handshake (RFC 8446 section 4.6.1)."""
        self._take()

    def say_goodbye(self) -> None:
        """A close_notify: no more is sent, what comes is still read."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        super().send(self._out.read())

    # Private

    def _take(self) -> None:
        data = super()._receive()
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    def _receive(self, limit: int = 65536) -> bytes:
        """Raises `ssl.SSLEOFError` where the connection ends without a close_notify."""
        while True:
            try:
                return self._tls.read(limit)
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLWantReadError:
                self._take()


def padded(hello: bytes, size: int) -> bytes:
    """The same hello with an extension that pads it (RFC 7685), in as many records as it takes."""
    message = bytearray(hello[5:])
    spot = 4 + 2 + 32
    spot += 1 + message[spot]
    spot += 2 + int.from_bytes(message[spot : spot + 2], "big")
    spot += 1 + message[spot]
    extensions = message[spot + 2 :]
    extensions += struct.pack("!HH", 21, size - len(message) - 4) + bytes(size - len(message) - 4)
    message[spot:] = len(extensions).to_bytes(2, "big") + extensions
    message[1:4] = (len(message) - 4).to_bytes(3, "big")
    pieces = [bytes(message[at : at + 16384]) for at in range(0, len(message), 16384)]
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(each)) + each for each in pieces)
