"""`python -m tests.bench [--only NAME] [--rounds N] [--seconds N] [--json FILE]`."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final

from tests.bench import apps, balance, cores, memory, peers, scenarios
from tests.bench import secure as tls
from tests.bench.scenarios import Outcome, Scenario
from tests.bench.servers import Bench

SCENARIOS: Final[dict[str, Scenario]] = {
    "small-head": scenarios.small_head,
    "browser-head": scenarios.browser_head,
    "medium-body": scenarios.medium_body,
    "large-body": scenarios.large_body,
    "small-file": scenarios.small_file,
    "large-file": scenarios.large_file,
    "limiter": scenarios.limiter,
    "new-connections": scenarios.new_connections,
    "idle-connections": memory.idle_connections,
    "routes": scenarios.many_routes,
    "publishing": memory.publishing,
    "idle-workers": memory.idle_workers,
    "tls-kept": tls.keep_alive,
    "tls-handshakes": tls.handshakes,
    "tls-connections": tls.connections,
    "certificates": tls.certificates,
    "cold-start": apps.cold_start,
    "crowd": apps.crowd,
    "wakes": apps.wakes,
    "deploying": apps.deploying,
    "asleep": apps.asleep,
    "spread": balance.spread,
    "chaos": balance.chaos,
}
ALONE: Final = {"spread", "chaos", "cold-start", "crowd", "wakes", "deploying", "asleep"}
"""They bring origins and a load of their own: no other program is needed."""


def main() -> int:
    """Measure; 0 when every bar is met, 1 when one is not, 2 when it cannot run."""
    options = _options()
    wanted = options.only or list(SCENARIOS)
    with_others = not ALONE.issuperset(wanted)
    if with_others and (lacking := peers.missing()):
        sys.stderr.write(f"bench: try 'apt install {' '.join(lacking)}'\n")
        return 2
    memory.allow_descriptors(memory.IDLE + 1000)
    folder = Path(tempfile.mkdtemp(prefix="edged-bench-"))
    folder.chmod(0o755)
    outcomes = []
    try:
        peers.make_files(folder)
        where = cores.divide()
        _say(f"{os.cpu_count()} cores: {where}; {options.rounds} rounds of {options.seconds} s\n")
        with ExitStack() as stack:
            origin = ""
            if with_others:
                made = peers.Peer("origin", peers.ORIGIN, folder, where)
                origin = stack.enter_context(made).address
            bench = Bench(folder, where, origin, options.rounds, options.seconds)
            for name in wanted:
                outcomes.append(SCENARIOS[name](bench))
                _show(outcomes[-1])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        text = json.dumps([asdict(outcome) for outcome in outcomes], indent=1)
        Path(options.json).write_text(text + "\n")
    missed = [bar for outcome in outcomes for bar in outcome.bars if not bar.is_met]
    _say(f"{len(missed)} bars not met" if missed else "every bar is met")
    return 1 if missed else 0


# Private


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="just this one")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved runs of each server")
    parser.add_argument("--seconds", type=int, default=2, help="of each run")
    parser.add_argument("--json", default="", help="write the numbers to this file, too")
    return parser.parse_args()


def _show(outcome: Outcome) -> None:
    _say(f"{outcome.name} ({outcome.unit})")
    base = outcome.numbers.get("edged")
    for name, value in outcome.numbers.items():
        beside = f"  edged is {base / value:.2f} of it" if base and name != "edged" else ""
        number = f"{value:,.0f}" if outcome.unit == "requests/s" else f"{value:.1f}"
        _say(f"  {name:<20} {number:>12}{beside if outcome.unit == 'requests/s' else ''}")
    for line in (*outcome.notes, *outcome.bars):
        _say(f"    {line}")
    _say("")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
