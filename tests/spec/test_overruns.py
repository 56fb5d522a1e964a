"""Hooks that ask a peer who says nothing, until their time is over: nobody else notices."""

from collections.abc import Iterator

import pytest

from tests.support.client import Client
from tests.support.edged import Edged, route
from tests.support.origin import End, ScriptedOrigin

HOOK = """
from edge import Hook

class Ask(Hook):
    def request_filter(self, exchange):
        if exchange.request.path.startswith("/ask"):
            exchange.fetch("PEER", timeout_s=30)
"""


@pytest.fixture
def late(origin: ScriptedOrigin) -> Iterator[Edged]:
    """One worker whose hook asks a peer that keeps silent, and may do so for a moment."""
    with ScriptedOrigin([End.HANG]) as silent:
        text = route("a.test", origin.address) + '[timeouts]\nhook = "300ms"\n'
        files = {"hooks.py": HOOK.replace("PEER", silent.address)}
        with Edged(text, server='hooks = ["hooks.py"]', files=files) as edged:
            yield edged


def test_a_hook_that_overran_leaves_nothing_behind(late: Edged, origin: ScriptedOrigin) -> None:
    workers = late.workers()
    with Client(late.address) as client, Client(late.address) as other:
        for _ in range(6):
            client.send(b"GET /ask HTTP/1.1\r\nHost: a.test\r\n\r\n")
            answer = client.read_answer()
            assert (answer.status, answer.get("X-Edge-Error")) == (500, "hook-error")
            for each in (client, other):
                each.send(b"GET /quick HTTP/1.1\r\nHost: a.test\r\n\r\n")
                assert each.read_answer().status == 200
    assert late.workers() == workers
    assert "Traceback" not in late.log
