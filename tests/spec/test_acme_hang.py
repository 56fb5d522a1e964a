"""A CA that takes connections and never answers: nobody but its certificates waits for it."""

import time

from tests.support.acme_front import AcmeFront
from tests.support.automatic import HOST, Automatic, line, state
from tests.support.client import fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually

AT_ONCE = 15
"""So many attempts are under way at least: the first host may have one more question."""

SOON_S = 5.0
"""Far less than the CA is waited for."""


def test_a_reload_does_not_wait_for_a_ca_that_hangs(automatic: Automatic) -> None:
    text = route(HOST, extra='respond = "first"')
    with (
        AcmeFront(automatic.pebble) as front,
        automatic.edged(text, directory=front.directory) as edged,
    ):
        eventually(lambda: state(edged) == "valid", 40)  # so there is an account
        front.hang("*", times=1000)
        hosts = [f"site{number}.example" for number in range(20)]
        text += "".join(route(host, extra='respond = "due"') for host in hosts)
        before = len(front.asked)
        edged.write(text)
        edged.reload()
        eventually(lambda: len(front.asked) >= before + AT_ONCE, 20)

        text += route("plain.test", extra='respond = "plain"\ntls = "off"')
        assert reload_s(edged, text) < SOON_S
        assert fetch(edged.address, host="plain.test").body == b"plain"
        text += route("one-more.example", extra='respond = "due"')
        assert reload_s(edged, text) < SOON_S
        assert line(edged, "one-more.example")["state"] == "missing"
        assert asked(edged, hosts) in (AT_ONCE, AT_ONCE + 1)


def asked(edged: Edged, hosts: list[str]) -> int:
    """For how many of them the CA is being asked."""
    return sum(state(edged, host) == "obtaining" for host in hosts)


def reload_s(edged: Edged, text: str) -> float:
    """How long it takes until that configuration is in force."""
    edged.write(text)
    began_s = time.monotonic()
    edged.reload()
    return time.monotonic() - began_s
