"""Four peers, and something is wrong with each: clients see nothing of what a retry can hide."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.load import Load
from tests.support.origin import Received, Reply, ScriptedOrigin
from tests.support.web_origin import WebOrigin

TABLES = """
[route.ejection]
failures = 2
lasts = "1s"

[limits]
attempts = 4
"""


class Turning:
    """A peer that answers well until it is told to answer garbage."""

    def __init__(self) -> None:
        self.is_broken = False

    def __call__(self, request: Received) -> Reply:
        if self.is_broken:
            return b"\x16\x03\x01 what is this?\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def fleet() -> Iterator[list[WebOrigin]]:
    made = [WebOrigin(name=name) for name in ("killed", "hung", "slow")]
    yield made
    for each in made:
        each.stop()


def test_one_killed_one_hung_one_slow_one_talking_garbage(fleet: list[WebOrigin]) -> None:
    killed, hung, slow = fleet
    turning = Turning()
    with ScriptedOrigin(turning) as garbage:
        addresses = [killed.address, hung.address, slow.address, garbage.address]
        extra = 'balance = "least_conn"\nfirst_byte = "500ms"'
        with (
            Edged(route("*", addresses, extra) + TABLES, workers=2) as edged,
            Load(edged.address, kept=6, fresh=2, path="/bytes/10") as load,
        ):
            eventually(lambda: answered(edged) > 300)
            killed.stop()
            turning.is_broken = True
            eventually(lambda: counted(edged, "retries") > 5)
            os.kill(hung.pid, signal.SIGSTOP)
            before = answered(edged)
            eventually(lambda: answered(edged) > before + 1000, 30)
            os.kill(hung.pid, signal.SIGCONT)
            turning.is_broken = False
            before = answered(edged)
            eventually(lambda: answered(edged) > before + 300, 30)
            report = load.stop()
    assert report.failed == 0, report
    assert set(report.statuses) == {"200"}, report


def answered(edged: Edged) -> int:
    return int(edged.ctl_json("status")["totals"]["exchanges"])


def counted(edged: Edged, name: str) -> int:
    return int(edged.ctl_json("status")["totals"][name])
