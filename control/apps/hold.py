"""A deploy that is proven, and waits for the word to switch: several hosts switch together.

The first word counts. Without any in time, and when nobody listens any more, it is undone.
"""

import secrets
from typing import Final

from gevent.event import Event

from control.refusal import Refused

HOLD_S: Final = 600.0
LONGEST_HOLD_S: Final = 7200.0


class Hold:
    """One such deploy."""

    def __init__(self, limit_s: float) -> None:
        self.token = secrets.token_hex(16)
        self.limit_s = limit_s
        self._said = Event()
        self._why = ""
        self._commits = False

    def __repr__(self) -> str:
        state = "waits" if not self._said.is_set() else "commits" if self._commits else self._why
        return f"<Hold {state}>"

    def wait(self) -> None:
        """For the word. Raises `Refused` when it is not to switch."""
        if not self._said.wait(self.limit_s):
            self.abandon(f"the word to switch did not come within {self.limit_s:g} s")
        if not self._commits:
            raise Refused("deploy-abandoned", f"It is undone: {self._why}.")

    def commit(self) -> None:
        """Switch. Raises `Refused` when it is abandoned already."""
        if self._said.is_set() and not self._commits:
            raise Refused("deploy-abandoned", f"It is undone: {self._why}.")
        self._commits = True
        self._said.set()

    def abandon(self, why: str) -> None:
        """Undo it, unless it was told to switch."""
        if not self._said.is_set():
            self._why = why
            self._said.set()
