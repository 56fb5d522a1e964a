"""Certificates of public CAs: what the keeper is asked for, and how workers answer its challenges.

A challenge is a row of the table, so any worker answers it; the keeper goes on when all have it.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from control.acme.alpn import challenge_certificate
from control.acme.keeper import Keeper
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
from control.certstore import CertificateStore
from control.config.hosts import Acme, HostTls
from control.events import Events
from control.publish import Changes, Publisher
from control.refusal import Refused
from control.store import Store
from edge.table.model import Certificate, encode

log = logging.getLogger("control.issuing")

HTTP: Final = "http-01:"
ALPN: Final = "alpn-01:"
CHALLENGES: Final = (HTTP, ALPN)


@dataclass(slots=True)
class TableSolver:
    """The keeper's `Solver`: challenges as rows of the table."""

    publisher: Publisher
    files: CertificateStore

    def present(self, kind: Kind, name: str, token: str, key_authorization: str) -> None:
        """Returns when the workers can answer it; one that does not take it up in time is warned
        of. Raises `Refused`."""
        if kind is Kind.HTTP:
            row, text = HTTP + token, key_authorization
        else:
            chain, key = challenge_certificate(name, key_authorization)
            row, text = ALPN + name, encode(self._placed(name, chain, key))
        late = self.publisher.publish(Changes(put={row: text})).unacked
        if late:
            log.warning("slots %s cannot answer for %s yet", ", ".join(map(str, late)), name)

    def withdraw(self, kind: Kind, name: str, token: str, key_authorization: str) -> None:
        """Nobody asks any more. Raises `Refused`."""
        row = HTTP + token if kind is Kind.HTTP else ALPN + name
        if row in self.publisher.published:
            self.publisher.publish(Changes(put={}, removed=(row,)), within_s=0.0)

    def rows(self) -> dict[str, str]:
        """The challenges that stand: a reload leaves them."""
        published = self.publisher.published
        return {key: text for key, text in published.items() if key.startswith(CHALLENGES)}

    # Private

    def _placed(self, name: str, chain_pem: bytes, key_pem: bytes) -> Certificate:
        try:
            place = self.files.put(chain_pem, key_pem)
        except OSError as error:
            text = f"the challenge of {name} is not kept: {error.filename}: {error.strerror}."
            raise Refused("disk-full", text) from None
        return Certificate(chain=place.chain, key=place.key, fingerprint=place.fingerprint)


@dataclass(slots=True)
class Issuing:
    """The keeper, and what it is asked for."""

    keeper: Keeper
    solver: TableSolver
    _acme: Acme = field(default_factory=Acme)

    def follow(self, hosts: Iterable[HostTls], acme: Acme | None = None) -> None:
        """Certificates for those hosts, and no others, from now on; with other settings, maybe."""
        self._acme = acme or self._acme
        self.keeper.want([spec_of(host.host, self._acme) for host in hosts])

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
    folder: str, store: Store, publisher: Publisher, events: Events, files: CertificateStore
) -> Issuing:
    """The issuing of an edged; `folder` is the keeper's vault."""
    solver = TableSolver(publisher, files)
    return Issuing(Keeper(Vault(folder), store, events, solver), solver)


def read_issued(cert: Cert) -> tuple[bytes, bytes]:
    """Chain and key of a certificate in the vault. Raises `Refused`."""
    try:
        return Path(cert.chain_path).read_bytes(), Path(cert.key_path).read_bytes()
    except OSError as error:
        raise Refused("disk-full", f"{cert.folder} cannot be read: {error.strerror}.") from None
