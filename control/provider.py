"""What one host is served with: of its own files, of the internal CA, or of a public one.

A certificate is made again when what it came from is another: the files, the settings of its host,
the keeper's latest. What has not changed is not read again.
"""

import datetime
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Final

from cryptography import x509

from control.acme.vault import Cert
from control.authority import Authority, is_due, is_internal
from control.certstore import CertificateStore
from control.config import pem
from control.config.hosts import HostTls
from control.events import wall_time
from control.issuing import read_issued
from control.refusal import Refused
from edge.table.model import Certificate
from edge.tls.contexts import load

OWN: Final = "own"
INTERNAL: Final = "internal"
PUBLIC: Final = "public"
"""How an origin begins."""

Facts = tuple[str, float, float]
"""Issuer, and when it is valid from and to."""


class BadFile(ValueError):
    """A file that the configuration names is no good: it will not be better by itself."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Makes what hosts are served with."""

    files: CertificateStore
    authority: Authority
    latest: Callable[[str], Cert | None]  # what the keeper has for a host

    def origin(self, host: HostTls) -> str:
        """What its certificate is to be made from: another origin is another certificate. "" while
        there is nothing."""
        if not has_certificate(host):
            return ""
        source, way = "", INTERNAL
        if is_public(host):
            cert = self.latest(host.host)
            if cert is None:
                return ""
            source, way = cert.chain_path, PUBLIC
        elif host.mode == "own":
            way = OWN
        settings = (host.cert, host.key, host.client_ca)
        parts = (source, *settings, str(host.client_required), *map(str, _stamps(settings)))
        return f"{way}:{blake2b(chr(0).join(parts).encode(), digest_size=12).hexdigest()}"

    def provide(self, host: HostTls, present: Certificate | None) -> Certificate | None:
        """What is to serve it: `present` itself where nothing has changed; None for nothing.
        Raises `BadFile`, and `Refused`."""
        origin = self.origin(host)
        if not origin:
            return self._kept_on(host, present)
        if present is not None and present.origin == origin and not self._is_due(present):
            return present if present.owner == host.owner else replace(present, owner=host.owner)
        way = origin.partition(":")[0]
        if way == OWN:
            return self._own(host, origin)
        if way == INTERNAL:
            return self._internal(host, origin, present)
        return self._issued(host, origin)

    def can_go_on(self, certificate: Certificate) -> bool:
        """Whether one that an earlier control has published is still there, and still of the CA
        that is trusted. Raises `Refused`."""
        try:
            if not self.files.take_up(os.path.dirname(certificate.chain)):
                return False
            if not certificate.origin.startswith(INTERNAL):
                return True
            pair = self.files.read(certificate)
        except OSError:
            return False
        return pair is not None and self.authority.has_signed(_leaf(pair[0]))

    def check_clients(self, host: HostTls) -> None:
        """Whether clients of it can be asked for certificates. Raises `BadFile`."""
        if host.client_ca:
            _load(Certificate(chain="", key="", fingerprint="", client_ca=host.client_ca))

    # Private

    def _kept_on(self, host: HostTls, present: Certificate | None) -> Certificate | None:
        """A host that has just come to a public CA goes on with what it had."""
        if present is None or not has_certificate(host):
            return None
        asks = (host.client_ca, bool(host.client_ca) and host.client_required)
        if (present.client_ca_from, present.client_required) == asks:
            return present if present.owner == host.owner else replace(present, owner=host.owner)
        pair = self._stored(present)
        return self._dressed(host, present, pair, "") if pair is not None else None

    def _is_due(self, present: Certificate) -> bool:
        """Whether it is ours to renew, and time for that."""
        if not present.origin.startswith(INTERNAL):
            return False
        return is_due(moment(present.not_before), moment(present.not_after), self._now())

    def _now(self) -> datetime.datetime:
        return self.authority.clock()

    def _stored(self, present: Certificate) -> tuple[bytes, bytes] | None:
        """Its chain and key; None when they are gone, or not what they were."""
        try:
            return self.files.read(present)
        except OSError:
            return None

    def _dressed(
        self, host: HostTls, present: Certificate, pair: tuple[bytes, bytes], origin: str
    ) -> Certificate:
        """The same for other settings: that costs clients no other certificate."""
        facts = (present.issuer, present.not_before, present.not_after)
        return self._kept(host, *pair, origin, facts)

    def _own(self, host: HostTls, origin: str) -> Certificate:
        try:
            pair = pem.read_pair(host.cert, host.key)
        except ValueError as error:
            raise BadFile(str(error)) from None
        problem = pem.problem_of(pair, host.cert, host.host, moment(wall_time()))
        if problem:
            raise BadFile(problem)
        facts = (pair.issuer, pair.not_before.timestamp(), pair.not_after.timestamp())
        return self._kept(host, pair.chain_pem, pair.key_pem, origin, facts)

    def _internal(self, host: HostTls, origin: str, present: Certificate | None) -> Certificate:
        if (
            present is not None
            and present.origin.startswith(INTERNAL)
            and not self._is_due(present)
        ):
            pair = self._stored(present)
            if pair is not None and self.authority.has_signed(_leaf(pair[0])):
                return self._dressed(host, present, pair, origin)
        issued = self.authority.issue([host.host])
        facts = ("the internal CA", issued.not_before.timestamp(), issued.not_after.timestamp())
        return self._kept(host, issued.chain_pem, issued.key_pem, origin, facts)

    def _issued(self, host: HostTls, origin: str) -> Certificate:
        cert = self.latest(host.host)
        assert cert is not None  # that is where `origin` comes from
        chain_pem, key_pem = read_issued(cert)
        facts = (cert.issuer, cert.not_before, cert.not_after)
        return self._kept(host, chain_pem, key_pem, origin, facts)

    def _kept(
        self, host: HostTls, chain_pem: bytes, key_pem: bytes, origin: str, facts: Facts
    ) -> Certificate:
        """Where workers can read it, after it was loaded as they do."""
        try:
            place = self.files.put(chain_pem, key_pem, _client_pem(host))
        except OSError as error:
            text = f"the certificate of {host.host} is not kept: {error.filename}: {error.strerror}"
            raise Refused("disk-full", text) from None
        certificate = Certificate(
            chain=place.chain,
            key=place.key,
            fingerprint=place.fingerprint,
            owner=host.owner,
            client_ca=place.client_ca if host.client_ca else "",
            client_ca_from=host.client_ca,
            client_required=bool(host.client_ca) and host.client_required,
            origin=origin,
            issuer=facts[0],
            not_before=facts[1],
            not_after=facts[2],
        )
        if host.mode == "own" or host.client_ca:  # the CAs' own were looked at before
            _load(certificate, host)
        return certificate


def has_certificate(host: HostTls) -> bool:
    """Whether there is to be one for the host itself."""
    return host.mode != "off" and not host.stands_for_many


def is_public(host: HostTls) -> bool:
    """Whether its certificate comes from a public CA."""
    return host.mode == "auto" and not is_internal(host.host)


def moment(seconds: float) -> datetime.datetime:
    """An instant since 1970 with its zone."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


# Private


def _leaf(chain_pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(chain_pem)


def _client_pem(host: HostTls) -> bytes:
    return _read(host.client_ca) if host.client_ca else b""


def _load(certificate: Certificate, host: HostTls | None = None) -> None:
    try:
        load(certificate)
    except (OSError, ValueError) as error:
        if host is None:
            text = f'"{certificate.client_ca}" holds no certificates in PEM that can be used'
        else:
            named = [path for path in (host.cert, host.key, host.client_ca) if path]
            text = " and ".join(f'"{path}"' for path in named) + " cannot be used"
        raise BadFile(f"{text}: {error}") from None


def _stamps(paths: tuple[str, ...]) -> tuple[int, ...]:
    """What changes when one of the files does."""
    stamps: list[int] = []
    for path in paths:
        if not path:
            continue
        try:
            found = os.stat(path)
        except OSError:
            stamps += (0, 0, 0)
        else:
            stamps += (found.st_mtime_ns, found.st_ino, found.st_size)
    return tuple(stamps)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadFile(f'"{path}" cannot be read: {error.strerror}') from None
