"""One request and its answer, as hooks see it: a single object through all phases."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from edge.headers import Headers
from edge.message import Client, Peer, Request, Response
from edge.phases import Abort, Reroute
from edge.table.model import Route

if TYPE_CHECKING:
    from edge.fetch import Fetcher
    from edge.hooks import Chain, Hook
    from edge.plan import Plan


class Exchange:
    """Goes through the phases of `edge.phases`. What is not there yet is None.

    Times are CLOCK_MONOTONIC seconds, 0.0 for a step that was not reached.
    """

    __slots__ = (
        "_ctx",
        "_passing",
        "asked",
        "attempts",
        "chain",
        "client",
        "connected",
        "ended",
        "fetcher",
        "first_byte",
        "hook",
        "hook_since",
        "id",
        "pace",
        "peer",
        "plan",
        "reason",
        "received_bytes",
        "request",
        "response",
        "reused",
        "route",
        "sent_bytes",
        "sent_head",
        "sent_upstream",
        "started",
        "status",
        "tried",
        "upstream_headers",
    )

    def __init__(
        self, id_: str, request: Request, client: Client, started: float, chain: "Chain"
    ) -> None:
        self.id = id_
        """The request's id, also in `X-Request-Id` and in the access log."""
        self.request = request
        self.client = client
        self.response: Response | None = None
        """The answer, from `upstream_response_filter` on."""
        self.route: Route | None = None
        """The route that was chosen, from `request_filter` on."""
        self.chain = chain  # the hooks that it passes
        self.plan: Plan | None = None  # what the route means to this worker
        self.peer: Peer | None = None
        """The peer of the current attempt."""
        self.upstream_headers: Headers | None = None
        """In `upstream_request_filter`: the fields that go to the peer."""
        self.sent_head = b""
        """The request as it went to the last peer, with its body if that was in memory; else ""."""
        self.fetcher: Fetcher | None = None
        self.status = 0
        """The status that was sent, in `logging`; 0 when no answer was."""
        self.reason = ""
        """Why the edge answered by itself or cut the answer short; "" when it did not."""
        self.attempts = 0
        self.reused = False  # the current attempt goes over a connection that was kept
        self.tried: tuple[Peer, ...] = ()
        """The peers of the failed attempts."""
        self.pace: Callable[[int], None] | None = None
        """Called before each piece of the answer's body with its length; it may wait."""
        self.sent_bytes = 0
        self.received_bytes = 0
        self.started = started
        self.asked = 0.0
        self.connected = 0.0
        self.sent_upstream = 0.0
        self.first_byte = 0.0
        self.ended = 0.0
        self.hook = ""  # the hook that it is in
        self.hook_since = 0.0  # when the sweeper first saw it there
        self._ctx: SimpleNamespace | None = None
        self._passing: tuple[Hook, ...] = ()

    def __repr__(self) -> str:
        return f"<Exchange {self.status or 'open'} {self.id} {self.request!r}>"

    @property
    def ctx(self) -> Any:  # noqa: ANN401  what hooks keep here is theirs
        """Your own state for this request: set any attribute."""
        if self._ctx is None:
            self._ctx = SimpleNamespace()
        return self._ctx

    def fetch(
        self,
        peer: str,
        target: str = "/",
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float = 5.0,
    ) -> Response:
        """Ask another server ("127.0.0.1:9000") and wait for its whole answer, at most 1 MiB.

        Goes over the worker's pool. Raises `EdgeError` when there is no answer in time, and
        `ValueError` for a field that HTTP does not allow.
        """
        if self.fetcher is None:
            raise RuntimeError("no requests of one's own before the first phase")
        return self.fetcher.fetch(
            peer, method, target, headers or {}, body=body, timeout_s=timeout_s
        )

    def reroute(self, *, host: str = "", path: str = "") -> Reroute:
        """The verdict "use the route that matches this host and path" (default: the request's).

        Only the choice of the route changes, not what goes upstream.
        """
        return Reroute(host=host or self.request.host, path=path or self.request.path)

    def abort(self, detail: str = "") -> Abort:
        """The verdict "close the connection without an answer"; `detail` is for the log."""
        return Abort(detail=detail)

    def pass_body(self, hook: "Hook") -> None:
        """In `response_filter`: that hook does not want this answer's body."""
        self._passing = (*self._passing, hook)

    def passes_body(self, hook: "Hook") -> bool:
        """Whether the hook has asked to be left out of this answer's body."""
        return hook in self._passing
