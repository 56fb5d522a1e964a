"""Every server of a run by its name: the peers, and edged in the shapes that are compared."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import peers
from tests.bench.cores import Cores, pin
from tests.support.edged import Edged, route

HOOK: Final = """
class Read{number}(Hook):
    def request_filter(self, exchange):
        if exchange.request.headers.get("{field}") == "never":
            exchange.ctx.seen = {number}
"""
STATIC: Final = """
[[route]]
match = "*/static/*"
root = "{folder}/files"
strip_prefix = "/static"
"""
FIELDS: Final = ("User-Agent", "Accept-Language", "Cookie", "Accept", "Host")


@dataclass(frozen=True)
class Bench:
    """What all scenarios share."""

    folder: Path
    cores: Cores
    origin: str
    rounds: int
    seconds: int


@dataclass(frozen=True)
class Server:
    """A running server: where it answers, and the process that does."""

    name: str
    address: str
    pid: int


@contextmanager
def serve(bench: Bench, name: str) -> Iterator[Server]:
    """That server, up for as long as the context: "nginx", "edged", "edged 5 hooks" …"""
    if not name.startswith("edged"):
        text = {"nginx": peers.NGINX, "haproxy": peers.HAPROXY, "caddy": peers.CADDY}[name]
        with peers.Peer(name, text, bench.folder, bench.cores, bench.origin) as peer:
            yield Server(name, peer.address, peer.pids()[-1])
        return
    with make(bench, name) as edged:
        (worker,) = edged.workers()
        pin(worker, (bench.cores.server,))
        yield Server(name, edged.address, worker)


def make(bench: Bench, name: str, workers: int = 1) -> Edged:
    """An edged, not started: "edged", "edged N hooks", "edged N routes" or "edged limited"."""
    words = name.split()
    count = int(words[1]) if len(words) > 2 else 0
    hooks, routes = (count, 0) if words[-1] == "hooks" else (0, count)
    limit = "limit = { requests = 10_000_000 }" if words[-1] == "limited" else ""
    text = "from edge import Hook\n" + "".join(
        HOOK.format(number=number, field=FIELDS[number]) for number in range(hooks)
    )
    body = "".join(route(f"host-{n}.test", bench.origin) for n in range(routes - 1))
    return Edged(
        body + route("*", bench.origin, limit) + STATIC.format(folder=bench.folder),
        server='hooks = ["read.py"]' if hooks else "",
        workers=workers,
        files={"read.py": text} if hooks else {},
        environ={"PATH": os.environ["PATH"]},
        ready_s=120,
    )
