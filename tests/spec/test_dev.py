"""`edgectl dev` in a real terminal: it serves, takes up changes, and leaves nothing."""

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app_folders import write
from tests.support.client import fetch
from tests.support.edged import ROOT, children_of
from tests.support.eventually import eventually
from tests.support.programs import LISTEN, PYTHON

MANIFEST = f"""name = "shop"
start = ["{PYTHON}", "-I", "-S", "app.py"]
build.commands = []
[envs.production]
routes = ["shop.example.com"]
[envs.development]
vars = {{ GREETING = "development" }}
"""


def program(text: str) -> str:
    """A server that answers with the text; it says who it is."""
    hello = 'print("hello from", os.environ.get("GREETING"), os.getpid(), flush=True)\n'
    return LISTEN.replace('b"ok"', repr(text.encode())).replace("server =", hello + "server =")


class Terminal:
    """`edgectl dev` with a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shown = ""
        tools = folder.parent / "tools"
        self.opened = folder.parent / "opened"
        write(tools, {"xdg-open*": f'#!/bin/sh\necho "$1" > {self.opened}\n'})
        code = "import sys; from control.cli.main import main; sys.exit(main())"
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "dev", str(folder)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TERM": "xterm",
                "XDG_STATE_HOME": str(folder.parent / "state"),
                "PATH": f"{tools}:{os.environ['PATH']}",
            },
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # its own, for Ctrl-C
        )
        os.close(theirs)

    def read(self) -> str:
        """All that it has shown so far, without colours."""
        while select.select([self._ours], [], [], 0)[0]:
            try:
                piece = os.read(self._ours, 65536)
            except OSError:  # nobody has the other end any more
                break
            self.shown += piece.decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;]*m", "", self.shown)

    def sees(self, text: str, within_s: float = 30.0) -> None:
        try:
            eventually(lambda: text in self.read(), within_s)
        except AssertionError:
            raise AssertionError(f"no {text!r} in:\n{self.read()}") from None

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    @property
    def port(self) -> int:
        found = re.search(
            r"https://shop\.localhost:(\d+)/   http://shop\.localhost:(\d+)/", self.read()
        )
        assert found, self.read()
        return int(found[2])

    def page(self) -> str:
        answer = fetch(f"127.0.0.1:{self.port}", "/", host=f"shop.localhost:{self.port}")
        return answer.body.decode()

    def wait(self) -> int:
        try:
            eventually(lambda: self.read() is not None and self.process.poll() is not None, 20)
        except AssertionError:
            raise AssertionError(f"it has not ended:\n{self.read()}") from None
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    top = Path(tempfile.mkdtemp(prefix="edged-dev-test-"))
    top.chmod(0o755)
    folder = write(top / "shop", {"edge.toml": MANIFEST, "app.py": program("v1")})
    made = Terminal(folder)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(top, ignore_errors=True)


def descendants(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        found += children_of(each)
    return found


def are_gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}/cmdline").exists() and
                   Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids)  # fmt: skip


def test_it_serves_a_change_is_served_and_ctrl_c_leaves_nothing(terminal: Terminal) -> None:
    terminal.sees("q: quit")
    assert terminal.page() == "v1"
    terminal.sees("hello from development")
    pids = descendants(terminal.process.pid)
    assert len(pids) >= 6  # edgectl, its logs, master, control, worker, app

    write(terminal.folder, {"app.py": program("v2")})
    terminal.sees("changed: app.py")
    eventually(lambda: terminal.page() == "v2", 20)

    write(terminal.folder, {"app.py": "def broken(:\n"})
    terminal.sees("SyntaxError")
    assert terminal.page() == "v2"

    write(terminal.folder, {"app.py": program("v3")})
    eventually(lambda: terminal.page() == "v3", 20)
    pids += descendants(terminal.process.pid)
    terminal.press("\x03")
    assert terminal.wait() == 0
    eventually(lambda: are_gone(pids))
    left = sorted(path.name for path in terminal.folder.iterdir())
    assert left == ["app.py", "edge.toml"]
    assert not [name for name in os.listdir("/proc") if name.isdigit() and is_of(name, terminal)]


def is_of(pid: str, terminal: Terminal) -> bool:
    """Whether a process works in that folder."""
    try:
        return os.readlink(f"/proc/{pid}/cwd").startswith(str(terminal.folder))
    except OSError:
        return False


def test_its_keys_open_a_browser_restart_and_quit(terminal: Terminal) -> None:
    terminal.sees("q: quit")
    terminal.press("o")
    eventually(terminal.opened.exists)
    url = eventually(lambda: terminal.opened.read_text().strip())
    assert re.fullmatch(r"https://shop\.localhost:\d+/", url)
    before = terminal.read().count("hello from development")
    terminal.press("r")
    eventually(lambda: terminal.read().count("hello from development") > before, 20)
    pids = descendants(terminal.process.pid)
    terminal.press("q")
    assert terminal.wait() == 0
    eventually(lambda: are_gone(pids))


def test_its_certificate_is_of_its_own_ca(terminal: Terminal) -> None:
    terminal.sees("q: quit")
    found = re.search(r"https://shop\.localhost:(\d+)/", terminal.read())
    assert found
    found_pems = terminal.folder.parent.glob("state/edged/dev/*/state/**/cert.pem")
    root = next(path for path in found_pems if path.parent.name == "root")
    context = ssl.create_default_context(cafile=str(root))
    port = int(found[1])
    with (
        socket.create_connection(("127.0.0.1", port)) as link,
        context.wrap_socket(link, server_hostname="shop.localhost") as tls,
    ):
        tls.sendall(f"GET / HTTP/1.0\r\nHost: shop.localhost:{port}\r\n\r\n".encode())
        with tls.makefile("rb") as answer:
            assert answer.read().endswith(b"v1")


def test_it_ends_with_its_terminal(terminal: Terminal) -> None:
    terminal.sees("q: quit")
    pids = descendants(terminal.process.pid)
    terminal.process.send_signal(signal.SIGKILL)
    terminal.process.wait()
    eventually(lambda: are_gone(pids), 20)
