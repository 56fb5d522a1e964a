"""What one host is served with: of its own files, of the internal CA, or of a public one.

A certificate is made again when what it came from is another: the files, the settings of its host,
the keeper's latest. What has not changed is not read again.
"""

import datetime
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
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

INTERNAL: Final = "the internal CA"
_OWN: Final = "own"


class BadFile(ValueError):
    """A file that the configuration names is no good: it will not be better by itself."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a certificate was made from. Another origin is another certificate."""

    source: str  # own files, the internal CA, or the chain in the keeper's vault
    settings: tuple[str, ...]
    stamps: tuple[int, ...]  # of the files that the settings name


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A certificate that can be in place."""

    certificate: Certificate
    origin: Origin
    issuer: str
    not_before: datetime.datetime
    not_after: datetime.datetime


@dataclass(frozen=True, slots=True)
class Provider:
    """Makes what hosts are served with."""

    files: CertificateStore
    authority: Authority
    latest: Callable[[str], Cert | None]  # what the keeper has for a host

    def origin(self, host: HostTls) -> Origin | None:
        """What its certificate is to be made from; None while there is nothing."""
        if not has_certificate(host):
            return None
        if is_public(host):
            cert = self.latest(host.host)
            source = cert.chain_path if cert is not None else ""
        else:
            source = _OWN if host.mode == "own" else INTERNAL
        settings = (host.cert, host.key, host.client_ca, str(host.client_required))
        return Origin(source, settings, _stamps(settings[:3])) if source else None

    def provide(self, host: HostTls, present: Served | None) -> Served | None:
        """What is to serve it: `present` itself where nothing has changed; None for nothing.
        Raises `BadFile`, and `Refused`."""
        origin = self.origin(host)
        if origin is None:
            return self._kept_on(host, present)
        if present is not None and present.origin == origin and not self._is_due(present):
            return _owned(present, host)
        if origin.source == _OWN:
            return self._own(host, origin)
        if origin.source == INTERNAL:
            return self._internal(host, origin, present)
        return self._issued(host, origin)

    def recognise(self, host: HostTls, certificate: Certificate) -> Served | None:
        """What an earlier control has published for it; None when that is of no use."""
        try:
            leaf = x509.load_pem_x509_certificate(_read(certificate.chain))
        except ValueError:
            return None
        is_wanted = host.mode != "own" and not is_public(host)
        is_ours = is_wanted and self.authority.has_signed(leaf)
        return Served(
            certificate=certificate,
            origin=Origin(INTERNAL if is_ours else "", (), ()),
            issuer=INTERNAL if is_ours else leaf.issuer.rfc4514_string(),
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
        )

    def check_clients(self, host: HostTls) -> None:
        """Whether clients of it can be asked for certificates. Raises `BadFile`."""
        if host.client_ca:
            _load(Certificate(chain="", key="", fingerprint="", client_ca=host.client_ca))

    # Private

    def _kept_on(self, host: HostTls, present: Served | None) -> Served | None:
        """A host that has just come to a public CA goes on with what it had."""
        if present is None or not has_certificate(host):
            return None
        if present.certificate.client_ca_from == host.client_ca:
            return _owned(present, host)
        chain, key = (_read(path) for path in (present.certificate.chain, present.certificate.key))
        return replace(present, certificate=self._kept(host, chain, key))

    def _is_due(self, present: Served) -> bool:
        if present.origin.source != INTERNAL:
            return False
        return is_due(present.not_before, present.not_after, self.authority.clock())

    def _own(self, host: HostTls, origin: Origin) -> Served:
        try:
            pair = pem.read_pair(host.cert, host.key)
        except ValueError as error:
            raise BadFile(str(error)) from None
        now = datetime.datetime.fromtimestamp(wall_time(), datetime.UTC)
        problem = pem.problem_of(pair, host.cert, host.host, now)
        if problem:
            raise BadFile(problem)
        return Served(
            certificate=self._kept(host, pair.chain_pem, pair.key_pem),
            origin=origin,
            issuer=pair.issuer,
            not_before=pair.not_before,
            not_after=pair.not_after,
        )

    def _internal(self, host: HostTls, origin: Origin, present: Served | None) -> Served:
        if present is not None and present.origin.source == INTERNAL and not self._is_due(present):
            # Only the host's settings are others: that costs clients no other certificate.
            chain, key = (_read(p) for p in (present.certificate.chain, present.certificate.key))
            return replace(present, certificate=self._kept(host, chain, key), origin=origin)
        issued = self.authority.issue([host.host])
        return Served(
            certificate=self._kept(host, issued.chain_pem, issued.key_pem),
            origin=origin,
            issuer=INTERNAL,
            not_before=issued.not_before,
            not_after=issued.not_after,
        )

    def _issued(self, host: HostTls, origin: Origin) -> Served:
        cert = self.latest(host.host)
        assert cert is not None  # that is where `origin` comes from
        chain_pem, key_pem = read_issued(cert)
        return Served(
            certificate=self._kept(host, chain_pem, key_pem),
            origin=origin,
            issuer=cert.issuer,
            not_before=_moment(cert.not_before),
            not_after=_moment(cert.not_after),
        )

    def _kept(self, host: HostTls, chain_pem: bytes, key_pem: bytes) -> Certificate:
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


# Private


def _owned(served: Served, host: HostTls) -> Served:
    """Its owner is a line of the file, which other lines move."""
    if served.certificate.owner == host.owner:
        return served
    return replace(served, certificate=replace(served.certificate, owner=host.owner))


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


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadFile(f'"{path}" cannot be read: {error.strerror}') from None
