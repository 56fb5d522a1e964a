"""The counters: one table from which the cells, the metrics and their documentation are made.

A row per worker process; the process that has the row is its only writer, and a row keeps its
values when the next process gets it. So a total is the sum over all rows, and survives workers.
Times are summed in microseconds. A histogram is a run of cells, one per bound and one beyond.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from edge.errors import Reason

ROW_CELLS: Final = 192

DURATION_BOUNDS_S: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """One cell: its metric family, the label that tells it from its siblings, and its meaning."""

    family: str
    label: tuple[str, str] | None = None
    help: str
    kind: str = "counter"  # counter, bucket (of a histogram), sum (of a histogram)

    @property
    def key(self) -> str:
        """The name that stays the same across versions."""
        return self.family if self.label is None else f"{self.family}{{{self.label[1]}}}"


def _histogram(family: str, help_: str) -> list[Counter]:
    bounds = [*map(str, DURATION_BOUNDS_S), "+Inf"]
    cells = [Counter(family=family, label=("le", b), help=help_, kind="bucket") for b in bounds]
    cells.append(Counter(family=f"{family}_sum", help=help_, kind="sum"))
    return cells


_EXCHANGES = "edged_exchanges_total"
_ERRORS = "edged_errors_total"

TABLE: Final[tuple[Counter, ...]] = (
    *(
        Counter(family=_EXCHANGES, label=("status", c), help="Answers sent, by class of status.")
        for c in ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
    ),
    *(
        Counter(family=_ERRORS, label=("reason", r.value), help="Exchanges ended by the edge.")
        for r in Reason
    ),
    *_histogram("edged_exchange_seconds", "From the end of the request's head to the last byte."),
    *_histogram("edged_first_byte_seconds", "From the request sent to the answer's first byte."),
    Counter(family="edged_connections_total", help="Downstream connections accepted."),
    Counter(family="edged_takeovers_total", help="Of them, accepted for a stalled neighbour."),
    Counter(family="edged_received_bytes_total", help="Request body bytes passed on."),
    Counter(family="edged_sent_bytes_total", help="Response bytes sent downstream."),
    Counter(family="edged_upstream_connects_total", help="Connections made to peers."),
    Counter(family="edged_upstream_reuses_total", help="Requests sent on a kept connection."),
    Counter(family="edged_connect_errors_total", help="Connects to peers that failed."),
    Counter(family="edged_retries_total", help="Attempts after the first."),
    Counter(family="edged_upgrades_total", help="Connections upgraded and tunnelled."),
    Counter(family="edged_tls_handshakes_total", help="TLS handshakes that were completed."),
    Counter(family="edged_tls_resumed_total", help="Of them, those that resumed a session."),
    Counter(family="edged_tls_failures_total", help="TLS handshakes that failed."),
    Counter(family="edged_hook_errors_total", help="Hooks that raised."),
    Counter(family="edged_access_log_dropped_total", help="Access log lines that were dropped."),
)

INDEX: Final[dict[str, int]] = {counter.key: index for index, counter in enumerate(TABLE)}

# The cells by name, for the lane.
STATUS_BASE: Final = INDEX["edged_exchanges_total{none}"]  # + status // 100
REASON_INDEX: Final[dict[Reason, int]] = {r: INDEX[f"{_ERRORS}{{{r.value}}}"] for r in Reason}
EXCHANGE_BUCKETS: Final = INDEX["edged_exchange_seconds{0.001}"]
EXCHANGE_SUM_US: Final = INDEX["edged_exchange_seconds_sum"]
FIRST_BYTE_BUCKETS: Final = INDEX["edged_first_byte_seconds{0.001}"]
FIRST_BYTE_SUM_US: Final = INDEX["edged_first_byte_seconds_sum"]
CONNECTIONS: Final = INDEX["edged_connections_total"]
TAKEOVERS: Final = INDEX["edged_takeovers_total"]
RECEIVED_BYTES: Final = INDEX["edged_received_bytes_total"]
SENT_BYTES: Final = INDEX["edged_sent_bytes_total"]
UPSTREAM_CONNECTS: Final = INDEX["edged_upstream_connects_total"]
UPSTREAM_REUSES: Final = INDEX["edged_upstream_reuses_total"]
CONNECT_ERRORS: Final = INDEX["edged_connect_errors_total"]
RETRIES: Final = INDEX["edged_retries_total"]
UPGRADES: Final = INDEX["edged_upgrades_total"]
TLS_HANDSHAKES: Final = INDEX["edged_tls_handshakes_total"]
TLS_RESUMED: Final = INDEX["edged_tls_resumed_total"]
TLS_FAILURES: Final = INDEX["edged_tls_failures_total"]
HOOK_ERRORS: Final = INDEX["edged_hook_errors_total"]
LOG_DROPPED: Final = INDEX["edged_access_log_dropped_total"]

if len(TABLE) > ROW_CELLS:
    raise AssertionError("the counters outgrew their row: raise ROW_CELLS")


def observe(cells: memoryview, base: int, seconds: float) -> None:
    """Count one duration in the histogram whose first bucket is at `base`."""
    cells[base + bisect_left(DURATION_BOUNDS_S, seconds)] += 1
    cells[base + _SUM_OFFSET] += int(seconds * 1e6)


_SUM_OFFSET: Final = len(DURATION_BOUNDS_S) + 1
