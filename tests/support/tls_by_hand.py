"""A client whose TLS is made in memory: when which bytes of it go out is in a test's hands."""

import contextlib
import ssl

from tests.support.client import PATIENCE_S, Client, Reset
from tests.support.connections import is_read_by_the_other


class TlsByHand(Client):
    """One connection. `hello` are the first bytes, which nobody has sent yet."""

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
