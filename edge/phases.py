"""The life of a request: its phases from top to bottom, and what a hook may answer in them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from edge.message import Peer, Response


class Phase(StrEnum):
    """Each is a method of `edge.Hook`. Listed in the order in which an exchange passes them."""

    EARLY_REQUEST_FILTER = "early_request_filter"  # the head is parsed, no route chosen yet
    REQUEST_FILTER = "request_filter"  # the route is known
    REQUEST_BODY_FILTER = "request_body_filter"  # each piece of the body on its way up
    UPSTREAM_PEER = "upstream_peer"  # which peer; asked again for each attempt
    FAIL_TO_CONNECT = "fail_to_connect"  # a peer could not be reached
    UPSTREAM_REQUEST_FILTER = "upstream_request_filter"  # the fields that go to the peer
    ERROR_WHILE_PROXY = "error_while_proxy"  # it failed after the peer was connected
    UPSTREAM_RESPONSE_FILTER = "upstream_response_filter"  # the peer's answer as it came
    FAIL_TO_PROXY = "fail_to_proxy"  # no attempt is left: build the answer
    RESPONSE_FILTER = "response_filter"  # the answer as the client gets it
    RESPONSE_BODY_FILTER = "response_body_filter"  # each piece of the body on its way down
    LOGGING = "logging"  # once for every answer, whatever happened


BUILTIN_FIRST: Final = frozenset(
    {Phase.UPSTREAM_REQUEST_FILTER, Phase.UPSTREAM_RESPONSE_FILTER, Phase.RESPONSE_FILTER}
)
"""Where the edge's own hooks come before the user's, who thus has the last word on fields. In all
other phases they come after, so that the user's decision comes before routing and balancing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reroute:
    """Use the route that this host and path match, instead of the request's own."""

    host: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """Close the connection without an answer."""

    detail: str = ""


Verdict = Response | Reroute | Abort
"""What a request phase may return; None goes on to the next hook."""

__all__ = ["BUILTIN_FIRST", "Abort", "Peer", "Phase", "Reroute", "Verdict"]
