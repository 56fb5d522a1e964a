"""What a worker asks control for: something that is not in the table yet.

The answer says that it is there now, or why not; the thing itself comes by the table. Whoever wants
the same waits for the same question. Control may die meanwhile: its socket is the master's, so the
question waits for the next control, or is asked again.
"""

import json
from collections.abc import Callable
from typing import Final, NamedTuple

import gevent
from gevent.event import AsyncResult

from edge.connection import monotonic
from edge.errors import EdgeError
from edge.fetch import Fetcher

AGAIN_S: Final = 0.2
"""Between two questions, when one got no answer."""


class Answer(NamedTuple):
    """What control says. `reason` is one of its codes, and "" when the wish is fulfilled."""

    reason: str = ""
    message: str = ""

    def __bool__(self) -> bool:
        return not self.reason


class Wishes:
    """The wishes of one worker."""

    def __init__(self, fetcher: Fetcher, socket_path: str) -> None:
        self._fetcher = fetcher
        self._peer = f"unix:{socket_path}"
        self._under_way: dict[tuple[str, str], AsyncResult] = {}

    def __repr__(self) -> str:
        return f"<Wishes {len(self._under_way)} under way>"

    def count(self, kind: str) -> int:
        """How many of a kind are under way."""
        return sum(key[0] == kind for key in self._under_way)

    def is_under_way(self, kind: str, name: str) -> bool:
        """Whether somebody waits for that already."""
        return (kind, name) in self._under_way

    def wait(self, kind: str, name: str, within_s: float) -> Answer:
        """Have it, or know why not. Waits; never raises."""
        key = (kind, name)
        result = self._under_way.get(key)
        if result is None:
            result = self._under_way[key] = AsyncResult()
            # A greenlet of its own: whoever wished first may be gone before the answer comes.
            gevent.spawn(self._ask, key, monotonic() + within_s)
        answer: Answer | None = result.wait(within_s)
        return answer or Answer("timeout", f"control has not answered within {within_s:g} s")

    # Private

    def _ask(self, key: tuple[str, str], deadline: float) -> None:
        answer = Answer("internal")
        try:
            answer = self._answer(*key, deadline)
        finally:
            self._under_way.pop(key).set(answer)

    def _answer(self, kind: str, name: str, deadline: float) -> Answer:
        body = json.dumps({"name": name}).encode()
        fields = {"Host": "control", "Content-Type": "application/json"}
        while True:
            left_s = deadline - monotonic()
            if left_s <= 0:
                return Answer("timeout", "control has not answered in time")
            try:
                response = self._fetcher.fetch(
                    self._peer, "POST", f"/v1/wishes/{kind}", fields, body=body, timeout_s=left_s
                )
            except EdgeError:
                gevent.sleep(AGAIN_S)
                continue
            if response.status == 200:
                return Answer()
            return _refusal(response.body or b"")


Waiter = Callable[[str, str, float], Answer]
"""How a hook sees `Wishes.wait`."""


# Private


def _refusal(body: bytes) -> Answer:
    try:
        said = json.loads(body)
        return Answer(str(said["error"]), str(said["message"]))
    except (ValueError, KeyError, TypeError):
        return Answer("internal", "control has answered nothing that makes sense")
