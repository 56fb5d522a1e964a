"""Certificates: those of the configuration's own files, and what every worker is given of all.

Workers load a certificate when its name is first asked for, as the user that they run as. So each
is kept in a folder of its own, which that user alone may read, and a row of the table says where.
Another certificate is another folder: what serves is never overwritten.
"""

import datetime
import hashlib
import logging
import os
import pwd
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gevent

from control.acme.keeper import Store
from control.acme.vault import Cert
from control.authority import Authority, is_due, is_internal
from control.config import pem
from control.config.hosts import Acme, HostTls
from control.events import Events
from control.issuing import Issuing, issuing_of, read_issued
from control.publish import Changes, Publisher
from control.refusal import Refused
from edge.shared.segment import TICKET_BYTES
from edge.table.model import Certificate, decode_certificate, encode
from supervisor.spec import Spec

log = logging.getLogger("control.certificates")

ROW: Final = "cert:"
FOLDER: Final = "certs"
VAULT: Final = "acme"
LOOK_S: Final = 5.0
"""How often own files are looked at for changes."""

CLEAN_EVERY: Final = 720
"""Looks; old folders are removed that often."""

TICKETS_S: Final = 12 * 3600.0
"""How long session tickets are made with the same keys."""

KEPT_S: Final = 86400.0
"""A folder that no row names is kept that long: a draining worker may still load from it."""


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

    folder: str
    publisher: Publisher
    events: Events
    authority: Authority
    store: Store
    uid: int = -1  # whose the folders are; -1 leaves them ours
    gid: int = -1
    _hosts: tuple[HostTls, ...] = ()
    _served: dict[str, Served] = field(default_factory=dict)  # by host
    _stamps: dict[str, tuple[int, ...]] = field(default_factory=dict)  # of own files, by host
    _refused: dict[str, str] = field(default_factory=dict)  # why, by host
    _issuing: Issuing = field(init=False)

    def __post_init__(self) -> None:
        vault = os.path.join(os.path.dirname(self.folder), VAULT)
        self._issuing = issuing_of(vault, self.store, self.publisher, self.events, self._place)
        self._issuing.keeper.installed = self._install

    def start(self) -> None:
        """Begin to look after them."""
        if not self.publisher.segment.ticket_keys():
            self._renew_tickets()
        gevent.spawn(self._renew_tickets_on)
        gevent.spawn(self._look_on)
        self._issuing.keeper.start()

    def rows(self, hosts: Iterable[HostTls], *, strict: bool = True) -> dict[str, str]:
        """The rows of those hosts. Raises `Refused` (`config-invalid`) for own files that are bad;
        without `strict` their hosts go without, or keep what they have."""
        found = self._issuing.solver.rows()
        problems: list[str] = []
        for host in hosts:
            row = ROW + host.host.strip("[]")
            published = self.publisher.published.get(row)
            keeps = self._is_public(host) or (host.mode == "own" and not strict)
            if published is not None and keeps:
                # What was served is served: until the keeper has another, and at the start, where
                # ten thousand files would take a while to read.
                found[row] = published
                continue
            self._make(host, problems)
            served = self._served.get(host.host)
            if served is not None and host.mode != "off":
                found[row] = encode(served.certificate)
        if problems and strict:
            raise Refused("config-invalid", "\n".join(problems))
        for problem in problems:
            log.error("%s", problem)
        return found

    def follow(self, hosts: tuple[HostTls, ...], acme: Acme) -> None:
        """Those are the hosts now."""
        self._hosts = hosts
        self._issuing.follow([host for host in hosts if self._is_public(host)], acme)
        for cert in self._issuing.keeper.served().values():
            self._install(cert)
        self._stamps = {
            host.host: _stamps(host)
            for host in hosts
            if host.mode == "own" and host.host in self._served
        }
        self._clean()

    def listed(self) -> list[dict[str, Any]]:
        """Every host, and what it is served with."""
        kept = self._issuing.described()
        return [
            self._described(host, kept.get(host.host, {}))
            for host in self._hosts
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

    def _make(self, host: HostTls, problems: list[str]) -> None:
        """Have a certificate for it, if that is ours to make."""
        try:
            if host.mode == "own":
                self._served[host.host] = self._own(host)
            elif self._is_internal(host):
                self._renew_internal(host)
            else:
                return
            self._refused.pop(host.host, None)
        except ValueError as error:
            problems.append(f"{host.owner}: route.tls: {error}")
            self._refused[host.host] = str(error)
        except Refused as refusal:
            log.error("%s: %s", host.host, refusal.message)
            self._refused[host.host] = refusal.message

    def _is_public(self, host: HostTls) -> bool:
        return host.mode == "auto" and not is_internal(host.host)

    def _place(self, chain_pem: bytes, key_pem: bytes) -> Certificate:
        """Where workers can read it. Raises `Refused`."""
        try:
            return self._kept(HostTls(host="", owner=""), chain_pem, key_pem)
        except (OSError, ValueError) as error:
            raise Refused("disk-full", f"{self.folder} cannot be written: {error}.") from None

    def _install(self, cert: Cert) -> None:
        """Give workers what the keeper has obtained. Raises `Refused`."""
        host = next((each for each in self._hosts if each.host == cert.id), None)
        if host is None:
            return
        chain_pem, key_pem = read_issued(cert)
        try:
            certificate = self._kept(host, chain_pem, key_pem)
        except (OSError, ValueError) as error:
            raise Refused("disk-full", f"{cert.id} is not served yet: {error}.") from None
        self._served[host.host] = Served(
            certificate=certificate,
            issuer=cert.issuer,
            not_before=_moment(cert.not_before),
            not_after=_moment(cert.not_after),
        )
        self._publish({ROW + host.host.strip("[]"): encode(certificate)})

    def _is_internal(self, host: HostTls) -> bool:
        return host.mode == "internal" or (host.mode == "auto" and is_internal(host.host))

    def _renew_internal(self, host: HostTls) -> bool:
        """Have a fresh one from the internal CA, if it is due; whether it was. Raises `Refused`."""
        served = self._served.get(host.host)
        now = self.authority.clock()
        if served is not None and not is_due(served.not_before, served.not_after, now):
            return False
        issued = self.authority.issue([host.host.strip("[]")])
        try:
            certificate = self._kept(host, issued.chain_pem, issued.key_pem)
        except (OSError, ValueError) as error:
            raise Refused("disk-full", f"{host.host} has no certificate: {error}.") from None
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
        """Keep it where workers can read it. Raises `ValueError` for a bad `client_ca`."""
        client_pem = _read(host.client_ca) if host.client_ca else b""
        digest = hashlib.sha256(b"\0".join((chain_pem, key_pem, client_pem))).hexdigest()
        folder = os.path.join(self.folder, digest[:40])
        if not os.path.exists(folder):
            files = {"chain.pem": chain_pem, "key.pem": key_pem, "client.pem": client_pem}
            self._write(folder, files)
        return Certificate(
            chain=os.path.join(folder, "chain.pem"),
            key=os.path.join(folder, "key.pem"),
            fingerprint=digest,
            owner=host.owner,
            client_ca=os.path.join(folder, "client.pem") if client_pem else "",
            client_required=bool(client_pem) and host.client_required,
        )

    def _write(self, folder: str, files: Mapping[str, bytes]) -> None:
        """A whole folder, in one step."""
        os.makedirs(self.folder, mode=0o711, exist_ok=True)
        os.chmod(self.folder, 0o711)
        fresh = f"{folder}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        os.mkdir(fresh, 0o700)
        for name, data in files.items():
            if data:
                fd = os.open(os.path.join(fresh, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with open(fd, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fchown(fd, self.uid, self.gid)
                    os.fsync(fd)
        os.chown(fresh, self.uid, self.gid)
        os.rename(fresh, folder)
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _publish(self, rows: dict[str, str]) -> bool:
        """Whether anything was new. Raises `Refused`."""
        published = self.publisher.published
        with self.publisher.lock:
            put = {key: text for key, text in rows.items() if published.get(key) != text}
            if put:
                self.publisher.publish(Changes(put=put), within_s=0.0)
            return bool(put)

    def _look_on(self) -> None:
        looks = 0
        while True:
            gevent.sleep(LOOK_S)
            looks += 1
            if looks % CLEAN_EVERY == 0:
                self._clean()
            for host in self._hosts:
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
                self._publish({ROW + host.host.strip("[]"): row})
        except Refused as refusal:
            self._refused[host.host] = refusal.message
            log.error("%s: %s", host.host, refusal.message)

    def _renew_own(self, host: HostTls) -> None:
        """Its files were changed: the new one serves, if it is any good."""
        try:
            if not self._publish(self.rows([host])):
                return
        except Refused as refusal:
            text = f"{host.host} keeps its certificate: {refusal.message}"
            self.events.add("certificate-refused", text, host=host.host)
            return
        text = f"{host.host} has another certificate"
        log.info("%s", text)
        self.events.add("certificate-changed", text, host=host.host)

    def _renew_tickets(self) -> None:
        self.publisher.segment.store_ticket_keys(os.urandom(TICKET_BYTES))

    def _renew_tickets_on(self) -> None:
        while True:
            gevent.sleep(TICKETS_S)
            self._renew_tickets()

    def _clean(self) -> None:
        """Remove folders that no row has named for long."""
        named = {
            os.path.dirname(decode_certificate(text).chain)
            for key, text in self.publisher.published.items()
            if key.startswith(ROW)
        }
        if not os.path.isdir(self.folder):
            return
        now = datetime.datetime.now(datetime.UTC).timestamp()
        for path in Path(self.folder).iterdir():
            old = now - path.stat().st_mtime > KEPT_S
            if path.is_dir() and old and str(path) not in named and len(path.name) == 40:
                shutil.rmtree(path, ignore_errors=True)

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
    """The desk of an edged. Its workers' user gets the folders, when that is another than ours."""
    uid = gid = -1
    if os.geteuid() == 0 and spec.user:
        entry = pwd.getpwnam(spec.user)
        uid, gid = entry.pw_uid, entry.pw_gid
    folder = os.path.join(spec.state_dir, FOLDER)
    authority = Authority(os.path.join(spec.state_dir, "authority"))
    return CertificateDesk(
        folder=folder,
        publisher=publisher,
        events=events,
        authority=authority,
        store=store,
        uid=uid,
        gid=gid,
    )


# Private


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
