"""Ports for instances: of those that nobody else is given, one that nobody listens on now."""

import random
from typing import Final

from gevent import socket

LOWEST: Final = 20_000
HIGHEST: Final = 29_999
"""Below the range that the system takes ports from for outgoing connections (32768)."""


class NoPort(Exception):
    """All are taken."""


class Ports:
    """Which ports our instances have."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def __repr__(self) -> str:
        return f"<Ports {len(self._taken)} taken>"

    def choose(self, host: str) -> int:
        """Take one. Raises `NoPort`."""
        # A port that was in use a moment ago still has clients that ask for it: hence at random.
        first, count = random.randint(LOWEST, HIGHEST), HIGHEST - LOWEST + 1
        for step in range(count):
            port = LOWEST + (first - LOWEST + step) % count
            if port not in self._taken and is_free(host, port):
                self._taken.add(port)
                return port
        raise NoPort(f"no port from {LOWEST} to {HIGHEST} is free on {host}")

    def take(self, port: int) -> None:
        """That one is an instance's, as those of adopted ones are."""
        self._taken.add(port)

    def give_back(self, port: int) -> None:
        """It may be another's."""
        self._taken.discard(port)


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections that have ended are in nobody's way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
