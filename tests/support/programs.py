"""Apps as a test writes them: small programs in a folder, and what is needed to run them."""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import gevent

from control.durable import Owner
from control.instances.cgroup import Cgroups
from control.instances.instance import Instance, Plan
from control.instances.launch import Launch, Launcher
from control.instances.ports import Ports
from control.instances.process import Process, clear
from control.instances.spawn import Spawner

PATH: Final = "/usr/local/bin:/usr/bin:/bin"

PYTHON: Final = shutil.which("python3", path=PATH) or sys.executable
"""One that an app's user may run: that of these tests may be in somebody's home."""

SERVE: Final = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = int(open("status").read()) if os.path.exists("status") else 200
        self.send_response(status); self.send_header("Content-Length", "2"); self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *args): pass
"""
"""A server's beginning; its status is in a file of that name, beside the program."""

LISTEN: Final = (
    SERVE
    + """
server = http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
print("listening", flush=True)
server.serve_forever()
"""
)

APP_USER: Final = Owner(200_123, 200_123)


class Bench:
    """A folder of programs, and a launcher for them. All that was launched is ended with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cgroups = Cgroups.find(f"test-{os.getpid()}-{folder.name}")
        self.spawner = Spawner()
        self.launcher = Launcher(str(folder / "pipes"), self.cgroups, self.spawner)
        self.ports = Ports()
        self.lines: list[tuple[str, bytes]] = []
        self.processes: list[Process] = []
        self.instances: list[Instance] = []

    def take(self, stream: str, line: bytes) -> None:
        self.lines.append((stream, line))

    def out(self) -> list[bytes]:
        """The lines of stdout."""
        return [line for stream, line in self.lines if stream == "out"]

    def program(self, text: str, name: str = "app.py") -> tuple[str, ...]:
        """Write a Python program; the command that runs it."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return (PYTHON, "-I", "-S", str(path))

    def describe(self, *argv: str, **more: Any) -> Launch:
        name = more.pop("name", "blog.1")
        env = {"PATH": PATH} | more.pop("env", {})
        return Launch(name=name, argv=argv, cwd=more.pop("cwd", str(self.folder)), env=env, **more)

    def launch(self, *argv: str, **more: Any) -> Process:
        process = self.launcher.launch(self.describe(*argv, **more), self.take)
        self.processes.append(process)
        return process

    def run(self, text: str, **more: Any) -> Process:
        return self.launch(*self.program(text), **more)

    def instance(
        self, text: str, changed: Callable[[Instance], None] = lambda _: None, **more: Any
    ) -> Instance:
        launch = self.describe(*self.program(text), **more.pop("launch", {}))
        plan = Plan(launch=launch, **more)
        made = Instance(self.launcher, self.ports, plan, self.take, changed)
        self.instances.append(made)
        return made

    def close(self) -> None:
        for instance in self.instances:
            instance.stop(0)
            instance.stopped.wait(10)
        for process in self.processes:
            process.kill()
            if not process.ended.wait(5):  # one that was left for another control
                clear(process.record)
        self.spawner.stop()
        self.cgroups.close()


@contextmanager
def bench() -> Iterator[Bench]:
    """One in a folder that users of apps can reach."""
    with tempfile.TemporaryDirectory(prefix="edged-apps-") as name:
        os.chmod(name, 0o755)
        made = Bench(Path(name))
        try:
            yield made
        finally:
            made.close()


def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait on this process's loop, which runs what is waited for."""
    with gevent.Timeout(within_s, AssertionError(f"not within {within_s} s")):
        while not condition():
            gevent.sleep(0.005)


def can_connect(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
