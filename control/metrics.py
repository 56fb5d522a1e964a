"""Metrics in Prometheus' format, made from the shared counters at the moment of asking.

The cells belong to the workers, live past them and are summed over all rows, so no total ever goes
back while the master lives. What each means is in `edge.shared.counters`.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from edge.shared import counters
from edge.shared.counters import Counter
from edge.shared.scoreboard import Column, State
from edge.shared.segment import Segment

log = logging.getLogger("control.metrics")

Environ = Mapping[str, Any]
Start = Callable[[str, list[tuple[str, str]]], object]

_HOOK: Final = "c:hook."
_HOOK_FAMILIES: Final = {
    "calls": ("edged_hook_calls", "Calls of a hook's phases.", 1.0),
    "us": ("edged_hook_seconds", "Time spent in a hook, waiting included.", 1e-6),
    "errors": ("edged_hook_failures", "Times that a hook raised.", 1.0),
}


class EdgeCollector(Collector):
    """All metrics of one edged."""

    def __init__(self, segment: Segment, gauges: Callable[[], Mapping[str, float]]) -> None:
        """`gauges` gives what the segment does not know, by name without the "edged_"."""
        self._segment = segment
        self._gauges = gauges

    def __repr__(self) -> str:
        return f"<EdgeCollector {self._segment!r}>"

    def collect(self) -> Iterator[Metric]:
        """Everything, read now."""
        sums = totals(self._segment)
        yield from _counted(sums)
        yield from _of_hooks_and_users(self._segment)
        yield from _of_workers(self._segment)
        for name, value in self._gauges().items():
            yield GaugeMetricFamily(f"edged_{name}", _GAUGES.get(name, ""), value=value)


def totals(segment: Segment) -> list[int]:
    """Each counter, summed over all rows, in the order of `counters.TABLE`."""
    rows = [segment.counter_row(number).tolist() for number in range(segment.rows)]
    return [sum(cells) for cells in zip(*rows, strict=True)]


def by_key(segment: Segment) -> dict[str, int]:
    """The totals by the counters' keys."""
    return dict(zip((counter.key for counter in counters.TABLE), totals(segment), strict=False))


def user_counters(segment: Segment) -> dict[str, int]:
    """The counters and flags of `edge.shared` by their registered names ("c:…" and "f:…")."""
    users = segment.users
    rows = [users.row(number) for number in range(segment.rows)]
    return {
        name: users.shared(index)[0] if name.startswith("f:") else sum(row[index] for row in rows)
        for index, name in enumerate(users.names())
    }


def hook_numbers(segment: Segment) -> dict[str, dict[str, int]]:
    """What the workers count of each hook: calls, errors and microseconds."""
    numbers: dict[str, dict[str, int]] = {}
    for name, value in user_counters(segment).items():
        hook, _, kind = name.removeprefix(_HOOK).rpartition(".")
        if name.startswith(_HOOK) and kind in _HOOK_FAMILIES:
            numbers.setdefault(hook, {})[kind] = value
    return numbers


def application(collector: Collector) -> Callable[[Environ, Start], Iterable[bytes]]:
    """The WSGI application of the metrics listener: GET /metrics, and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)

    def answer(environ: Environ, start: Start) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/metrics":
            start("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"The metrics are at /metrics.\n"]
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            start("405 Method Not Allowed", [("Allow", "GET, HEAD")])
            return [b""]
        encoder, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        body: bytes = encoder(registry)
        fields = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        start("200 OK", fields)
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else body]

    return answer


# Private

_GAUGES: Final = {
    "generation": "The generation of the table that is published.",
    "routes": "Routes published.",
    "control_restarts": "How often the control process was started again.",
    "uptime_seconds": "How long the master has run.",
    "problems": "What edgectl status names as problems.",
}


def _counted(sums: list[int]) -> Iterator[Metric]:
    families: dict[str, list[tuple[Counter, int]]] = {}
    for counter, value in zip(counters.TABLE, sums, strict=False):
        name = counter.family
        if counter.kind == "sum":
            name = name.removesuffix("_sum")
        families.setdefault(name, []).append((counter, value))
    for name, cells in families.items():
        if cells[0][0].kind == "bucket":
            yield _histogram(name, cells)
        else:
            yield _counter(name, cells)


def _counter(name: str, cells: list[tuple[Counter, int]]) -> Metric:
    first = cells[0][0]
    labels = [first.label[0]] if first.label else []
    family = CounterMetricFamily(name, first.help, labels=labels)
    for counter, value in cells:
        family.add_metric([counter.label[1]] if counter.label else [], value)
    return family


def _histogram(name: str, cells: list[tuple[Counter, int]]) -> Metric:
    """Our cells count one bucket each; Prometheus wants each with all below it."""
    buckets: list[tuple[str, float]] = []
    count = 0
    sum_s = 0.0
    for counter, value in cells:
        if counter.kind == "sum":
            sum_s = value / 1e6
        elif counter.label is not None:
            count += value
            buckets.append((counter.label[1], count))
    family = HistogramMetricFamily(name, cells[0][0].help)
    family.add_metric([], buckets=buckets, sum_value=sum_s)
    return family


def _of_hooks_and_users(segment: Segment) -> Iterator[Metric]:
    for kind, (name, meaning, unit) in _HOOK_FAMILIES.items():
        family = CounterMetricFamily(name, meaning, labels=["hook"])
        for hook, numbers in hook_numbers(segment).items():
            family.add_metric([hook], numbers.get(kind, 0) * unit)
        yield family
    counted = CounterMetricFamily(
        "edged_user", "Counters of hooks, by edge.shared.", labels=["name"]
    )
    flagged = GaugeMetricFamily(
        "edged_user_flag", "Flags of hooks, by edge.shared.", labels=["name"]
    )
    for name, value in user_counters(segment).items():
        if name.startswith("f:"):
            flagged.add_metric([name[2:]], value)
        elif not name.startswith(_HOOK):
            counted.add_metric([name.removeprefix("c:")], value)
    yield counted
    yield flagged


def _of_workers(segment: Segment) -> Iterator[Metric]:
    rows = [segment.scoreboard_row(number) for number in range(segment.rows)]
    live = [row for row in rows if row[Column.STATE]]
    states = GaugeMetricFamily("edged_workers", "Worker processes by state.", labels=["state"])
    for state in (State.STARTING, State.READY, State.DRAINING):
        count = sum(row[Column.STATE] == state for row in live)
        states.add_metric([state.name.lower()], count)
    yield states
    for name, column, meaning in _WORKER_GAUGES:
        value = sum(row[column] for row in live)
        yield GaugeMetricFamily(f"edged_{name}", meaning, value=value)
    yield _heartbeats(live)


def _heartbeats(live: list[memoryview]) -> Metric:
    now = time.monotonic_ns()
    ages: dict[int, float] = {}
    for row in live:
        if row[Column.STATE] == State.READY:
            age_s = max(now - row[Column.HEARTBEAT], 0) / 1e9
            ages[row[Column.SLOT]] = max(age_s, ages.get(row[Column.SLOT], 0.0))
    family = GaugeMetricFamily(
        "edged_worker_heartbeat_age_seconds",
        "How long the loop of a ready worker has not turned.",
        labels=["slot"],
    )
    for slot, age_s in sorted(ages.items()):
        family.add_metric([str(slot)], age_s)
    return family


_WORKER_GAUGES: Final = (
    ("connections", Column.CONNECTIONS, "Downstream connections open."),
    ("exchanges", Column.EXCHANGES, "Exchanges under way."),
    ("upgraded_connections", Column.UPGRADED, "Upgraded connections open."),
    ("idle_peer_connections", Column.IDLE_PEERS, "Idle connections to peers that are kept."),
)
