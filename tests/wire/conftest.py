"""The edged and the origin that the wire's tests share."""

from collections.abc import Iterator

import pytest

from tests.support.edged import Edged, route
from tests.support.origin import ScriptedOrigin
from tests.wire.run import Wire

SERVER = """
trusted_proxies = ["127.0.0.2/32", "10.0.0.0/8"]
proxy_protocol = ["127.0.0.3/32"]
"""
TIMEOUTS = """
[timeouts]
first_byte = "3s"
body_idle = "3s"
"""


@pytest.fixture(scope="session")
def wire() -> Iterator[Wire]:
    """A real edged with one route for all hosts; its log must stay free of tracebacks."""
    with (
        ScriptedOrigin() as origin,
        Edged(route("*", origin.address) + TIMEOUTS, server=SERVER) as edged,
    ):
        yield Wire(edged.address, origin)
        assert "Traceback" not in edged.log, edged.log
