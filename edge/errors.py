"""The one error that crosses module borders in `edge`, and its stable reason codes.

A `Reason` is what an operator sees: the `X-Edge-Error` header and the `reason` of the access log.
The status that belongs to a reason is decided in `edge.pages`, nowhere else.
"""

from enum import Enum, StrEnum


class Side(Enum):
    """Whose fault an error is."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    OURS = "ours"


class Retry(Enum):
    """Whether another attempt may follow."""

    NEVER = "never"
    ALWAYS = "always"  # nothing reached a peer
    IF_IDEMPOTENT = "if-idempotent"  # something may have reached a peer, nothing came back


class Reason(StrEnum):
    """Why the edge answered by itself or ended an exchange. The values never change."""

    BAD_REQUEST = "bad-request"
    PLAIN_HTTP = "plain-http"
    MISDIRECTED = "misdirected"
    HEAD_TIMEOUT = "head-timeout"
    HEAD_TOO_LARGE = "head-too-large"
    TARGET_TOO_LONG = "target-too-long"
    BODY_TIMEOUT = "body-timeout"
    BODY_TOO_LARGE = "body-too-large"
    METHOD_REFUSED = "method-refused"
    TRANSFER_CODING = "transfer-coding"
    VERSION = "version"
    EXPECTATION = "expectation"
    CLIENT_GONE = "client-gone"
    CLIENT_STALLED = "client-stalled"
    NO_ROUTE = "no-route"
    RATE_LIMITED = "rate-limited"
    CONCURRENCY = "concurrency-limited"
    DENIED = "denied"
    CLIENT_CERTIFICATE = "client-certificate"
    BANNED = "banned"
    UNAUTHORIZED = "unauthorized"
    NO_FILE = "no-file"
    MAINTENANCE = "maintenance"
    PAUSED = "paused"
    AUTH_FAILED = "auth-failed"
    NO_PEER = "no-peer"
    CIRCUIT_OPEN = "circuit-open"
    QUEUE_FULL = "queue-full"
    QUEUE_TIMEOUT = "queue-timeout"
    CONNECT_REFUSED = "connect-refused"
    CONNECT_FAILED = "connect-failed"
    CONNECT_TIMEOUT = "connect-timeout"
    TLS_FAILED = "tls-failed"
    TIMEOUT = "timeout"
    UPSTREAM_CLOSED = "upstream-closed"
    BAD_RESPONSE = "bad-response"
    RESPONSE_CUT = "response-cut"
    STREAM_IDLE = "stream-idle"
    HOOK_ERROR = "hook-error"
    HOOK_ABORT = "hook-abort"
    DRAINED = "drained"
    INTERNAL = "internal"


SIDES: dict[Reason, Side] = {
    Reason.BAD_REQUEST: Side.DOWNSTREAM,
    Reason.PLAIN_HTTP: Side.DOWNSTREAM,
    Reason.MISDIRECTED: Side.DOWNSTREAM,
    Reason.HEAD_TIMEOUT: Side.DOWNSTREAM,
    Reason.HEAD_TOO_LARGE: Side.DOWNSTREAM,
    Reason.TARGET_TOO_LONG: Side.DOWNSTREAM,
    Reason.BODY_TIMEOUT: Side.DOWNSTREAM,
    Reason.BODY_TOO_LARGE: Side.DOWNSTREAM,
    Reason.METHOD_REFUSED: Side.DOWNSTREAM,
    Reason.TRANSFER_CODING: Side.DOWNSTREAM,
    Reason.VERSION: Side.DOWNSTREAM,
    Reason.EXPECTATION: Side.DOWNSTREAM,
    Reason.CLIENT_GONE: Side.DOWNSTREAM,
    Reason.CLIENT_STALLED: Side.DOWNSTREAM,
    Reason.NO_ROUTE: Side.OURS,
    Reason.RATE_LIMITED: Side.DOWNSTREAM,
    Reason.CONCURRENCY: Side.DOWNSTREAM,
    Reason.DENIED: Side.DOWNSTREAM,
    Reason.CLIENT_CERTIFICATE: Side.DOWNSTREAM,
    Reason.BANNED: Side.DOWNSTREAM,
    Reason.UNAUTHORIZED: Side.DOWNSTREAM,
    Reason.NO_FILE: Side.OURS,
    Reason.MAINTENANCE: Side.OURS,
    Reason.PAUSED: Side.OURS,
    Reason.AUTH_FAILED: Side.OURS,
    Reason.NO_PEER: Side.OURS,
    Reason.CIRCUIT_OPEN: Side.OURS,
    Reason.QUEUE_FULL: Side.OURS,
    Reason.QUEUE_TIMEOUT: Side.OURS,
    Reason.CONNECT_REFUSED: Side.UPSTREAM,
    Reason.CONNECT_FAILED: Side.UPSTREAM,
    Reason.CONNECT_TIMEOUT: Side.UPSTREAM,
    Reason.TLS_FAILED: Side.UPSTREAM,
    Reason.TIMEOUT: Side.UPSTREAM,
    Reason.UPSTREAM_CLOSED: Side.UPSTREAM,
    Reason.BAD_RESPONSE: Side.UPSTREAM,
    Reason.RESPONSE_CUT: Side.UPSTREAM,
    Reason.STREAM_IDLE: Side.UPSTREAM,
    Reason.HOOK_ERROR: Side.OURS,
    Reason.HOOK_ABORT: Side.OURS,
    Reason.DRAINED: Side.OURS,
    Reason.INTERNAL: Side.OURS,
}


class EdgeError(Exception):
    """An exchange cannot go on as asked.

    `detail` is for the log and never for the client's page, `message` is for that page; `retry`
    says whether the same request may be sent to another peer, `fields` are more header fields of
    the answer.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        retry: Retry = Retry.NEVER,
        fields: tuple[tuple[str, str], ...] = (),
        message: str = "",
    ) -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail
        self.retry = retry
        self.fields = fields
        self.message = message

    @property
    def side(self) -> Side:
        """Whose fault it is."""
        return SIDES[self.reason]
