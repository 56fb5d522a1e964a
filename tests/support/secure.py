"""An edged with TLS and certificates of a CA of its own, in front of an origin."""

import contextlib
from collections.abc import Iterator
from typing import Final

from tests.support.certificates import TestAuthority
from tests.support.edged import Edged, route
from tests.support.origin import ScriptedOrigin
from tests.support.ports import free_address
from tests.support.tls_client import TlsByHand, TlsClient, context_for

NAMES: Final = {
    "a.test": ("a.test",),
    "b.test": ("b.test", "also-b.test"),
    "wild": ("*.wild.test",),
    "exact": ("exact.wild.test",),
    "address": ("127.0.0.1",),
}


class Secure:
    """An edged with TLS, in front of an origin."""

    def __init__(self, edged: Edged, https: str, ca: TestAuthority) -> None:
        self.edged = edged
        self.https = https
        self.ca = ca

    def client(self, name: str | None = "a.test", **options: object) -> TlsClient:
        """Trusts the test's CA, or nobody's name where there is none."""
        context = context_for(self.ca.root if name else None, **options)
        return TlsClient(self.https, name, context)

    def by_hand(self, name: str = "a.test") -> TlsByHand:
        """The same, before its hello is sent."""
        return TlsByHand(self.https, name, context_for(self.ca.root))

    @property
    def failures(self) -> int:
        """How many handshakes have failed so far."""
        count: int = self.edged.ctl_json("status")["totals"]["tls_failures"]
        return count

    @property
    def connections(self) -> int:
        """How many connections the workers have open, as they say each moment."""
        status = self.edged.ctl_json("status")
        return sum(worker["connections"] for worker in status["workers"])


def own(name: str, more: str = "") -> str:
    return f'[route.tls]\ncert = "tls/{name}.crt"\nkey = "tls/{name}.key"\n{more}\n'


def body(origin: str) -> str:
    return (
        route("a.test", origin) + own("a.test")
        + route(["b.test", "also-b.test"], origin) + own("b.test")
        + route("*.wild.test", extra='respond = "wild"') + own("wild")
        + route("exact.wild.test", extra='respond = "exact"') + own("exact")
        + route("plain.test", origin, 'tls = "off"')
    )  # fmt: skip


@contextlib.contextmanager
def serving(
    origin: ScriptedOrigin, tls: str = "", server: str = "", workers: int = 2
) -> Iterator[Secure]:
    https = free_address()
    edged = Edged(workers=workers, server=f'https = ["{https}"]\n{server}\n[tls]\n{tls}\n')
    folder = edged.folder / "tls"
    folder.mkdir()
    ca = TestAuthority(folder)
    for stem, names in NAMES.items():
        ca.issue(*names, into=stem)
    edged.write(body(origin.address))
    with edged:
        yield Secure(edged, https, ca)


def subject_of(client: TlsClient) -> set[str]:
    found = client.tls.getpeercert() or {}
    return {value for _, value in found["subjectAltName"]}  # type: ignore[misc]
