"""Certificates: those of the configuration's own files, and what every worker is given of all."""

import datetime
import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.event import Event

from control import tickets
from control.acme.keeper import Store
from control.acme.vault import Cert
from control.authority import Authority, is_due, is_internal
from control.certstore import CertificateStore, store_of
from control.config import pem
from control.config.hosts import Acme, HostTls
from control.events import Events
from control.issuing import Issuing, issuing_of, read_issued
from control.publish import Changes, Publisher
from control.refusal import Refused
from edge.table.model import Certificate, decode_certificate, encode
from supervisor.spec import Spec

log = logging.getLogger("control.certificates")

ROW: Final = "cert:"
VAULT: Final = "acme"
LOOK_S: Final = 5.0
"""How often own files are looked at for changes."""

CLEAN_S: Final = 3600.0
"""Old folders are removed that often."""

AT_ONCE: Final = 200
"""Certificates of the keeper that are put in place before others have a turn."""


_Origin = tuple[str, HostTls, tuple[int, ...]]
"""Where something in place came from: the vault's file, the host's settings, their files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A certificate that is in place."""

    certificate: Certificate
    issuer: str
    not_before: datetime.datetime
    not_after: datetime.datetime


@dataclass(slots=True)
class CertificateDesk:
    """All certificates that workers have."""

    files: CertificateStore
    vault: str  # the keeper's folder
    publisher: Publisher
    events: Events
    authority: Authority
    store: Store
    _hosts: dict[str, HostTls] = field(default_factory=dict)
    _served: dict[str, Served] = field(default_factory=dict)  # by host
    _stamps: dict[str, tuple[int, ...]] = field(default_factory=dict)  # of own files, by host
    _refused: dict[str, str] = field(default_factory=dict)  # why, by host
    _staged: dict[str, Served] = field(default_factory=dict)  # made for rows not published yet
    _installed: dict[str, _Origin] = field(default_factory=dict)  # what is in place, by host
    _wake: Event = field(default_factory=Event)
    _issuing: Issuing = field(init=False)

    def __post_init__(self) -> None:
        self._issuing = issuing_of(self.vault, self.store, self.publisher, self.events, self._place)
        self._issuing.keeper.installed = lambda cert: self._install([cert])

    def start(self) -> None:
        """Begin to look after them."""
        gevent.spawn(tickets.renew_on, self.publisher.segment)
        gevent.spawn(self._look_on)
        self._issuing.keeper.start()

    def rows(self, hosts: Iterable[HostTls], *, strict: bool = True) -> dict[str, str]:
        """The rows of those hosts. Raises `Refused` (`config-invalid`) for own files that are bad;
        without `strict` their hosts go without, or keep what they have."""
        found = self._issuing.solver.rows()
        problems: dict[str, str] = {}
        self._staged.clear()
        for host in hosts:
            row = _row(host)
            published = self.publisher.published.get(row)
            keeps = self._is_public(host) or (host.mode == "own" and not strict)
            if published is not None and keeps:
                # What was served is served: until the keeper has another, and at the start, where
                # ten thousand files would take a while to read.
                found[row] = published
                continue
            try:
                served = self._made(host)
            except ValueError as error:
                problems[host.host] = f"{host.owner}: route.tls: {error}"
                continue
            if served is not None:
                self._staged[host.host] = served
                found[row] = encode(served.certificate)
        if problems and strict:
            raise Refused("config-invalid", "\n".join(problems.values()))
        for name, problem in problems.items():
            log.error("%s", problem)
            self._refused[name] = problem
        return found

    def follow(self, hosts: tuple[HostTls, ...], acme: Acme) -> None:
        """Those are the hosts now."""
        self._hosts = {host.host: host for host in hosts}
        self._settle()
        for known in (self._served, self._refused, self._installed):
            for gone in known.keys() - self._hosts.keys():
                known.pop(gone)
        self._issuing.follow([host for host in hosts if self._is_public(host)], acme)
        self._wake.set()
        self._stamps = {
            host.host: _stamps(host)
            for host in hosts
            if host.mode == "own" and host.host in self._served
        }

    def listed(self) -> list[dict[str, Any]]:
        """Every host, and what it is served with."""
        kept = self._issuing.described()
        return [
            self._described(host, kept.get(host.host, {}))
            for host in self._hosts.values()
            if host.mode != "off"
        ]

    def renew(self, host: str) -> dict[str, Any]:
        """Obtain a new one from the CA now. Raises `Refused`."""
        self._issuing.keeper.renew(host)
        return {"host": host}

    def revoke(self, host: str) -> dict[str, Any]:
        """Have the CA revoke it; a new one follows. Raises `Refused`."""
        self._issuing.keeper.revoke(host)
        return {"host": host}

    # Private

    def _made(self, host: HostTls) -> Served | None:
        """Its certificate, if that is ours to make. Raises `ValueError`."""
        if host.mode == "own":
            return self._own(host)
        if self._is_internal(host):
            try:
                self._renew_internal(host)
            except Refused as refusal:
                log.error("%s: %s", host.host, refusal.message)
                self._refused[host.host] = refusal.message
            return self._served.get(host.host)
        return None

    def _settle(self) -> None:
        """What `rows` has made is published."""
        for name, served in self._staged.items():
            self._served[name] = served
            self._refused.pop(name, None)
        self._staged.clear()

    def _is_public(self, host: HostTls) -> bool:
        return host.mode == "auto" and not is_internal(host.host)

    def _place(self, chain_pem: bytes, key_pem: bytes) -> Certificate:
        """Where workers can read it. Raises `Refused`."""
        return self._kept(HostTls(host="", owner=""), chain_pem, key_pem)

    def _install(self, certs: Iterable[Cert]) -> None:
        """Give workers what the keeper has, where that is not in place. Raises `Refused`."""
        rows: dict[str, str] = {}
        fresh: dict[str, tuple[_Origin, Served]] = {}
        for cert in certs:
            host = self._hosts.get(cert.id)
            if host is None:
                continue
            origin = (cert.chain_path, host, _stamps(host))
            if self._installed.get(cert.id) == origin:
                continue
            served = self._from_vault(cert, host)
            rows[_row(host)] = encode(served.certificate)
            fresh[cert.id] = (origin, served)
        self._publish(rows)
        for name, (origin, served) in fresh.items():
            self._installed[name], self._served[name] = origin, served

    def _from_vault(self, cert: Cert, host: HostTls) -> Served:
        """Raises `Refused`."""
        chain_pem, key_pem = read_issued(cert)
        certificate = self._kept_for(host, chain_pem, key_pem)
        return Served(
            certificate=certificate,
            issuer=cert.issuer,
            not_before=_moment(cert.not_before),
            not_after=_moment(cert.not_after),
        )

    def _install_rest(self) -> None:
        """At a start that is all that the keeper has, so others have their turn between."""
        certs = [*self._issuing.keeper.served().values()]
        for first in range(0, len(certs), AT_ONCE):
            try:
                self._install(certs[first : first + AT_ONCE])
            except Refused as refusal:
                log.error("certificates are not in place yet: %s", refusal.message)
            gevent.sleep(0)

    def _is_internal(self, host: HostTls) -> bool:
        return host.mode == "internal" or (host.mode == "auto" and is_internal(host.host))

    def _renew_internal(self, host: HostTls) -> bool:
        """Have a fresh one from the internal CA, if it is due; whether it was. Raises `Refused`."""
        served = self._served.get(host.host)
        now = self.authority.clock()
        if served is not None and not is_due(served.not_before, served.not_after, now):
            return False
        issued = self.authority.issue([host.host.strip("[]")])
        certificate = self._kept_for(host, issued.chain_pem, issued.key_pem)
        self._served[host.host] = Served(
            certificate=certificate,
            issuer="the internal CA",
            not_before=issued.not_before,
            not_after=issued.not_after,
        )
        self._refused.pop(host.host, None)
        return True

    def _own(self, host: HostTls) -> Served:
        """Raises `ValueError`."""
        pair = pem.read_pair(host.cert, host.key)
        problem = pem.problem_of(pair, host.cert, host.host, datetime.datetime.now(datetime.UTC))
        if problem:
            raise ValueError(problem)
        certificate = self._kept(host, pair.chain_pem, pair.key_pem)
        return Served(
            certificate=certificate,
            issuer=pair.issuer,
            not_before=pair.not_before,
            not_after=pair.not_after,
        )

    def _kept(self, host: HostTls, chain_pem: bytes, key_pem: bytes) -> Certificate:
        """Keep it where workers can read it. Raises `ValueError` for a bad `client_ca`, `Refused`
        when the disk is full."""
        client_pem = _read(host.client_ca) if host.client_ca else b""
        try:
            place = self.files.put(chain_pem, key_pem, client_pem)
        except OSError as error:
            name = host.host or "a challenge"
            text = f"the certificate of {name} is not kept: {error.filename}: {error.strerror}."
            raise Refused("disk-full", text) from None
        return Certificate(
            chain=place.chain,
            key=place.key,
            fingerprint=place.fingerprint,
            owner=host.owner,
            client_ca=place.client_ca if client_pem else "",
            client_required=bool(client_pem) and host.client_required,
        )

    def _kept_for(self, host: HostTls, chain_pem: bytes, key_pem: bytes) -> Certificate:
        """The same for one that nobody waits for. Raises `Refused`."""
        try:
            return self._kept(host, chain_pem, key_pem)
        except ValueError as error:
            raise Refused("config-invalid", f"{host.owner}: route.tls: {error}") from None

    def _publish(self, rows: dict[str, str]) -> bool:
        """Whether anything was new. Raises `Refused`."""
        published = self.publisher.published
        with self.publisher.lock:
            put = {key: text for key, text in rows.items() if published.get(key) != text}
            if put:
                self.publisher.publish(Changes(put=put), within_s=0.0)
            return bool(put)

    def _look_on(self) -> None:
        cleaned = 0.0
        while True:
            self._wake.wait(LOOK_S)
            self._wake.clear()
            try:
                self._look()
                if time.monotonic() - cleaned > CLEAN_S:
                    cleaned = time.monotonic()
                    self._clean()
            except Exception:  # a bug here must not end the renewals of all
                log.exception("certificates could not be looked after")

    def _look(self) -> None:
        self._install_rest()
        for host in [*self._hosts.values()]:
            if host.mode == "own" and _stamps(host) != self._stamps.get(host.host):
                self._stamps[host.host] = _stamps(host)
                self._renew_own(host)
                gevent.sleep(0)
            elif self._is_internal(host):
                self._renew_internal_soon(host)

    def _renew_internal_soon(self, host: HostTls) -> None:
        try:
            if self._renew_internal(host):
                row = encode(self._served[host.host].certificate)
                self._publish({_row(host): row})
        except Refused as refusal:
            self._refused[host.host] = refusal.message
            log.error("%s: %s", host.host, refusal.message)

    def _renew_own(self, host: HostTls) -> None:
        """Its files were changed: the new one serves, if it is any good."""
        try:
            is_new = self._publish(self.rows([host]))
            self._settle()
            if not is_new:
                return
        except Refused as refusal:
            self._refused[host.host] = refusal.message
            text = f"{host.host} keeps its certificate: {refusal.message}"
            self.events.add("certificate-refused", text, host=host.host)
            return
        text = f"{host.host} has another certificate"
        log.info("%s", text)
        self.events.add("certificate-changed", text, host=host.host)

    def _clean(self) -> None:
        """Remove folders that no row has named for long."""
        named = {
            os.path.dirname(decode_certificate(text).chain)
            for key, text in self.publisher.published.items()
            if key.startswith(ROW)
        }
        self.files.clean(named)

    def _described(self, host: HostTls, kept: dict[str, Any]) -> dict[str, Any]:
        served = self._served.get(host.host)
        return {
            "host": host.host,
            "mode": host.mode,
            "from": host.owner,
            "issuer": served.issuer if served else "",
            "not_after": served.not_after.timestamp() if served else None,
            "fingerprint": served.certificate.fingerprint if served else "",
            "state": kept.get("state", "valid" if served else "missing"),
            "next": kept.get("next", ""),
            "next_at": kept.get("next_at"),
            "problem": self._refused.get(host.host) or kept.get("last_error") or "",
        }


def desk_of(spec: Spec, publisher: Publisher, events: Events, store: Store) -> CertificateDesk:
    """The desk of an edged."""
    return CertificateDesk(
        files=store_of(spec),
        vault=os.path.join(spec.state_dir, VAULT),
        publisher=publisher,
        events=events,
        authority=Authority(os.path.join(spec.state_dir, "authority")),
        store=store,
    )


# Private


def _row(host: HostTls) -> str:
    return ROW + host.host.strip("[]")


def _stamps(host: HostTls) -> tuple[int, ...]:
    """What changes when one of the files does."""
    stamps = []
    for path in (host.cert, host.key, host.client_ca):
        try:
            found = os.stat(path) if path else None
        except OSError:
            found = None
        stamps += [found.st_mtime_ns, found.st_ino, found.st_size] if found else [0, 0, 0]
    return tuple(stamps)


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f'"{path}" cannot be read: {error.strerror}') from None
