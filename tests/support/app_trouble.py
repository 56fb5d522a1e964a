"""Apps in trouble: folders with small programs, what an edged runs of them, and what it leaves.

The good one answers on many connections at once and says which release it is, and its pid:

    shop = Shop(tmp_path / "shop").write("one", limits=QUICK)
    assert edged.ctl("deploy", str(shop.folder))
"""

import json
import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from control.apps.archive import pack
from control.apps.record import KEPT
from control.instances import pipes
from tests.support.client import fetch
from tests.support.edged import Edged
from tests.support.eventually import eventually
from tests.support.load import Load
from tests.support.programs import PYTHON

SERVE: Final = """
import os, signal, socket, sys, threading, time
release = open("release").read()
def answer(path):
    return 200, f"{release} {os.getpid()}"
def serve(link):
    data = b""
    with link:
        while True:
            while b"\\r\\n\\r\\n" not in data:
                piece = link.recv(65536)
                if not piece:
                    return
                data += piece
            head, _, data = data.partition(b"\\r\\n\\r\\n")
            status, text = answer(head.split(b" ", 2)[1].decode())
            body = text.encode()
            head = f"HTTP/1.1 {status} Fine\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
            link.sendall(head.encode() + body)
def quiet(link):
    try:
        serve(link)
    except OSError:
        pass
def listen(port=int(os.environ["PORT"])):
    server = socket.create_server((os.environ["HOST"], port), backlog=512)
    while True:
        threading.Thread(target=quiet, args=(server.accept()[0],), daemon=True).start()
"""
"""All but its beginning: a program may have another `answer` before it calls `listen`."""

GOOD: Final = SERVE + "listen()\n"

QUICK: Final = 'start = "10s"\ndrain = "2s"\nstability = "300ms"\n'
"""Limits of an app that a test can wait for."""


@dataclass
class Shop:
    """The folder of an app, which serves one host of its name."""

    folder: Path
    env: str = "production"

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def id(self) -> str:
        return f"{self.name}/{self.env}"

    @property
    def host(self) -> str:
        return f"{self.name}.test"

    def write(
        self,
        release: str = "one",
        program: str = GOOD,
        *,
        limits: str = QUICK,
        instances: int = 1,
        head: str = "",
        build: str = "commands = []",
        more: str = "",
        files: dict[str, str] | None = None,
    ) -> Self:
        """Write it anew: `head` is more at the top of its edge.toml, `more` further tables."""
        self.folder.mkdir(parents=True, exist_ok=True)
        start = json.dumps([PYTHON, "-I", "-S", "app.py"])
        routes = "" if "routes =" in head else f'routes = ["{self.host}"]\n'
        text = (
            f'name = "{self.name}"\n{routes}start = {start}\n{head}\n'
            f"[build]\n{build}\n[instances]\nmin = {instances}\nmax = {max(1, instances)}\n"
            f"[limits]\n{limits}\n{more}\n"
        )
        for name, content in {
            "edge.toml": text,
            "app.py": program,
            "release": release,
            **(files or {}),
        }.items():
            (self.folder / name).write_text(content)
        return self


@dataclass
class Platform:
    """What a test sees of an edged's apps."""

    edged: Edged

    def deploy(self, shop: Shop) -> None:
        """It must succeed."""
        outcome = self.edged.ctl("deploy", str(shop.folder))
        assert outcome, f"{outcome}\n{self.edged.log}"

    def begin_deploy(self, shop: Shop) -> subprocess.Popen[str]:
        """A deploy that goes on meanwhile: the caller's to wait for."""
        return self.edged.begin_ctl("deploy", str(shop.folder))

    def app(self, shop: Shop) -> dict[str, Any]:
        """What edged says of an app; {} when it has none of that name."""
        apps = self.edged.ctl_json("apps")["apps"]
        return next((each for each in apps if each["app"] == shop.id), {})

    def pids(self, shop: Shop) -> list[int]:
        """Of the instances that serve it."""
        return sorted(each["pid"] or 0 for each in self.app(shop).get("instances", ()))

    def ask(self, shop: Shop, target: str = "/") -> str:
        """What it answers, with its status when that is not 200."""
        answer = fetch(self.edged.address, target, host=shop.host)
        text = answer.body.decode(errors="replace").strip()
        return text if answer.status == 200 else f"{answer.status} {text}"

    def release_of(self, shop: Shop) -> str:
        """Which release answers."""
        return self.ask(shop).split()[0]

    def home(self, shop: Shop) -> Path:
        """Where edged keeps it."""
        return self.edged.state_path / "apps" / shop.id

    def releases(self, shop: Shop) -> list[str]:
        """The folders of releases that are there, half ones too."""
        folder = self.home(shop) / "releases"
        return sorted(os.listdir(folder)) if folder.exists() else []

    def kept(self, shop: Shop) -> dict[str, Any]:
        """What the next control would know."""
        path = self.edged.state_path / "state.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            row = database.execute("SELECT value FROM kept WHERE name = ?", (KEPT + shop.id,))
            found = row.fetchone()
        return json.loads(found[0]) if found and json.loads(found[0]) else {}

    def processes(self, shop: Shop) -> list[int]:
        """All processes of an app, wherever they are: by the mark in their environment."""
        mark = f"{self.edged.run_dir.resolve()}/apps/{shop.id.replace('/', '.')}."
        return [
            pid for pid, environ in environs() if environ.get("EDGED_INSTANCE", "").startswith(mark)
        ]

    def pipes(self) -> set[str]:
        """The names of all that have pipes."""
        return pipes.names(str(self.edged.run_dir / "apps"))

    def logs(self, shop: Shop, count: int = 10_000) -> list[str]:
        """The texts of its log."""
        out = self.edged.ctl("--json", "logs", shop.id, "-n", str(count)).out
        return [json.loads(line)["text"] for line in out.splitlines()]

    def said(self, shop: Shop, instance: str) -> list[str]:
        """What one instance has printed."""
        out = self.edged.ctl("--json", "logs", shop.id, "-n", "10000", "--instance", instance).out
        documents = [json.loads(line) for line in out.splitlines()]
        return [each["text"] for each in documents if each["instance"] == instance]

    @contextmanager
    def stray(self, shop: Shop, name: str) -> Iterator[int]:
        """A process as a control starts it and is killed before it has written it down."""
        folder = (self.edged.run_dir / "apps").resolve()
        for kind in ("out", "err", "ready"):
            os.mkfifo(folder / f"{name}.{kind}")
        env = {"EDGED_INSTANCE": str(folder / name)}
        command = [PYTHON, "-I", "-S", "-c", "import time; time.sleep(600)"]
        with subprocess.Popen(command, env=env, start_new_session=True) as process:
            yield process.pid
            process.kill()

    def kill_control(self) -> None:
        """SIGKILL, and wait until the next one answers."""
        control = self.edged.control_pid()
        os.kill(control, signal.SIGKILL)
        self.await_control(control)

    def await_control(self, former: int) -> None:
        """Until another control than that answers."""
        eventually(lambda: self.edged.control_pid() not in (0, former))
        eventually(lambda: self.edged.ctl("status"))


def environs() -> list[tuple[int, dict[str, str]]]:
    """The environments of all processes that we may look at."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                raw = Path(f"/proc/{name}/environ").read_bytes()
            except OSError:
                continue
            pairs = (each.partition("=") for each in raw.decode(errors="replace").split("\0"))
            found.append((int(name), {key: value for key, _, value in pairs}))
    return found


def archive_of(folder: Path) -> bytes:
    """As edgectl sends it."""
    with pack(str(folder)) as archive:
        return archive.read()


def begin_upload(
    edged: Edged, shop: Shop, content: bytes, size: int = -1, hold_s: int = 0
) -> socket.socket:
    """Send the head of a deploy straight to the API, and that of its body."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(30.0)
    link.connect(str(edged.socket_path))
    length = size if size >= 0 else len(content)
    path = f"/v1/deploy?name={shop.name}&env={shop.env}&hold={hold_s}"
    head = f"POST {path} HTTP/1.1\r\nHost: edged\r\nContent-Length: {length}\r\n\r\n"
    link.sendall(head.encode() + content)
    return link


@contextmanager
def serving_meanwhile(platform: Platform, folder: Path, rate: float = 100) -> Iterator[Shop]:
    """Another app, under load all the while: nothing of that may fail."""
    shop = Shop(folder).write("well")
    if not platform.app(shop):
        platform.deploy(shop)
    address = platform.edged.address
    with Load(address, kept=4, fresh=2, rate=rate, host=shop.host, path="/") as load:
        yield shop
        report = load.stop()
    assert report.failed == 0, report
    assert set(report.statuses) == {"200"}, report
