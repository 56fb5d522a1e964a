"""TLS on the way to peers: who is believed, and what happens when nobody is."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.certificates import TestAuthority
from tests.support.client import Answer, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.ports import free_address


class Far:
    """A server that speaks TLS only: another edged."""

    def __init__(self, edged: Edged, address: str, ca: TestAuthority) -> None:
        self.edged = edged
        self.address = address
        self.ca = ca


@pytest.fixture(scope="module")
def far() -> Iterator[Far]:
    address = free_address()
    server = f'https = ["{address}"]\n[tls]\ndefault = "far.test"\nredirect = false\n'
    edged = Edged(server=server, workers=1)
    folder = edged.folder / "tls"
    folder.mkdir()
    ca = TestAuthority(folder)
    clients = TestAuthority(folder, "clients")
    for name in ("far.test", "asks.test", "127.0.0.1"):
        ca.issue(name)
    clients.issue("edge", into="edge")
    for path in folder.iterdir():
        path.chmod(0o644)
    own = '[route.tls]\ncert = "tls/{0}.crt"\nkey = "tls/{0}.key"\n'
    edged.write(
        route("far.test", extra='respond = "far"') + own.format("far.test")
        + route("127.0.0.1", extra='respond = "address"') + own.format("127.0.0.1")
        + route("asks.test", extra='respond = "asks"') + own.format("asks.test")
        + 'client_ca = "tls/clients.pem"\n'
    )  # fmt: skip
    with edged:
        yield Far(edged, address, ca)


@pytest.fixture
def near(edged: Callable[..., Edged], far: Far) -> Callable[..., Edged]:
    def start(rules: str, host: str = "far.test") -> Edged:
        text = route("near.test", far.address, f'upstream_host = "{host}"')
        folder = far.ca.folder
        return edged(f"{text}[route.upstream_tls]\n{rules.format(folder=folder)}\n", workers=2)

    return start


def ask(edged: Edged) -> Answer:
    return fetch(edged.address, host="near.test")


def test_a_peer_that_can_prove_who_it_is_is_asked(near: Callable[..., Edged]) -> None:
    edged = near('server_name = "far.test"\nca = "{folder}/tests.pem"')
    assert {ask(edged).body for _ in range(10)} == {b"far"}
    totals = edged.ctl_json("status")["totals"]
    assert totals["upstream_connects"] <= 2  # one for each worker: they are kept
    assert totals["upstream_reuses"] >= 8


@pytest.mark.parametrize(
    "rules",
    [
        'server_name = "other.test"\nca = "{folder}/tests.pem"',
        'server_name = "far.test"\nca = "{folder}/clients.pem"',
        'server_name = "far.test"',
        'server_name = "far.test"\nca = "/nowhere.pem"',
    ],
    ids=["another name", "another CA", "the system's CAs", "no such file"],
)
def test_a_peer_that_cannot_is_not(near: Callable[..., Edged], rules: str) -> None:
    edged = near(rules)
    answer = ask(edged)
    assert (answer.status, answer.get("X-Edge-Error")) == (502, "tls-failed")
    assert "Traceback" not in edged.log


def test_verifying_can_be_left_out(near: Callable[..., Edged]) -> None:
    assert ask(near('server_name = "far.test"\nverify = false')).body == b"far"


def test_the_edge_shows_a_certificate(near: Callable[..., Edged]) -> None:
    shown = 'cert = "{folder}/edge.crt"\nkey = "{folder}/edge.key"\n'
    rules = 'server_name = "asks.test"\nca = "{folder}/tests.pem"\n'
    assert ask(near(rules + shown, "asks.test")).body == b"asks"
    assert ask(near(rules, "asks.test")).status == 502


def test_files_that_change_hold_from_the_next_connection_on(
    near: Callable[..., Edged], far: Far
) -> None:
    whom = far.ca.folder / "whom.pem"
    whom.write_text((far.ca.folder / "clients.pem").read_text())
    whom.chmod(0o644)
    edged = near('server_name = "far.test"\nca = "{folder}/whom.pem"')
    assert ask(edged).status == 502
    whom.write_text(far.ca.root.read_text())
    eventually(lambda: {ask(edged).body for _ in range(6)} == {b"far"}, 20)


def test_a_peer_without_tls_is_no_peer(edged: Callable[..., Edged], far: Far) -> None:
    text = route("near.test", far.edged.address) + "[route.upstream_tls]\nverify = false\n"
    answer = ask(edged(text, workers=2))
    assert (answer.status, answer.get("X-Edge-Error")) == (502, "tls-failed")
