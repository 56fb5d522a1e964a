"""Bodies as they are read from a connection, with the deadlines and the errors of their side."""

from edge.connection import BULK_BYTES, READ_BYTES, Connection, Expired, Gone, monotonic
from edge.errors import EdgeError, Reason
from edge.http1.framing import Decoder, SizedDecoder

RATE_GRACE_S = 10.0
"""A request body may be slower than the minimum rate for that long."""


class RequestBody:
    """The body of a request, pulled from the client.

    `read` raises `EdgeError`: `client-gone`, `body-timeout`, `body-too-large` or `bad-request`.
    """

    __slots__ = ("_connection", "_idle_s", "_rate", "_received", "_started", "decoder", "first",
                 "limit_bytes", "on_wait")  # fmt: skip

    def __init__(
        self, connection: Connection, decoder: Decoder, first: bytes, idle_s: float, rate: int
    ) -> None:
        self._connection = connection
        self._idle_s = idle_s
        self._rate = rate
        self._started = 0.0
        self._received = 0
        self.decoder = decoder
        self.first = first  # what was read along with the head
        self.limit_bytes = 0
        self.on_wait = _nothing  # called before the first wait: time to say 100 Continue

    @property
    def done(self) -> bool:
        """Whether all of it was read."""
        return self.decoder.done

    @property
    def rest(self) -> bytes:
        """What the client sent behind the body: its next requests."""
        return self.decoder.rest if self.decoder.done else self.first

    def read(self) -> bytes:
        """The next piece; b"" once at the end."""
        while not self.decoder.done:
            data = self.first or self._receive()
            self.first = b""
            payload = self.decoder.feed(data)
            self._received += len(payload)
            if 0 < self.limit_bytes < self._received:
                raise EdgeError(Reason.BODY_TOO_LARGE, f"over {self.limit_bytes} bytes")
            if payload:
                return payload
        return b""

    # Private

    def _receive(self) -> bytes:
        connection = self._connection
        now = monotonic()
        if not self._started:
            self._started = now
            self.on_wait()
        lasted = now - self._started
        if lasted > RATE_GRACE_S and self._received < self._rate * lasted:
            raise EdgeError(Reason.BODY_TIMEOUT, f"slower than {self._rate} bytes/s")
        connection.read_deadline = now + self._idle_s
        try:
            data = connection.read()
        except Expired:
            raise EdgeError(Reason.BODY_TIMEOUT, f"nothing for {self._idle_s:g} s") from None
        except Gone:
            raise EdgeError(Reason.CLIENT_GONE, "reset while sending its body") from None
        if not data:
            raise EdgeError(Reason.CLIENT_GONE, "closed before the end of its body")
        return data


class ResponseBody:
    """The body of an answer, pulled from the peer.

    `read` raises `EdgeError`: `response-cut`, `stream-idle` or `bad-response`.
    """

    __slots__ = ("_connection", "_idle_s", "_limit", "decoder", "first")

    def __init__(
        self, connection: Connection, decoder: Decoder, first: bytes, idle_s: float
    ) -> None:
        self._connection = connection
        self._idle_s = idle_s
        self.decoder = decoder
        self.first = first
        big = isinstance(decoder, SizedDecoder) and decoder.left > READ_BYTES
        self._limit = BULK_BYTES if big else READ_BYTES

    def read(self) -> bytes:
        """The next piece; b"" once at the end."""
        decoder = self.decoder
        while not decoder.done:
            data = self.first or self._receive()
            self.first = b""
            if not data:
                if not decoder.finish():
                    raise EdgeError(Reason.RESPONSE_CUT, "closed before the end of its body")
                return b""
            payload = decoder.feed(data)
            if payload:
                return payload
        return b""

    # Private

    def _receive(self) -> bytes:
        connection = self._connection
        connection.read_deadline = monotonic() + self._idle_s
        try:
            return connection.read(self._limit)
        except Expired:
            raise EdgeError(Reason.STREAM_IDLE, f"nothing for {self._idle_s:g} s") from None
        except Gone:
            raise EdgeError(Reason.RESPONSE_CUT, "reset before the end of its body") from None


def _nothing() -> None:
    return None
