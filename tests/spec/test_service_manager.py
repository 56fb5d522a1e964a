"""Under a service manager such as systemd: what edged says, and sockets that were given to it."""

import queue
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.client import Client, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.ports import free_address, split_address

HERE: Final = route("*", extra='respond = "here"')

# What a service manager does: bind, listen, put the socket on descriptor 3, exec.
ACTIVATE: Final = """
import os, socket, sys
held = socket.create_server((sys.argv[1], int(sys.argv[2])))
os.dup2(held.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, "-m", "control.serve", "--config", sys.argv[3]])
"""


class Manager:
    """The service manager's end of the notification socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._heard: queue.Queue[str] = queue.Queue()
        self.said: list[str] = []
        # It listens all the time, as systemd does: the kernel keeps a few messages only.
        self._listener = threading.Thread(target=self._listen)  # noqa: TID251
        self._listener.start()

    def hear(self, wanted: str) -> str:
        """Wait for a message with that line; earlier ones are kept in `said`."""
        while True:
            message = self._heard.get(timeout=30)
            self.said.append(message)
            if wanted in message.split("\n"):
                return message

    def close(self) -> None:
        """No more messages."""
        if self._listener.is_alive():
            self._socket.shutdown(socket.SHUT_RD)
            self._listener.join()
            self._socket.close()

    def _listen(self) -> None:
        while message := self._socket.recv(4096):
            self._heard.put(message.decode())


@pytest.fixture
def manager() -> Iterator[Manager]:
    with tempfile.TemporaryDirectory() as folder:
        each = Manager(Path(folder) / "notify")
        yield each
        each.close()


def test_it_tells_when_it_serves_reloads_and_stops(manager: Manager) -> None:
    edged = Edged(HERE, environ={"NOTIFY_SOCKET": str(manager.path)})
    with edged.start(wait=False):
        message = manager.hear("READY=1")
        assert fetch(edged.address).body == b"here"  # not before it serves
        assert f"MAINPID={edged.master_pid}" in message
        edged.write(route("*", extra='respond = "new"'))
        edged.signal(signal.SIGHUP)  # what systemd sends for Type=notify-reload
        assert "MONOTONIC_USEC=" in manager.hear("RELOADING=1")
        manager.hear("READY=1")
        eventually(lambda: fetch(edged.address).body == b"new")
        edged.stop(expect=0)
        manager.hear("STOPPING=1")


def test_it_gives_signs_of_life_while_the_watchdog_asks(manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "400000"}
    with Edged(HERE, environ=environ):
        for _ in range(4):
            manager.hear("WATCHDOG=1")


def test_an_upgrade_keeps_telling(manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "400000"}
    with Edged(HERE, environ=environ) as edged:
        manager.hear("READY=1")
        assert edged.ctl("upgrade")
        manager.hear("RELOADING=1")
        assert f"MAINPID={edged.master_pid}" in manager.hear("READY=1")
        for _ in range(3):
            manager.hear("WATCHDOG=1")


def test_a_manager_that_is_gone_is_no_reason_to_stop(manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "200000"}
    with Edged(HERE, environ=environ) as edged:
        manager.hear("READY=1")
        manager.close()
        eventually(lambda: "cannot tell the service manager" in edged.log)
        assert fetch(edged.address).body == b"here"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_socket_that_was_given_is_the_one_that_serves(workers: int) -> None:
    address = free_address()
    host, port = split_address(address)
    edged = Edged(HERE, addresses=[address], workers=workers)
    with edged.start(command=[sys.executable, "-c", ACTIVATE, host, str(port), str(edged.config)]):
        for _ in range(20):
            assert fetch(address).body == b"here"
        edged.write(route("*", extra='respond = "new"'))
        edged.reload()
        for worker in edged.workers():
            edged.end(worker)
            with Client(address) as waiting:  # in the queue until somebody accepts
                waiting.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert waiting.read_answer().body == b"new"
            eventually(lambda: len(edged.workers()) == workers)
        assert edged.ctl("upgrade")
        assert fetch(address).body == b"new"


def test_a_descriptor_that_is_no_socket_is_named() -> None:
    edged = Edged(HERE)
    opened = "import os, sys; os.dup2(os.open('/dev/null', os.O_RDONLY), 3); "
    given = ACTIVATE.replace("import os, socket, sys\n", "").partition("os.set_inheritable")
    script = opened + "os.set_inheritable" + given[2]
    with edged.start(command=[sys.executable, "-c", script, "", "", str(edged.config)], wait=False):
        assert edged.wait() == 1
        assert "descriptor 3 of LISTEN_FDS=1 is no socket" in edged.log
        assert "Traceback" not in edged.log


def test_sockets_for_somebody_else_are_left_alone() -> None:
    with Edged(HERE, environ={"LISTEN_FDS": "1", "LISTEN_PID": "1"}) as edged:
        assert fetch(edged.address).body == b"here"
