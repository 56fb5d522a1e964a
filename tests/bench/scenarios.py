"""What is measured, and what must hold."""

import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from tests.bench import load
from tests.bench.servers import Bench, Server, serve

PEERS: Final = ("nginx", "haproxy", "caddy")


@dataclass(frozen=True)
class Bar:
    """One comparison that must hold."""

    what: str
    value: float
    bound: float
    at_most: bool = False
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether it holds."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        verdict = "met" if self.is_met else "NOT MET"
        return (
            f"{self.what}: {self.value:.2f}{self.unit} {sign} {self.bound:g}{self.unit} {verdict}"
        )


@dataclass
class Outcome:
    """What a scenario gave: a number per server, and its bars."""

    name: str
    unit: str = "requests/s"
    numbers: dict[str, float] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


Scenario = Callable[[Bench], Outcome]


def compare(
    bench: Bench,
    name: str,
    servers: tuple[str, ...],
    ratios: tuple[tuple[str, str, float], ...] = (),
    **how: Any,
) -> Outcome:
    """Medians of interleaved runs; `ratios` are (server, base, at least)."""
    outcome = Outcome(name)
    runs: dict[str, list[float]] = {server: [] for server in servers}
    with ExitStack() as stack:
        up = [stack.enter_context(serve(bench, server)) for server in servers]
        for server in up:
            _run(bench, server, 1, how)  # warm: pools are filled, code is specialised
        for number in range(bench.rounds):
            # Forwards and backwards in turn: who comes second finds warmer or cooler caches.
            for server in up if number % 2 == 0 else reversed(up):
                runs[server.name].append(_run(bench, server, bench.seconds, how))
    outcome.numbers = {name: statistics.median(values) for name, values in runs.items()}
    for server, base, least in ratios:
        value = outcome.numbers[server] / outcome.numbers[base]
        outcome.bars.append(Bar(f"{server} / {base}", value, least))
    return outcome


def small_head(bench: Bench) -> Outcome:
    """A small answer to a small head."""
    return compare(bench, "small answer, small head", (*PEERS, "edged"))


def browser_head(bench: Bench) -> Outcome:
    """A small answer to a browser's head, without hooks and with some."""
    return compare(
        bench,
        "small answer, browser's head",
        (*PEERS, "edged", "edged 1 hooks", "edged 5 hooks"),
        (("edged", "nginx", 0.40), ("edged", "caddy", 2.0), ("edged 5 hooks", "nginx", 0.30)),
        browser=True,
    )


def medium_body(bench: Bench) -> Outcome:
    """An answer of 100 KiB."""
    return compare(bench, "100 KiB answer", (*PEERS, "edged"), path="/files/100k")


def large_body(bench: Bench) -> Outcome:
    """An answer of 10 MiB."""
    ratios = (("edged", "nginx", 0.7),)
    return compare(
        bench, "10 MiB answer", (*PEERS, "edged"), ratios, path="/files/10m", connections=8
    )


def small_file(bench: Bench) -> Outcome:
    """A static file of 10 KiB."""
    ratios = (("edged", "nginx", 0.5),)
    servers = ("nginx", "caddy", "edged")
    return compare(bench, "10 KiB file", servers, ratios, path="/static/10k")


def large_file(bench: Bench) -> Outcome:
    """A static file of 10 MiB."""
    ratios = (("edged", "nginx", 0.8),)
    servers = ("nginx", "caddy", "edged")
    return compare(bench, "10 MiB file", servers, ratios, path="/static/10m", connections=8)


def limiter(bench: Bench) -> Outcome:
    """What counting each request in a bucket costs."""
    ratios = (("edged limited", "edged", 0.95),)
    return compare(bench, "limiter off and on", ("edged", "edged limited"), ratios, browser=True)


def new_connections(bench: Bench) -> Outcome:
    """A connection for each request."""
    ratios = (("edged", "nginx", 0.4),)
    return compare(bench, "new connection per request", (*PEERS, "edged"), ratios, close=True)


def many_routes(bench: Bench) -> Outcome:
    """The same request beside few routes and beside many."""
    few, many = "edged 10 routes", "edged 100000 routes"
    return compare(
        bench,
        "10 and 100,000 routes",
        (few, many),
        ((many, few, 0.95),),
        browser=True,
        host="host-5.test",
    )


# Private


def _run(bench: Bench, server: Server, seconds: int, how: dict[str, Any]) -> float:
    return load.run(server.address, bench.cores, bench.folder, seconds=seconds, **how)
