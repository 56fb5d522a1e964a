"""What the service manager is told: ready, reloading, stopping, alive (systemd's sd_notify)."""

import logging
import os
import socket
import time
from collections.abc import Mapping

log = logging.getLogger("edged.notify")


class Notifier:
    """The service manager's socket, or nothing when there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._said = ""
        self.watchdog_s = _watchdog_s(environment)

    def __repr__(self) -> str:
        return f"<Notifier {'on' if self._address else 'off'} watchdog_s={self.watchdog_s}>"

    def ready(self) -> None:
        """The service is up, or a reload is over."""
        self._send("READY=1", f"MAINPID={os.getpid()}")

    def reloading(self) -> None:
        """A reload or an upgrade begins; `ready` follows."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service ends."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The watchdog's sign of life."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`, sent when it changes."""
        if text != self._said:
            self._said = text
            self._send(f"STATUS={text}")

    # Private

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning("cannot tell the service manager %s: %s", lines[0], error)


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """How often to say `alive`: half of what the service manager allows; 0 when it does not ask."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2e6 if microseconds.isdigit() else 0.0
