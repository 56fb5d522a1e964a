"""Session tickets: they open at no host that would have asked for another certificate."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import TestAuthority
from tests.support.client import Closed, Reset
from tests.support.edged import Edged, route
from tests.support.origin import ScriptedOrigin
from tests.support.ports import free_address
from tests.support.secure import own
from tests.support.tls_client import TlsClient, context_for

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Misdirected(Exception):
    """The request must be sent on another connection."""


REFUSED = (ssl.SSLError, OSError, Closed, Reset, Misdirected)


class Hosts:
    """a.test and b.test want certificates of different CAs, may.test takes one, c.test none."""

    def __init__(self, origin: ScriptedOrigin) -> None:
        self.origin = origin
        self.https = free_address()
        self.edged = Edged(workers=2, server=f'https = ["{self.https}"]')
        folder = self.edged.folder / "tls"
        folder.mkdir()
        self.ca = TestAuthority(folder)
        self.pairs = {
            name: TestAuthority(folder, f"clients-{name}").issue(f"client-{name}") for name in "ab"
        }
        text = ""
        for name, asks in (
            ("a", 'client_ca = "tls/clients-a.pem"'),
            ("b", 'client_ca = "tls/clients-b.pem"'),
            ("may", 'client_ca = "tls/clients-a.pem"\nclient_required = false'),
            ("c", ""),
        ):
            self.ca.issue(f"{name}.test")
            text += route(f"{name}.test", origin.address) + own(f"{name}.test", asks)
        self.edged.write(text)

    def context(self, version: ssl.TLSVersion, pair: tuple[Path, Path] | None) -> ssl.SSLContext:
        """Sessions go on only within one context."""
        context = context_for(self.ca.root, minimum_version=version, maximum_version=version)
        if pair:
            context.load_cert_chain(*pair)
        return context

    def ask(self, name: str, context: ssl.SSLContext, session: Any = None) -> tuple[Any, bool]:
        """The session of a connection whose request was answered, and whether one went on."""
        host = f"{name}.test"
        with TlsClient(self.https, host, context, session=session) as client:
            client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = client.read_answer()
            if answer.status == 421:  # in TLS 1.2 a session goes on as what it was: c.test's
                raise Misdirected
            assert answer.status == 200, answer
            return client.tls.session, bool(client.tls.session_reused)


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    with ScriptedOrigin() as origin:
        found = Hosts(origin)
        with found.edged:
            yield found


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("name", ["a", "may"])
def test_a_host_that_asks_for_certificates_gives_no_tickets(
    hosts: Hosts, version: ssl.TLSVersion, name: str
) -> None:
    context = hosts.context(version, hosts.pairs["a"])
    session, _ = hosts.ask(name, context)
    assert not session.has_ticket
    assert hosts.ask(name, context, session)[1] is False


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize(
    ("start", "pair"), [("a", "a"), ("may", "a"), ("may", None), ("c", "a"), ("c", None)]
)
def test_a_session_of_another_host_opens_none_that_wants_a_certificate(
    hosts: Hosts, version: ssl.TLSVersion, start: str, pair: str | None
) -> None:
    context = hosts.context(version, hosts.pairs.get(pair or ""))
    session, _ = hosts.ask(start, context)
    assert session.has_ticket == (start == "c")
    hosts.origin.forget()
    with pytest.raises(REFUSED):
        hosts.ask("b", context, session)
    assert hosts.origin.requests == []


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_who_comes_with_a_ticket_of_a_free_host_is_a_stranger_at_one_that_asks(
    hosts: Hosts, version: ssl.TLSVersion
) -> None:
    context = hosts.context(version, None)
    session, _ = hosts.ask("c", context)
    assert session.has_ticket
    hosts.origin.forget()
    if version is ssl.TLSVersion.TLSv1_2:
        with pytest.raises(Misdirected):
            hosts.ask("may", context, session)
        assert hosts.origin.requests == []
    else:
        hosts.ask("may", context, session)
        assert hosts.origin.requests[-1].get("X-Client-Certificate-Sha256") == ""
    assert hosts.ask("c", context, session)[1] is True
