"""What a worker and an idle connection cost, and how soon a change is everywhere."""

import contextlib
import resource
import socket
import statistics
from typing import Final

from tests.bench import load
from tests.bench.scenarios import Bar, Outcome
from tests.bench.servers import Bench, Server, make, serve
from tests.support.edged import memory_of, route
from tests.support.ports import split_address

IDLE: Final = 5000
KIB: Final = 1024
MIB: Final = 1 << 20
PUBLISHED: Final = 5
ONE: Final = b"GET / HTTP/1.1\r\nHost: idle.test\r\n\r\n"


def idle_connections(bench: Bench) -> Outcome:
    """Memory per idle connection, and the load that is served beside them."""
    allow_descriptors(IDLE + 1000)
    outcome = Outcome(f"browser's head beside {IDLE} idle connections")
    for name in ("nginx", "haproxy", "caddy", "edged"):
        with serve(bench, name) as server, contextlib.ExitStack() as stack:
            load.run(server.address, bench.cores, bench.folder, seconds=1, browser=True)
            before = memory_of(server.pid)
            for _ in range(IDLE):
                stack.enter_context(_idle(server))
            each = (memory_of(server.pid) - before) / IDLE / KIB
            runs = [
                load.run(
                    server.address, bench.cores, bench.folder, seconds=bench.seconds, browser=True
                )
                for _ in range(max(1, bench.rounds // 2))
            ]
        outcome.numbers[name] = statistics.median(runs)
        outcome.notes.append(f"{name}: {each:.1f} KiB per idle connection")
        if name == "edged":
            outcome.bars.append(Bar("per idle connection", each, 20, at_most=True, unit=" KiB"))
    return outcome


def idle_workers(bench: Bench) -> Outcome:
    """Memory of each of four workers that have nothing to do."""
    outcome = Outcome("four idle workers", "MiB PSS")
    with make(bench, "edged", workers=4) as edged:
        for process in edged.processes():
            name = edged.title_of(process).removeprefix("edged: ")
            outcome.numbers[name] = memory_of(process) / MIB
    worst = max(value for name, value in outcome.numbers.items() if name.startswith("worker"))
    outcome.bars.append(Bar("the largest worker", worst, 20, at_most=True, unit=" MiB"))
    return outcome


def publishing(bench: Bench) -> Outcome:
    """One changed route among 100,000: from the commit to the last worker's acknowledgement."""
    outcome = Outcome("one change among 100,000 routes, two workers", "ms")
    with make(bench, "edged 100000 routes", workers=2) as edged:
        routes = edged.config.read_text().partition("[[route]]")
        body = routes[1] + routes[2]
        took = []
        for number in range(PUBLISHED):
            edged.write(body + route("new.test", extra=f'respond = "{number}"'))
            took.append(float(edged.ctl_json("reload")["publish_ms"]))
    outcome.numbers["edged"] = statistics.median(took)
    outcome.bars.append(Bar("the slowest", max(took), 50, at_most=True, unit=" ms"))
    return outcome


def allow_descriptors(count: int) -> None:
    """Raise the soft limit of open files, for us and for what we start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, max(soft, 4 * count)) if hard > 0 else max(soft, 4 * count)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


# Private


def _idle(server: Server) -> socket.socket:
    link = socket.create_connection(split_address(server.address), timeout=10)
    link.sendall(ONE)
    link.recv(KIB)
    return link
