"""A load generator in a process of its own, and what a test sees of it.

with Load(edged.address, kept=16, fresh=4, websockets=5, streams=5) as load:
    ...  # reload, upgrade, kill
report = load.stop()
assert report.failed == 0, report
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Final, Self

from tests.support.load_clients import EventStream, Loop, Requester, Target, WebSocket
from tests.support.ports import split_address

ROOT: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the load saw."""

    ok: int
    failed: int
    rate: float  # answered requests per second
    seconds: float
    opened: int
    reopened: int
    idle_closed: int
    reasons: dict[str, int]
    failures: list[dict[str, Any]]  # reason, kind, port, at_s; the first 500
    statuses: dict[str, int]
    median_ms: float
    p99_ms: float
    slowest_ms: float
    websockets: list[int]  # echoes of each that lived to the end
    streams: list[int]  # events of each that lived to the end

    def __str__(self) -> str:
        shown = "\n".join(f"  {n} times {reason}" for reason, n in self.reasons.items())
        return (
            f"{self.ok} ok, {self.failed} failed, {self.rate:.0f}/s, p99 {self.p99_ms:.1f} ms, "
            f"slowest {self.slowest_ms:.0f} ms, reopened {self.reopened}, "
            f"websockets {self.websockets}, streams {self.streams}\n{shown}"
        )


class Load:
    """The generator's process. Starts at once; `stop` lets requests under way end."""

    def __init__(
        self,
        address: str,
        *,
        kept: int = 16,
        fresh: int = 4,
        rate: float = 0,
        host: str = "",
        path: str = "/bytes/100",
        websockets: int = 0,
        streams: int = 0,
        seconds: float = 0,
    ) -> None:
        """`rate` bounds requests per second (0: as many as go); `seconds` 0 is until `stop`."""
        options = {
            "address": address,
            "kept": kept,
            "fresh": fresh,
            "rate": rate,
            "host": host or address,
            "path": path,
            "websockets": websockets,
            "streams": streams,
            "seconds": seconds,
        }
        command = [sys.executable, "-m", "tests.support.load"]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "started\n"
        self._report: Report | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._report is None:
            self._process.kill()
            self._process.communicate()

    def stop(self) -> Report:
        """End the load and wait for its report."""
        if self._report is None:
            self._process.send_signal(signal.SIGTERM)
            self._report = self.wait()
        return self._report

    def wait(self, within_s: float = 120.0) -> Report:
        """The report of a load that ends by itself."""
        out, _ = self._process.communicate(timeout=within_s)
        self._report = Report(**json.loads(out))
        return self._report


def main() -> int:
    """Run the load; a line "started", then the report as JSON."""
    options = _options()
    target = Target(split_address(options.address), options.host, options.path, options.sources)
    stops: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stops.append(number))
    signal.signal(signal.SIGINT, lambda number, _: stops.append(number))
    loop = Loop(target, options.rate)
    _print("started")
    for number in range(options.websockets):
        WebSocket(loop, number)
    for number in range(options.streams):
        EventStream(loop, number)
    for number in range(options.kept + options.fresh):
        loop.turn(Requester(loop, number, kept=number < options.kept))
    end = time.monotonic() + options.seconds if options.seconds else float("inf")
    count = options.count or float("inf")
    loop.run(lambda: bool(stops) or time.monotonic() > end or loop.tally.ok >= count)
    loop.finish()
    _print(json.dumps(_report(loop)))
    return 0


# Private


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--kept", type=int, default=16)
    parser.add_argument("--fresh", type=int, default=4)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--path", default="/bytes/100")
    parser.add_argument("--websockets", type=int, default=0)
    parser.add_argument("--streams", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--sources", type=int, default=4)
    return parser.parse_args()


def _report(loop: Loop) -> dict[str, Any]:
    tally = loop.tally
    lasted_s = time.monotonic() - tally.started
    ordered = sorted(tally.latencies_s) or [0.0]
    return {
        "ok": tally.ok,
        "failed": tally.failed,
        "rate": tally.ok / lasted_s,
        "seconds": lasted_s,
        "opened": tally.opened,
        "reopened": tally.reopened,
        "idle_closed": tally.idle_closed,
        "reasons": dict(tally.reasons),
        "failures": tally.failures,
        "statuses": {str(status): count for status, count in tally.statuses.items()},
        "median_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
        "slowest_ms": tally.slowest_s * 1000,
        "websockets": tally.websockets,
        "streams": tally.streams,
    }


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
