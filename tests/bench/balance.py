"""How well peers are chosen: while all are well, and while something is wrong with each.

Nothing here is compared with another server, so it needs no other program.
"""

import statistics
from collections import Counter
from typing import Final

from tests.bench.fleet import SLOWER, Origin, fleet
from tests.bench.scenarios import Bar, Outcome
from tests.bench.servers import Bench
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.load import Load

FAST_S: Final = 0.05
SLOW_S: Final = 0.25
CLIENTS: Final = 64
EDGE_S: Final = 1.0  # at both ends of a run: not counted, there the clients are out of step

STEADY_S: Final = 0.02
RATE: Final = 200
BEFORE: Final = 100  # answers until the peers break

SOME_BREAK: Final = """
balance = "least_conn"
first_byte = "500ms"
[route.ejection]
failures = 3
lasts = "10s"
[route.health]
path = "/health"
interval = "1s"
timeout = "500ms"
fall = 2
[limits]
attempts = 4
"""
"""As for peers that answer within 100 ms: one of four is enough to go on with."""


def spread(bench: Bench) -> Outcome:
    """Exchanges of each peer beside what one queue for both workers would give them.

    With as many exchanges under way at each peer, a peer's share goes with 1 / the time that it
    takes for one, so that is the ideal. Times are from the access log: what the edge itself saw.
    """
    outcome = Outcome("least_conn over two workers, one of four peers slow", "exchanges")
    with fleet(FAST_S, FAST_S, FAST_S, SLOW_S) as origins:
        addresses = [origin.address for origin in origins]
        with Edged(route("*", addresses, 'balance = "least_conn"'), workers=2) as edged:
            seconds = max(bench.rounds * bench.seconds, 4) + 2 * EDGE_S
            report = Load(edged.address, kept=CLIENTS, fresh=0, seconds=seconds).wait()
            took = _times_of(edged, report.ok)
    counts = {address: len(took[address]) for address in addresses}
    speeds = {address: 1 / statistics.mean(took[address]) for address in addresses}
    *fast, slow = addresses
    for number, address in enumerate(addresses):
        name = "slow" if address == slow else f"fast {number + 1}"
        outcome.numbers[name] = counts[address]
    ideal = speeds[slow] / sum(speeds.values())
    share = counts[slow] / sum(counts.values())
    mean = statistics.mean(counts[address] for address in fast)
    apart = max(abs(counts[address] / mean - 1) for address in fast)
    outcome.notes.append(f"the slow one's share: {share:.2%}, ideally {ideal:.2%}")
    outcome.notes.append(f"failed requests: {report.failed}")
    outcome.bars += [
        _percent("a fast peer from the mean of the three", apart),
        _percent("the slow peer from its ideal share", abs(share / ideal - 1)),
    ]
    return outcome


def chaos(bench: Bench) -> Outcome:
    """Four peers: one is killed, one hangs, one is slow, one answers garbage.

    The latencies are those of three loads at the same rate: before, meanwhile (from well peers
    until the three useless ones are found out), and from then on.
    """
    outcome = Outcome("one peer killed, one hung, one slow, one answering garbage", "ms")
    with fleet(*[STEADY_S] * 4) as origins:
        addresses = [origin.address for origin in origins]
        with Edged(route("*", addresses, SOME_BREAK), workers=2) as edged:
            eventually(lambda: Counter(_states_of(edged).values()) == {"up": 4})
            seconds = bench.rounds * bench.seconds
            healthy = _load(edged, seconds).wait()
            with _load(edged) as meanwhile:
                before = _answered(edged)
                eventually(lambda: _answered(edged) > before + BEFORE)
                _break_all(origins)
                eventually(lambda: sorted(_states_of(edged).values()).count("up") == 1, 30)
                changing = meanwhile.stop()
            broken = _load(edged, seconds).wait()
    reports = {"healthy": healthy, "until found out": changing, "from then on": broken}
    for name, report in reports.items():
        outcome.numbers[f"p99 {name}"] = report.p99_ms
        outcome.numbers[f"worst {name}"] = report.slowest_ms
        outcome.notes += [f"{name}: {line}" for line in report.reasons]
    outcome.notes.append(f"the slow one takes {SLOWER} times as long as before")
    failed = sum(report.failed for report in reports.values())
    asked = failed + sum(report.ok for report in reports.values())
    outcome.bars += [
        Bar(f"failed of {asked} requests", failed, 0, at_most=True),
        Bar("p99 broken / healthy", broken.p99_ms / healthy.p99_ms, 3, at_most=True),
    ]
    return outcome


# Private


def _times_of(edged: Edged, count: int) -> dict[str, list[float]]:
    """Milliseconds of each peer's exchanges, without those of the run's first and last second."""
    lines = eventually(lambda: lines if len(lines := edged.access_log()) >= count else None)
    assert lines is not None
    ends = [line["time"] for line in lines]
    first, last = min(ends) + EDGE_S, max(ends) - EDGE_S
    found: dict[str, list[float]] = {}
    for line in lines:
        if line["peer"] and first < line["time"] < last:
            found.setdefault(line["peer"], []).append(line["total_ms"])
    return found


def _percent(what: str, part: float) -> Bar:
    return Bar(what, 100 * part, 10, at_most=True, unit=" %")


def _load(edged: Edged, seconds: float = 0) -> Load:
    return Load(edged.address, kept=24, fresh=4, rate=RATE, seconds=seconds)


def _break_all(origins: list[Origin]) -> None:
    killed, hung, slow, garbage = origins
    killed.die()
    hung.hang()
    slow.slow_down()
    garbage.talk_garbage()


def _states_of(edged: Edged) -> dict[str, str]:
    return {each["peer"]: each["state"] for each in edged.ctl_json("peers")["peers"]}


def _answered(edged: Edged) -> int:
    return int(edged.ctl_json("status")["totals"]["exchanges"])
