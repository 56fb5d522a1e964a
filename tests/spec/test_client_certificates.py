"""Certificates of clients: who is let in, and by what connection."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import TestAuthority
from tests.support.client import Answer, Client
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import ScriptedOrigin
from tests.support.ports import free_address
from tests.support.secure import own
from tests.support.tls_client import TlsClient, context_for

ASKS = 'client_ca = "tls/clients.pem"\n'
MAY_ASK = ASKS + "client_required = false\n"
FINGERPRINT = "X-Client-Certificate-Sha256"

Pair = tuple[Path, Path]


class Asking:
    """An edged whose a.test needs a client's certificate, while b.test takes one."""

    def __init__(self, origin: ScriptedOrigin) -> None:
        self.origin = origin
        self.https = free_address()
        tls = "[tls]\nredirect = false\ndefault = 'c.test'\n"
        self.edged = Edged(workers=2, server=f'https = ["{self.https}"]\n{tls}')
        folder = self.edged.folder / "tls"
        folder.mkdir()
        self.ca, self.clients, others = (
            TestAuthority(folder, name) for name in ("tests", "clients", "others")
        )
        for name in ("a.test", "b.test", "c.test"):
            self.ca.issue(name)
        self.ada = self.clients.issue("ada", into="ada")
        self.eve = others.issue("eve", into="eve")
        self.folder = folder

    def text(self, asks: str = ASKS) -> str:
        peer = self.origin.address
        return (
            route("a.test", peer) + own("a.test", asks)
            + route("a.test/sibling/*", peer)
            + route("b.test", peer) + own("b.test", MAY_ASK)
            + route("c.test", peer) + own("c.test")
        )  # fmt: skip

    def client(self, name: str | None, pair: Pair | None = None) -> TlsClient:
        context = context_for(self.ca.root if name else None)
        if pair:
            context.load_cert_chain(*pair)
        return TlsClient(self.https, name, context)

    def told(self, host: str, pair: Pair | None, path: str = "/") -> str:
        """What a peer is told of the client, who lies about it."""
        with self.client(host, pair) as client:
            client.get(path, host=host, fields=f"{FINGERPRINT}: forged\r\n")
        return self.origin.requests[-1].get(FINGERPRINT)


@pytest.fixture
def asking(origin: ScriptedOrigin) -> Iterator[Asking]:
    found = Asking(origin)
    found.edged.write(found.text())
    with found.edged:
        yield found


def ask(client: Client, host: str, path: str = "/") -> Answer:
    client.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return client.read_answer()


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.get("X-Edge-Error")


def test_a_client_with_a_certificate_is_let_in_and_the_peer_is_told(asking: Asking) -> None:
    told = asking.told("a.test", asking.ada)
    assert len(told) == 64
    assert asking.told("a.test", asking.ada, "/sibling/x") == told
    assert asking.told("b.test", asking.ada) == told


@pytest.mark.parametrize("who", ["nobody", "eve"])
def test_a_client_without_a_good_one_gets_no_handshake(asking: Asking, who: str) -> None:
    with pytest.raises((ssl.SSLError, OSError)):
        asking.told("a.test", asking.eve if who == "eve" else None)


def test_a_host_may_let_strangers_in_as_such(asking: Asking) -> None:
    assert asking.told("b.test", None) == ""
    with pytest.raises((ssl.SSLError, OSError)):
        asking.told("b.test", asking.eve)


@pytest.mark.parametrize("path", ["/", "/sibling/x"])
def test_plain_http_is_no_way_around_it(asking: Asking, path: str) -> None:
    with Client(asking.edged.address) as client:
        assert refusal(ask(client, "a.test", path)) == (403, "client-certificate")
        assert ask(client, "c.test").status == 200
    assert [request.get("Host") for request in asking.origin.requests] == ["c.test"]


@pytest.mark.parametrize("name", [None, "b.test", "c.test"])
def test_a_connection_of_another_name_is_no_way_around_it(asking: Asking, name: str | None) -> None:
    with asking.client(name, asking.ada) as client:
        assert refusal(ask(client, "a.test")) == (421, "misdirected")


def test_a_session_of_one_name_goes_on_at_no_other(asking: Asking) -> None:
    context = context_for(asking.ca.root)
    context.load_cert_chain(*asking.ada)
    with TlsClient(asking.https, "b.test", context) as client:
        client.get(host="b.test")
        session = client.tls.session
    assert session is None or not session.has_ticket
    with TlsClient(asking.https, "b.test", context, session=session) as client:
        client.get(host="b.test")
        assert not client.tls.session_reused


def test_who_is_asked_for_can_change_while_it_serves(asking: Asking) -> None:
    """A connection of before is no way around it, either."""
    asking.edged.write(asking.text(asks=""))
    asking.edged.reload()
    with asking.client("a.test") as early:
        assert early.get(host="a.test")
        asking.edged.write(asking.text())
        asking.edged.reload()
        assert refusal(ask(early, "a.test")) == (421, "misdirected")
    others = 'client_ca = "tls/others.pem"\n'
    asking.edged.write(asking.text(others))
    asking.edged.reload()
    assert len(asking.told("a.test", asking.eve)) == 64
    with pytest.raises((ssl.SSLError, OSError)):
        asking.told("a.test", asking.ada)


@pytest.mark.parametrize("mode", ["own", "internal", "auto"])
def test_a_file_without_authorities_is_refused_at_a_reload(asking: Asking, mode: str) -> None:
    (asking.folder / "bad.pem").write_text("hello")
    settings = 'client_ca = "tls/bad.pem"\n'
    tls = own("d.test", settings) if mode == "own" else f"[route.tls]\nmode = '{mode}'\n{settings}"
    asking.ca.issue("d.test")
    host = "d.example.com" if mode == "auto" else "d.test"  # whose certificate is a public CA's
    asking.edged.write(asking.text() + route(host, asking.origin.address) + tls)
    outcome = asking.edged.ctl("reload")
    assert outcome.code == 1
    assert "tls/bad.pem" in outcome.err
    assert "edged.toml:" in outcome.err
    assert asking.told("a.test", asking.ada)


def test_authorities_that_change_are_taken_up(asking: Asking) -> None:
    both = asking.ca.folder / "clients.pem"
    both.write_text(both.read_text() + (asking.folder / "others.pem").read_text())

    def is_in() -> bool:
        return len(asking.told("a.test", asking.eve)) == 64

    eventually(is_in, 20)
