"""TLS: what it costs beside nginx and Caddy, and many connections and certificates."""

import socket
import ssl
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from tests.bench import load, peers
from tests.bench.cores import pin
from tests.bench.memory import KIB, allow_descriptors
from tests.bench.scenarios import Bar, Outcome
from tests.bench.servers import Bench, Server
from tests.support.certificates import TestAuthority
from tests.support.edged import Edged, memory_of, route
from tests.support.eventually import eventually
from tests.support.ports import free_address, split_address

HOST: Final = "bench.test"
MANY: Final = 10_000

NGINX: Final = peers.NGINX.replace("listen {address} backlog=4096;", """
    listen {address} ssl backlog=4096; ssl_certificate {folder}/tls/bench.test.crt;
    ssl_certificate_key {folder}/tls/bench.test.key; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:SSL:10m;""")  # fmt: skip
CADDY: Final = peers.CADDY.replace("http://{address} {{", """https://{address} {{
  tls {folder}/tls/bench.test.crt {folder}/tls/bench.test.key""")  # fmt: skip
OWN: Final = '[route.tls]\ncert = "{folder}/{stem}.crt"\nkey = "{folder}/{stem}.key"\n'


def keep_alive(bench: Bench) -> Outcome:
    """A small answer over connections that are kept."""
    ratios = (("edged", "nginx", 0.55), ("edged", "caddy", 2.0))
    return _compare(bench, "small answer over TLS", ratios, close=False)


def handshakes(bench: Bench) -> Outcome:
    """A whole handshake for each request: no session is resumed."""
    return _compare(bench, "whole TLS handshakes", (("edged", "nginx", 0.35),), close=True)


def connections(bench: Bench) -> Outcome:
    """Memory of connections with TLS, on two workers."""
    outcome = Outcome("connections with TLS", "KiB each")
    allow_descriptors(2 * MANY + 2000)
    for count in (5_000, 10_000):
        for name in ("caddy", "edged"):
            with _serve(bench, name, workers=2) as server, ExitStack() as stack:
                for _ in range(200):  # what any load brings into memory
                    _one(server).close()
                before = _memory(server)
                for _ in range(count):
                    stack.enter_context(_one(server))
                outcome.numbers[f"{name}, {count}"] = (_memory(server) - before) / count / KIB
        value, bound = (outcome.numbers[f"{name}, {count}"] for name in ("edged", "caddy"))
        what = f"per connection of {count}, against Caddy's"
        outcome.bars.append(Bar(what, value, bound, at_most=True, unit=" KiB"))
    return outcome


def certificates(bench: Bench) -> Outcome:
    """Ten thousand certificates: a start, and the first handshakes."""
    outcome = Outcome(f"{MANY:,} certificates", "ms")
    folder = _folder(bench)
    ca = TestAuthority(folder)
    names = [f"host-{number}.test" for number in range(MANY)]
    text = []
    for name in names:
        ca.issue(name)
        text.append(route(name, extra='respond = "ok"') + OWN.format(folder=folder, stem=name))
    https = free_address()
    with Edged("".join(text), server=f'https = ["{https}"]', workers=2, ready_s=120) as edged:
        started = time.monotonic()
        eventually(lambda: not _lacking(edged), 300, "all certificates are in place")
        outcome.numbers["until all were read once"] = (time.monotonic() - started) * 1000
        edged.stop()
        started = time.monotonic()
        edged.start()
        outcome.numbers["a start"] = (time.monotonic() - started) * 1000
        took = []
        for name in names[:: MANY // 50]:
            started = time.monotonic()
            with _client(https, name):
                took.append((time.monotonic() - started) * 1000)
    outcome.numbers["the first handshake of a name"] = statistics.median(took)
    outcome.bars.append(Bar("a start", outcome.numbers["a start"], 2000, at_most=True, unit=" ms"))
    outcome.bars.append(Bar("the slowest handshake", max(took), 10, at_most=True, unit=" ms"))
    return outcome


# Private


def _lacking(edged: Edged) -> int:
    """How many hosts have no certificate yet."""
    return sum(not each["fingerprint"] for each in edged.ctl_json("certs")["certs"])


def _folder(bench: Bench) -> Path:
    folder = bench.folder / "tls"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    return folder


def _compare(
    bench: Bench, name: str, ratios: tuple[tuple[str, str, float], ...], *, close: bool
) -> Outcome:
    outcome = Outcome(name)
    servers = ("nginx", "caddy", "edged")
    runs: dict[str, list[float]] = {server: [] for server in servers}
    with ExitStack() as stack:
        up = [stack.enter_context(_serve(bench, server)) for server in servers]
        for server in up:
            _run(bench, server, 1, close=close)
        for number in range(bench.rounds):
            for server in up if number % 2 == 0 else reversed(up):
                runs[server.name].append(_run(bench, server, bench.seconds, close=close))
    outcome.numbers = {server: statistics.median(values) for server, values in runs.items()}
    for server, base, least in ratios:
        value = outcome.numbers[server] / outcome.numbers[base]
        outcome.bars.append(Bar(f"{server} / {base}", value, least))
    return outcome


@contextmanager
def _serve(bench: Bench, name: str, workers: int = 1) -> Iterator[Server]:
    folder = _folder(bench)
    if not (folder / f"{HOST}.crt").exists():
        TestAuthority(folder).issue(HOST)
    if name != "edged":
        text = {"nginx": NGINX, "caddy": CADDY}[name]
        with peers.Peer(name, text, bench.folder, bench.cores, bench.origin) as peer:
            yield Server(name, peer.address, peer.pids()[-1])
        return
    https = free_address()
    server = f'https = ["{https}"]\n[tls]\ndefault = "{HOST}"\n'
    body = route(HOST, bench.origin) + OWN.format(folder=folder, stem=HOST)
    with Edged(body + route("*", bench.origin), server=server, workers=workers) as edged:
        for worker in edged.workers():
            pin(worker, (bench.cores.server,))
        yield Server(name, https, edged.workers()[-1])


def _run(bench: Bench, server: Server, seconds: int, *, close: bool) -> float:
    return load.run(
        server.address, bench.cores, bench.folder, seconds=seconds, close=close, secure=True
    )


def _memory(server: Server) -> int:
    """Of the server's processes that serve."""
    if server.name == "caddy":
        return memory_of(server.pid)
    parent = int(Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[1])
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return sum(memory_of(int(pid)) for pid in text.split())


def _client(address: str, name: str) -> ssl.SSLSocket:
    plain = socket.create_connection(split_address(address), timeout=10)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each waits 40 ms for an ack
    return _context().wrap_socket(plain, server_hostname=name)


def _one(server: Server) -> ssl.SSLSocket:
    """A connection that has had an answer."""
    client = _client(server.address, HOST)
    client.sendall(b"GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n")
    client.recv(KIB)
    return client


_contexts: list[ssl.SSLContext] = []


def _context() -> ssl.SSLContext:
    if not _contexts:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        _contexts.append(context)
    return _contexts[0]
