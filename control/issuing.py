"""Certificates of public CAs: what the keeper is asked for, and how workers answer its challenges.

A challenge is a row of the table, so any worker answers it; the keeper goes on when all have it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from control.acme.alpn import challenge_certificate
from control.acme.keeper import Keeper, Store
from control.acme.spec import (
    LETS_ENCRYPT,
    Authority,
    Binding,
    CertSpec,
    DnsHook,
    KeyType,
    Kind,
)
from control.acme.vault import Cert, Vault
from control.config.hosts import Acme, HostTls
from control.events import Events
from control.publish import Changes, Publisher
from control.refusal import Refused
from edge.table.model import Certificate, encode

HTTP: Final = "http-01:"
ALPN: Final = "alpn-01:"
CHALLENGES: Final = (HTTP, ALPN)

Place = Callable[[bytes, bytes], Certificate]
"""Puts a chain and a key where workers can read them."""


@dataclass(slots=True)
class TableSolver:
    """The keeper's `Solver`: challenges as rows of the table."""

    publisher: Publisher
    place: Place

    def present(self, kind: Kind, name: str, token: str, key_authorization: str) -> None:
        """Returns when every worker can answer it. Raises `Refused`."""
        if kind is Kind.HTTP:
            row, text = HTTP + token, key_authorization
        else:
            chain, key = challenge_certificate(name, key_authorization)
            row, text = ALPN + name, encode(self.place(chain, key))
        self.publisher.publish(Changes(put={row: text}))

    def withdraw(self, kind: Kind, name: str, token: str, key_authorization: str) -> None:
        """Nobody asks any more. Raises `Refused`."""
        row = HTTP + token if kind is Kind.HTTP else ALPN + name
        if row in self.publisher.published:
            self.publisher.publish(Changes(put={}, removed=(row,)), within_s=0.0)

    def rows(self) -> dict[str, str]:
        """The challenges that stand: a reload leaves them."""
        published = self.publisher.published
        return {key: text for key, text in published.items() if key.startswith(CHALLENGES)}


@dataclass(slots=True)
class Issuing:
    """The keeper, and what it is asked for."""

    keeper: Keeper
    solver: TableSolver
    _acme: Acme = field(default_factory=Acme)

    def follow(self, hosts: Iterable[HostTls], acme: Acme) -> None:
        """Certificates for those hosts, and no others, from now on."""
        self._acme = acme
        self.keeper.want([spec_of(host.host, acme) for host in hosts])

    def described(self) -> dict[str, dict[str, Any]]:
        """What the keeper says of each host."""
        return {each["id"]: each for each in self.keeper.listed()}


def spec_of(host: str, acme: Acme) -> CertSpec:
    """What is wanted for a host."""
    binding = Binding(kid=acme.account[0], hmac_key=acme.account[1]) if acme.account else None
    authorities = tuple(
        Authority(directory=url, ca_file=acme.ca_file, binding=binding)
        for url in acme.directories or (LETS_ENCRYPT,)
    )
    dns = None
    if acme.dns_hook.endswith(".py"):
        dns = DnsHook(file=acme.dns_hook, wait_s=acme.dns_wait_s)
    elif acme.dns_hook:
        dns = DnsHook(command=(acme.dns_hook,), wait_s=acme.dns_wait_s)
    kinds = tuple(Kind(each) for each in acme.challenges) or tuple(Kind)
    return CertSpec(
        id=host,
        names=(host.strip("[]"),),
        authorities=authorities,
        email=acme.email,
        profile=acme.profile,
        key_type=KeyType(acme.key_type),
        kinds=kinds,
        dns=dns,
    )


def issuing_of(
    folder: str, store: Store, publisher: Publisher, events: Events, place: Place
) -> Issuing:
    """The issuing of an edged; `folder` is the keeper's vault."""
    solver = TableSolver(publisher, place)
    return Issuing(Keeper(Vault(folder), store, events, solver), solver)


def read_issued(cert: Cert) -> tuple[bytes, bytes]:
    """Chain and key of a certificate in the vault. Raises `Refused`."""
    try:
        return Path(cert.chain_path).read_bytes(), Path(cert.key_path).read_bytes()
    except OSError as error:
        raise Refused("disk-full", f"{cert.folder} cannot be read: {error.strerror}.") from None
