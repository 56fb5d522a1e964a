"""Origins whose answers take a known time, each a process of its own, and four ways to break one.

`python -m tests.bench.fleet SECONDS` is one of them; the first line on its stdout is its address.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import gevent
import gevent.server
import gevent.signal
from gevent import socket

ROOT: Final = Path(__file__).resolve().parents[2]
SLOWER: Final = 2
"""A slow one takes that many times as long as before."""

_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_GARBAGE: Final = b"\x16\x03\x01 what is this?\r\n\r\n"


class Origin:
    """The process, seen from a scenario."""

    def __init__(self, answers_s: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.fleet", str(answers_s)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        assert self.address, "the origin did not start"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.die()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def die(self) -> None:
        """It is gone: its port refuses."""
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        """It takes connections and requests, and answers none."""
        self._process.send_signal(signal.SIGSTOP)

    def slow_down(self) -> None:
        """Its answers take `SLOWER` times as long."""
        self._process.send_signal(signal.SIGUSR1)

    def talk_garbage(self) -> None:
        """What it answers is no HTTP."""
        self._process.send_signal(signal.SIGUSR2)


@contextlib.contextmanager
def fleet(*answers_s: float) -> Iterator[list[Origin]]:
    """One origin for each of these times."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Origin(each)) for each in answers_s]


class Answering:
    """What the process itself does."""

    def __init__(self, answers_s: float) -> None:
        self._answers_s = answers_s
        self._answer = _OK

    def slow_down(self, *_: object) -> None:
        """From now on."""
        self._answers_s *= SLOWER

    def talk_garbage(self, *_: object) -> None:
        """From now on."""
        self._answer = _GARBAGE

    def serve(self, link: socket.socket, _: object) -> None:
        """Answer what comes on one connection; nothing that comes has a body."""
        buffer = b""
        with contextlib.suppress(OSError), link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := link.recv(65536):
                buffer += data
                while b"\r\n\r\n" in buffer:
                    buffer = buffer.partition(b"\r\n\r\n")[2]
                    gevent.sleep(self._answers_s)
                    link.sendall(self._answer)


def main() -> int:
    """Serve until killed, or until whoever started it is gone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("answers_s", type=float)
    answering = Answering(parser.parse_args().answers_s)
    gevent.signal.signal(signal.SIGUSR1, answering.slow_down)
    gevent.signal.signal(signal.SIGUSR2, answering.talk_garbage)
    server = gevent.server.StreamServer(("127.0.0.1", 0), answering.serve, backlog=4096)
    server.start()
    sys.stdout.write(f"127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    parent = os.getppid()
    while os.getppid() == parent:
        gevent.sleep(1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
