"""The request's body on its way up, in a greenlet of its own while the answer may already come."""

import gevent

from edge.body import RequestBody
from edge.connection import NEVER, Connection, Expired, Gone, monotonic
from edge.errors import EdgeError, Reason
from edge.exchange import Exchange
from edge.hooks import Call
from edge.http1.framing import chunk, last_chunk


class Upload:
    """Pulls a body from the client and pushes it to the peer.

    `error` is set when the client's side failed: the attempt is then over, whatever the peer says.
    When the peer's side fails the upload just stops, since an answer may be on its way. The peer's
    time for its answer, `answer_s`, begins when the upload has ended.
    """

    __slots__ = ("_answer_s", "_body", "_chunked", "_exchange", "_filters", "_greenlet", "_idle_s",
                 "_upstream", "done", "ended", "error")  # fmt: skip

    def __init__(self, exchange: Exchange, body: RequestBody, upstream: Connection,
                 *, chunked: bool, idle_s: float, answer_s: float) -> None:  # fmt: skip
        self._exchange = exchange
        self._body = body
        self._upstream = upstream
        self._chunked = chunked
        self._idle_s = idle_s
        self._answer_s = answer_s
        self._filters = exchange.chain.request_body_filter
        self._greenlet: gevent.Greenlet | None = None
        self.done = False
        self.ended = NEVER  # when
        self.error: EdgeError | None = None

    def start(self) -> None:
        """Let it run beside the reading of the answer."""
        self._greenlet = gevent.spawn(self.run)

    def stop(self) -> None:
        """End it where it stands and wait until it has."""
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None

    def run(self) -> None:
        """Send all of it."""
        try:
            self._send_all()
            self.done = True
        except EdgeError as error:
            self.error = error
            self._upstream.interrupt(error)
        except Expired:
            self.error = EdgeError(Reason.TIMEOUT, f"peer took nothing for {self._idle_s:g} s")
            self._upstream.interrupt(self.error)
        except Gone:
            return  # the peer closed: its answer, or the lack of one, says why
        finally:
            self.ended = monotonic()
            if self._upstream.read_deadline == NEVER:  # somebody waits for the answer's head
                self._upstream.read_deadline = self.ended + self._answer_s

    # Private

    def _send_all(self) -> None:
        body = self._body
        while True:
            data = body.read()
            ended = not data or body.done
            self._exchange.received_bytes += len(data)
            data = filtered(self._filters, self._exchange, data, ended)
            if self._chunked:
                data = chunk(data)
                if ended:
                    data += last_chunk(body.decoder.trailers)
            if data:
                self._upstream.write(data, self._idle_s)
            if ended:
                return


def filtered(filters: tuple[Call, ...], exchange: Exchange, data: bytes, end: bool) -> bytes:
    """A piece of the request's body after the hooks' filters. Raises `EdgeError`."""
    for each in filters:
        changed = each(exchange, data, end)
        if changed is None:
            continue
        if not isinstance(changed, bytes):
            raise EdgeError(Reason.HOOK_ERROR, f"a body filter gave {type(changed).__name__}")
        data = changed
    return data
