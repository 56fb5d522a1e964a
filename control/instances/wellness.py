"""Whether an instance that serves is well: its health path, asked again and again.

An answer with the wrong status says that the process lives and cannot serve: it gets no requests
until that has changed. No answer at all, for long, says that it hangs: it is to be ended.
"""

import random
import time
from typing import Final

import gevent

from control.health import SPREAD, ask
from edge.table.model import HealthCheck

_ANSWERED: Final = ("status ", "its body ")
"""How what `ask` finds wrong begins when there was an answer."""


class Wellness:
    """What the health path has said of one process."""

    def __init__(self, host: str, port: int, check: HealthCheck, hang_s: float) -> None:
        self.why = ""
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._check = check
        self._hang_s = hang_s
        self._in_row = 0  # answers unlike the state that it is in
        self._heard_s = time.monotonic()

    def __repr__(self) -> str:
        return f"<Wellness {self._address} {self.why or 'well'}>"

    @property
    def hangs(self) -> bool:
        """Whether it has not answered anything for too long."""
        return time.monotonic() - self._heard_s >= self._hang_s

    def pause(self) -> None:
        """Wait for the time of the next question."""
        gevent.sleep(self._check.interval_s * random.uniform(1 - SPREAD, 1 + SPREAD))

    def look(self, *, is_well: bool) -> bool:
        """Ask once; the result is whether it is well now, given that it was or was not."""
        self.why = ask(self._address, self._check)
        if not self.why or self.why.startswith(_ANSWERED):
            self._heard_s = time.monotonic()
        if is_well == (not self.why):
            self._in_row = 0
            return is_well
        self._in_row += 1
        if self._in_row < (self._check.fall if is_well else self._check.rise):
            return is_well
        self._in_row = 0
        return not is_well
