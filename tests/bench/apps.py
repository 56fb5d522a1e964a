"""Apps: what edged adds to a cold start, crowds at sleeping apps, a deploy under load, memory.

Nothing here is compared with another server, so it needs no other program.
"""

import contextlib
import select
import shutil
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from control.manifest.programs import PATH
from tests.bench.memory import KIB
from tests.bench.scenarios import Bar, Outcome
from tests.bench.servers import Bench
from tests.support.app_stories import deploy, deploy_asleep, sleepy, starts_of, state_of, write_app
from tests.support.client import Client, fetch
from tests.support.edged import Edged, memory_of
from tests.support.eventually import eventually
from tests.support.load import Load, Report
from tests.support.ports import free_port

TINY: Final = r"""
import os, socket
from pathlib import Path
with (Path(os.environ["DATA_DIR"]) / "starts").open("a") as file:
    file.write(f"{os.getpid()}\n")
server = socket.create_server((os.environ["HOST"], int(os.environ["PORT"])), backlog=2048)
while True:
    client, _ = server.accept()
    client.recv(65536)
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    client.close()
"""
"""A server that is there as soon as Python is."""

PYTHON: Final = shutil.which("python3", path=PATH) or "python3"
STARTS: Final = 15
CROWD: Final = 1000
APPS: Final = 50
ASLEEP: Final = 200
RATE: Final = 2000
CALM_S: Final = 3.0
AFTER_S: Final = 1.0


def cold_start(bench: Bench) -> Outcome:
    """The first byte through edged, beside that of the very program alone."""
    outcome = Outcome("a cold start", "ms")
    folder = write_app(_folder(bench, "cold"), program=TINY, more=sleepy())
    with Edged(workers=2) as edged:
        deploy_asleep(edged, folder)
        with_edged = []
        for _ in range(STARTS):
            eventually(lambda: state_of(edged, "cold") == "asleep")
            started = time.monotonic()
            assert fetch(edged.address, host="cold.test").status == 200
            with_edged.append((time.monotonic() - started) * 1000)
    alone = [_start_alone(folder) * 1000 for _ in range(STARTS)]
    outcome.numbers["with edged"] = statistics.median(with_edged)
    outcome.numbers["the program alone"] = statistics.median(alone)
    added = outcome.numbers["with edged"] - outcome.numbers["the program alone"]
    outcome.bars.append(Bar("added, median", added, 15, at_most=True, unit=" ms"))
    return outcome


def crowd(bench: Bench) -> Outcome:
    """A thousand requests that come while an app sleeps."""
    outcome = Outcome(f"{CROWD} requests for an app that sleeps", "")
    folder = write_app(_folder(bench, "crowd"), program=TINY, more=sleepy())
    with Edged(workers=2) as edged:
        deploy_asleep(edged, folder)
        before = len(starts_of(edged, "crowd"))
        with contextlib.ExitStack() as stack:
            clients = [
                stack.enter_context(Client(edged.address, patience_s=60)) for _ in range(CROWD)
            ]
            for client in clients:
                client.send(b"GET / HTTP/1.1\r\nHost: crowd.test\r\n\r\n")
            answered = sum(client.read_answer().status == 200 for client in clients)
        started = len(starts_of(edged, "crowd")) - before
    outcome.numbers |= {"answered": answered, "processes started": started}
    outcome.bars.append(Bar("answered", answered, CROWD))
    outcome.bars.append(Bar("processes started", started, 1, at_most=True))
    return outcome


def wakes(bench: Bench) -> Outcome:
    """Fifty apps that wake at once."""
    outcome = Outcome(f"{APPS} apps woken at once", "ms")
    folders = [
        write_app(_folder(bench, f"app-{number}"), program=TINY, more=sleepy("3s"))
        for number in range(APPS)
    ]
    with Edged(workers=2) as edged:
        deploy_asleep(edged, *folders)
        took: list[float] = []

        def ask(name: str) -> None:
            started = time.monotonic()
            assert fetch(edged.address, host=f"{name}.test").status == 200
            took.append((time.monotonic() - started) * 1000)

        threads = [
            threading.Thread(target=ask, args=(folder.name,))  # noqa: TID251  blocking clients
            for folder in folders
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    outcome.numbers |= {"the median": statistics.median(took), "the slowest": max(took)}
    outcome.bars.append(Bar("answered", len(took), APPS))
    return outcome


def deploying(bench: Bench) -> Outcome:
    """A deploy while requests come."""
    outcome = Outcome(f"a deploy under {RATE} requests/s", "ms")
    folder = write_app(_folder(bench, "busy"), more="[instances]\nmin = 1\n")
    with Edged(workers=2) as edged:
        deploy(edged, folder)
        calm = _loaded(edged, None)
        busy = _loaded(edged, folder)
    outcome.numbers |= {"p99, calm": calm.p99_ms, "p99, deploying": busy.p99_ms}
    outcome.bars.append(Bar("failed", busy.failed, 0, at_most=True))
    ratio = busy.p99_ms / calm.p99_ms
    outcome.bars.append(Bar("p99, against calm", ratio, 2, at_most=True, unit=" x"))
    return outcome


def asleep(bench: Bench) -> Outcome:
    """What control has in memory for two hundred apps that sleep."""
    outcome = Outcome(f"{ASLEEP} sleeping apps", "MiB")
    folders = [
        write_app(_folder(bench, f"quiet-{number}"), program=TINY, more=sleepy())
        for number in range(ASLEEP)
    ]
    with Edged(workers=2) as edged:
        deploy_asleep(edged, *folders)
        size = memory_of(edged.control_pid()) / KIB / KIB
    outcome.numbers["control"] = size
    outcome.bars.append(Bar("control", size, 80, at_most=True, unit=" MiB"))
    return outcome


# Private


def _folder(bench: Bench, name: str) -> Path:
    folder = bench.folder / "apps" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _loaded(edged: Edged, folder: Path | None) -> Report:
    load = Load(edged.address, kept=32, fresh=0, rate=RATE, host="busy.test", path="/")
    select.select((), (), (), CALM_S)
    if folder is not None:
        deploy(edged, folder)
        select.select((), (), (), AFTER_S)
    return load.stop()


def _start_alone(folder: Path) -> float:
    """Until the first byte of the program that nobody stands in front of."""
    port = free_port()
    env = {"HOST": "127.0.0.1", "PORT": str(port), "PATH": PATH,
           "DATA_DIR": str(folder)}  # fmt: skip
    started = time.monotonic()
    process = subprocess.Popen([PYTHON, "program.py"], cwd=folder, env=env)
    try:
        for sock in _connections(port):
            with sock:
                sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
                sock.recv(1)
                return time.monotonic() - started
    finally:
        process.kill()
        process.wait()
    raise AssertionError("it does not listen")


def _connections(port: int) -> Iterator[socket.socket]:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            yield socket.create_connection(("127.0.0.1", port), timeout=10)
        select.select((), (), (), 0.0005)
