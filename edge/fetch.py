"""Requests of the edge's own: for hooks that must ask somebody before they decide.

They go over the worker's pool of upstream connections, are as strict about answers as the lane, and
keep the whole answer in memory, up to a limit.
"""

from collections.abc import Mapping
from typing import Final

from edge.body import ResponseBody
from edge.connection import Connection, Expired, Gone, monotonic
from edge.errors import EdgeError, Reason
from edge.headers import block_of, check_field
from edge.http1.framing import decoder_for
from edge.http1.parse import parse_response
from edge.message import UNTIL_CLOSE, Peer, Response
from edge.pool import Pool

ANSWER_BYTES: Final = 1 << 20
HEAD_BYTES: Final = 65536


class Fetcher:
    """Asks peers. One for each worker."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def __repr__(self) -> str:
        return f"<Fetcher {self.pool!r}>"

    def fetch(
        self,
        address: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        *,
        body: bytes = b"",
        timeout_s: float = 5.0,
    ) -> Response:
        """Ask, and wait for the whole answer. Raises `EdgeError` and `ValueError`."""
        for name, value in headers.items():
            check_field(name, value)
        fields = {"Host": address, **headers}
        head = f"{method} {target} HTTP/1.1".encode("ascii") + block_of(tuple(fields.items()))
        if body or method not in ("GET", "HEAD"):
            head += b"\r\nContent-Length: %d" % len(body)
        return self.send(address, method, head + b"\r\n\r\n" + body, timeout_s=timeout_s)

    def send(self, address: str, method: str, data: bytes, *, timeout_s: float) -> Response:
        """Send a whole request as it is, and wait for the answer. Raises `EdgeError`."""
        deadline = monotonic() + timeout_s
        while True:
            upstream = self.pool.take(address)
            reused = upstream is not None
            if upstream is None:
                upstream = self.pool.connect(Peer(address), timeout_s)
            try:
                return self._ask(address, upstream, method, data, deadline)
            except EdgeError as error:
                # A kept connection that had just been closed: the next one is younger, or new.
                if not reused or error.reason is not Reason.UPSTREAM_CLOSED:
                    raise

    # Private

    def _ask(
        self, address: str, upstream: Connection, method: str, data: bytes, deadline: float
    ) -> Response:
        kept = False
        try:
            upstream.write(data, max(deadline - monotonic(), 0.001))
            response, rest = _read_head(upstream, method, deadline)
            body = ResponseBody(
                upstream, decoder_for(response.length, Reason.BAD_RESPONSE), rest,
                max(deadline - monotonic(), 0.001),
            )  # fmt: skip
            response.body = _whole(body, deadline)
            kept = response.keep and not body.decoder.rest and response.length != UNTIL_CLOSE
        except Expired:
            raise EdgeError(Reason.TIMEOUT, f"{address} did not answer in time") from None
        except Gone:
            raise EdgeError(Reason.UPSTREAM_CLOSED, f"{address} closed") from None
        finally:
            if kept:
                self.pool.put(address, upstream)
            else:
                upstream.close()
        return response


# Private


def _read_head(upstream: Connection, method: str, deadline: float) -> tuple[Response, bytes]:
    buffer = b""
    while True:
        if buffer:
            response = parse_response(buffer, method, HEAD_BYTES)
            if response is not None:
                buffer = buffer[response.end :]
                if response.status == 101:
                    raise EdgeError(Reason.BAD_RESPONSE, "101 to a request without Upgrade")
                if response.status >= 200:
                    return response, buffer
                continue
        upstream.read_deadline = deadline
        data = upstream.read()
        if not data:
            raise EdgeError(Reason.UPSTREAM_CLOSED, "closed before it answered")
        buffer += data


def _whole(body: ResponseBody, deadline: float) -> bytes:
    pieces = []
    total = 0
    while piece := body.read():
        total += len(piece)
        if total > ANSWER_BYTES:
            raise EdgeError(Reason.BAD_RESPONSE, f"an answer of more than {ANSWER_BYTES} bytes")
        if monotonic() > deadline:
            raise EdgeError(Reason.TIMEOUT, "an answer that came too slowly")
        pieces.append(piece)
    return b"".join(pieces)
