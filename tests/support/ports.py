"""Ports that nobody listens on.

They come from below the range of outgoing connections, so that a load generator's own ports never
take one between the choice and the bind.
"""

import os
import random
import socket
from typing import Final

LOWEST: Final = 15_000
HIGHEST: Final = 32_000

_random = random.Random(os.getpid() * 7919)
_given: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """A port that could be bound a moment ago, never given out twice by this process."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(1000):
        port = _random.randrange(LOWEST, HIGHEST)
        if port in _given:
            continue
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise AssertionError(f"no free port on {host}")


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Some of them."""
    return [free_port(host) for _ in range(count)]


def free_address(host: str = "127.0.0.1") -> str:
    """A free port with its host, as a config writes it."""
    port = free_port(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:80" or "[::1]:80"."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
