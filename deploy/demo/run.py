"""The demo: a small origin, and edged in front of it on http://127.0.0.1:8080. Ctrl-C stops both.

Both run in process groups of their own, so that Ctrl-C reaches them through this program once:
the first one drains, a second one stops at once.
"""

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

DEMO = Path(__file__).resolve().parent
ROOT = DEMO.parents[1]
ORIGIN_PORT = 9180
POLL_S = 0.1

URLS = """
The demo runs. Try, in another terminal:

  curl -i http://127.0.0.1:8080/           a page from the origin (or open it in a browser)
  curl -i http://127.0.0.1:8080/echo       what the origin sees
  curl -iN http://127.0.0.1:8080/sse       server-sent events; /ws is a WebSocket
  curl -i http://127.0.0.1:8080/hello      an answer by the hook in {folder}/hooks.py
  curl -i http://127.0.0.1:8080/old/x      a redirect; /teapot is a fixed answer
  curl -ik https://app.localhost:8443/     an app that sleeps after 10 s, and wakes for a request
  curl -ik https://localhost:8443/         with TLS; `edgectl trust` has your browser believe it

  {edgectl} --socket {folder}/run/edged.sock status

Ctrl-C stops it.
"""


def main() -> int:
    """Run both; the exit code is that of edged."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_folder())
        origin = stack.enter_context(_child(str(DEMO / "origin.py"), str(ORIGIN_PORT), pipe=True))
        assert origin.stdout is not None
        if not origin.stdout.readline():
            return 1  # it has said why
        notices = stack.enter_context(_notices())
        config = str(folder / "edged.toml")
        edged = stack.enter_context(_child("-m", "control.serve", "--config", config))
        try:
            if _is_up(edged, notices):
                edgectl = Path(sys.executable).with_name("edgectl")
                print(URLS.format(folder=folder, edgectl=edgectl), flush=True)
            return edged.wait()
        except KeyboardInterrupt:
            return 0


# Private


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """The demo's folder; as root a copy when only root can enter it, say below /root."""
    ancestors = [DEMO, *DEMO.parents]
    if os.geteuid() != 0 or all(one.stat().st_mode & 0o001 for one in ancestors):
        yield DEMO
        return
    with tempfile.TemporaryDirectory(prefix="edged-demo-") as name:
        copy = Path(name)
        copy.chmod(0o755)
        shutil.copy(DEMO / "hooks.py", copy)
        shutil.copytree(DEMO / "app", copy / "app")
        text = (DEMO / "edged.toml").read_text(encoding="utf-8")
        # The workers run this very checkout, which nobody else can read: they must stay root.
        text = text.replace("[server]\n", '[server]\nuser = "root"\n', 1)
        (copy / "edged.toml").write_text(text, encoding="utf-8")
        yield copy


@contextlib.contextmanager
def _child(*arguments: str, pipe: bool = False) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if pipe else None,
        text=True,
        process_group=0,
    )
    try:
        yield child
    finally:
        _stop(child)


def _stop(child: subprocess.Popen[str]) -> None:
    """Ask it to end until it has; who presses Ctrl-C again asks again."""
    while child.poll() is None:
        child.terminate()
        with contextlib.suppress(KeyboardInterrupt):
            child.wait()


@contextlib.contextmanager
def _notices() -> Iterator[socket.socket]:
    """Where edged says that it is ready, as it would to systemd (sd_notify)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind("")  # the kernel chooses an abstract name
        os.environ["NOTIFY_SOCKET"] = "@" + notices.getsockname()[1:].decode()
        yield notices


def _is_up(edged: subprocess.Popen[str], notices: socket.socket) -> bool:
    """Wait until edged serves; false when it ended instead."""
    while edged.poll() is None:
        readable, _, _ = select.select([notices], [], [], POLL_S)
        if readable and b"READY=1" in notices.recv(4096):
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
