"""Certificates: what workers are given for each host, and what an operator sees of it.

Rule 1: what serves goes on serving until what comes after it is in the table.
Rule 2: everything is made and published under the publisher's lock, so no two ways cross.
Rule 3: what could not be published is kept, and tried again; a file that is no good is looked at
        again when it is another.
"""

import logging
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import gevent
from gevent.event import Event

from control import tickets
from control.authority import Authority, is_due
from control.certstore import CertificateStore, store_of
from control.config.hosts import Acme, HostTls
from control.demand import Demand
from control.events import Events, wall_time
from control.issuing import Issuing, issuing_of
from control.provider import BadFile, Provider, has_certificate, is_public, moment
from control.publish import Changes, Publisher
from control.refusal import Refused
from control.store import Store
from edge.table.model import Certificate, decode_certificate, encode
from supervisor.spec import Spec

log = logging.getLogger("control.certificates")

ROW: Final = "cert:"
VAULT: Final = "acme"
LOOK_S: Final = 5.0
"""How often own files are looked at for changes, and what is not in place yet is tried again."""

CLEAN_S: Final = 3600.0
"""Old folders are removed that often."""

ORDER_S: Final = 60.0
"""How long who orders another certificate waits for it, unless they say otherwise."""

DEMAND_S: Final = 60.0
OUTCOME_LOOK_S: Final = 0.02
"""Who waits for a certificate hears within that time that it is there."""

AT_ONCE: Final = 50
"""Hosts that are looked at before others have a turn; at the start none waits for more."""


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why a host does not have what it should have."""

    text: str
    origin: str = ""  # of bad files: they are tried again when it is another


@dataclass(slots=True)
class CertificateDesk:
    """All certificates that workers have."""

    provider: Provider
    issuing: Issuing
    publisher: Publisher
    events: Events
    files: CertificateStore
    demand: Demand
    _hosts: dict[str, HostTls] = field(default_factory=dict)
    _served: dict[str, Certificate] = field(default_factory=dict)  # by host: they are published
    _staged: dict[str, Certificate] = field(default_factory=dict)  # they are not, yet
    _problems: dict[str, _Problem] = field(default_factory=dict)
    _wake: Event = field(default_factory=Event)

    def start(self) -> None:
        """Begin to look after them."""
        self.issuing.keeper.installed = lambda cert: self._mind((self._hosts.get(cert.id),))
        gevent.spawn(tickets.renew_on, self.publisher.segment)
        gevent.spawn(self._look_on)
        self.issuing.keeper.start()

    def rows(self, hosts: Iterable[HostTls], *, strict: bool = True) -> dict[str, str]:
        """The rows of those hosts, for a table that is about to be published: call it, and `follow`
        after that, under the publisher's lock. Raises `Refused` (`config-invalid`) for files that
        are bad; without `strict` their hosts keep what they have."""
        found = self.issuing.solver.rows()
        problems: list[str] = []
        made = 0
        for host in self.demand.expand(hosts):
            row = _row(host)
            published = self.publisher.published.get(row)
            if not strict:
                if published is not None and has_certificate(host):
                    found[row] = published  # it is looked at right after the start
                elif made < AT_ONCE:
                    served = self._provided(host)
                    if served is not None:
                        made += 1
                        found[row] = encode(served)
                continue
            try:
                self.provider.check_clients(host)
                present = self._present(host)
                served = self.provider.provide(host, present)
            except BadFile as error:
                problems.append(f"{host.place}: route.tls: {error}")
                continue
            if served is not None:
                self._stage(host, served)
                found[row] = encode(served)
        if problems:
            raise Refused("config-invalid", "\n".join(problems))
        return found

    def follow(self, hosts: tuple[HostTls, ...], acme: Acme) -> None:
        """Those are the hosts now, and the rows that were made last are published."""
        self.demand.follow(acme.ask)
        hosts = self.demand.expand(hosts)
        self._hosts = {host.host: host for host in hosts}
        self._settle(self._hosts)
        for known in (self._served, self._staged, self._problems):
            for gone in known.keys() - self._hosts.keys():
                known.pop(gone)
        self.issuing.follow(self._public(), acme)
        self._wake.set()

    def listed(self) -> list[dict[str, Any]]:
        """Every host, and what it is served with."""
        kept = self.issuing.described()
        return [
            self._described(host, kept.get(host.host, {}))
            for host in self._hosts.values()
            if has_certificate(host)
        ]

    def renew(self, host: str, within_s: float = ORDER_S) -> dict[str, Any]:
        """Obtain a new one from the CA now; it is in place when this returns. Raises `Refused`:
        then what there was serves on."""
        deadline, former = time.monotonic() + within_s, self._served.get(host)
        self.issuing.keeper.renew(host)
        return self._replaced(host, former, deadline)

    def revoke(self, host: str, within_s: float = ORDER_S) -> dict[str, Any]:
        """Have the CA revoke it; a new one is in place when this returns. Raises `Refused`: the
        message says whether it is revoked."""
        deadline, former = time.monotonic() + within_s, self._served.get(host)
        self.issuing.keeper.revoke(host, within_s=within_s)
        try:
            return self._replaced(host, former, deadline)
        except Refused as refusal:
            text = f"The certificate of {host} is revoked. {refusal.message}"
            raise Refused(refusal.code, text) from None

    def obtain(self, name: str, within_s: float = DEMAND_S) -> dict[str, Any]:
        """Have a certificate for a name that a client asks for, if a route stands for it and the
        operator's service allows it; it is in place when this returns. Raises `Refused`."""
        deadline = time.monotonic() + within_s
        host = self._hosts.get(name)
        if host is None:
            allowed = self.demand.allow(name, self._hosts)
            with self.publisher.lock:
                host = self._hosts.setdefault(name, allowed)
                self.issuing.follow(self._public())
                for surplus in self.demand.surplus():
                    if (served := self._drop(surplus)) is not None:
                        self.files.discard(served)
            self._wake.set()
        while name not in self._served:
            problem = self._described(host, self.issuing.keeper.line(name))["problem"]
            if problem:
                raise Refused("acme-failed", f"There is no certificate for {name}: {problem}")
            if time.monotonic() > deadline:
                raise Refused("timeout", f"The certificate for {name} takes longer.")
            gevent.sleep(OUTCOME_LOOK_S)
        self.publisher.wait()
        return {"host": name}

    # Private

    def _replaced(self, host: str, former: Certificate | None, deadline: float) -> dict[str, Any]:
        """Wait until workers have another one than that, or an attempt has failed."""
        keeper = self.issuing.keeper
        failures = keeper.line(host).get("failures", 0)
        while not _is_another(self._served.get(host), former):
            line = keeper.line(host)
            if not line:
                raise Refused("not-found", f"{host} has no certificate of a CA any more.")
            if line["failures"] > failures:
                raise Refused("acme-failed", _told(line, self._served.get(host)))
            if time.monotonic() > deadline:
                text = f"The new certificate of {host} takes longer: see 'edgectl certs'."
                raise Refused("timeout", text)
            gevent.sleep(OUTCOME_LOOK_S)
        served = self._served[host]
        return {
            "host": host,
            "issuer": served.issuer,
            "not_after": served.not_after,
            "fingerprint": served.fingerprint,
            "unacked": [*self.publisher.wait()],
        }

    def _public(self) -> list[HostTls]:
        return [host for host in self._hosts.values() if is_public(host)]

    def _present(self, host: HostTls) -> Certificate | None:
        """What it has, or what was made for it last. Raises `Refused`."""
        name = host.host
        known = self._staged.get(name) or self._served.get(name)
        text = self.publisher.published.get(_row(host)) if known is None else None
        if text:  # of an earlier control, or of another mode
            found = decode_certificate(text)
            known = found if self.provider.can_go_on(found) else None
        return known

    def _provided(self, host: HostTls) -> Certificate | None:
        """What is to serve it, if that can be had now. What is wrong is logged once."""
        known = self._problems.get(host.host)
        origin = self.provider.origin(host)
        if known is not None and known.origin and known.origin == origin:
            return None
        try:
            served = self.provider.provide(host, self._present(host))
        except BadFile as error:
            has = "keeps its" if host.host in self._served else "is not given its"
            text = f"{host.host} {has} certificate: {host.place}: route.tls: {error}"
            self._complain(host, _Problem(text, origin))
            return None
        except Refused as refusal:
            self._complain(host, _Problem(refusal.message))
            return None
        self._problems.pop(host.host, None)
        if served is not None:
            self._stage(host, served)
        return served

    def _stage(self, host: HostTls, served: Certificate) -> None:
        if served is not self._served.get(host.host):
            self._staged[host.host] = served

    def _complain(self, host: HostTls, problem: _Problem) -> None:
        known = self._problems.get(host.host)
        self._problems[host.host] = problem
        if known is None or known.text != problem.text:
            self.events.add("certificate-refused", problem.text, host=host.host)

    def _settle(self, names: Iterable[str]) -> None:
        """What was staged for those hosts is published."""
        for name in names:
            served = self._staged.pop(name, None)
            if served is not None:
                self._served[name] = served
                self._problems.pop(name, None)

    def _mind(self, hosts: Sequence[HostTls | None]) -> None:
        """Bring into place what they should have. Raises `Refused`."""
        with self.publisher.lock:
            rows: dict[str, str] = {}
            changed: list[HostTls] = []
            for host in hosts:
                if host is None or self._hosts.get(host.host) is not host:
                    continue  # there was a reload meanwhile
                served, former = self._provided(host), self._served.get(host.host)
                if served is None or served is former:
                    continue
                rows[_row(host)] = encode(served)
                changed += [host] if _is_news(host, served, former) else []
            published = self.publisher.published
            put = {key: text for key, text in rows.items() if published.get(key) != text}
            if put:
                self.publisher.publish(Changes(put=put), within_s=0.0)
            self._settle(host.host for host in hosts if host is not None)
        for host in changed:
            text = f"{host.host} has another certificate"
            self.events.add("certificate-changed", text, host=host.host)

    def _look_on(self) -> None:
        cleaned = 0.0
        while True:
            self._wake.wait(LOOK_S)
            self._wake.clear()
            try:
                self._look()
                if time.monotonic() - cleaned > CLEAN_S and self.publisher.is_open:
                    cleaned = time.monotonic()
                    self._clean()
                    self._review()
            except Refused as refusal:
                log.error("certificates are not in place yet: %s", refusal.message)
            except Exception:  # a bug here must not end the renewals of all
                log.exception("certificates could not be looked after")

    def _look(self) -> None:
        """Raises `Refused`."""
        hosts = [*self._hosts.values()]
        for first in range(0, len(hosts), AT_ONCE):
            self._mind(hosts[first : first + AT_ONCE])
            gevent.sleep(0)

    def _clean(self) -> None:
        """Remove folders that no row has named for long. Raises `OSError`."""
        rows = self.publisher.published
        named = {
            os.path.dirname(decode_certificate(text).chain)
            for key, text in rows.items()
            if key.startswith(ROW)
        }
        self.files.clean(named)

    def _review(self) -> None:
        """Names on demand that are due are asked about again. Raises `Refused`."""
        now = self.provider.authority.clock()
        for name, served in [*self._served.items()]:
            if not is_due(moment(served.not_before), moment(served.not_after), now):
                continue
            host = self._hosts.get(name)
            if host is None or not self.demand.is_denied(host):
                continue
            with self.publisher.lock:
                self._drop(name)
                self.issuing.follow(self._public())
            log.info("%s is denied a certificate from now on", name)

    def _drop(self, name: str) -> Certificate | None:
        """A name on demand has none any more; what it had. Raises `Refused`."""
        self.demand.forget(name)
        host, served = self._hosts.pop(name, None), self._served.pop(name, None)
        if host is not None and _row(host) in self.publisher.published:
            self.publisher.publish(Changes(put={}, removed=(_row(host),)), within_s=0.0)
        return served

    def _described(self, host: HostTls, kept: dict[str, Any]) -> dict[str, Any]:
        served, problem = self._served.get(host.host), self._problems.get(host.host)
        return {
            "host": host.host,
            "mode": host.mode,
            "from": host.place,
            "issuer": served.issuer if served else "",
            "not_after": served.not_after if served else None,
            "fingerprint": served.fingerprint if served else "",
            "state": kept.get("state", "valid" if served else "missing"),
            "next": kept.get("next", ""),
            "next_at": kept.get("next_at"),
            "problem": (problem.text if problem else "") or kept.get("last_error") or "",
        }


def desk_of(spec: Spec, publisher: Publisher, events: Events, store: Store) -> CertificateDesk:
    """The desk of an edged."""
    files = store_of(spec)
    issuing = issuing_of(os.path.join(spec.state_dir, VAULT), store, publisher, events, files)
    authority = Authority(os.path.join(spec.state_dir, "authority"))
    provider = Provider(files, authority, issuing.keeper.latest)
    return CertificateDesk(provider, issuing, publisher, events, files, Demand(store))


# Private


def _row(host: HostTls) -> str:
    return ROW + host.host.strip("[]")


def _is_another(served: Certificate | None, former: Certificate | None) -> bool:
    if served is None or former is None:
        return served is not former
    return served.fingerprint != former.fingerprint


def _told(line: dict[str, Any], served: Certificate | None) -> str:
    """What went wrong with a certificate, and what happens next."""
    told = [f"There is no new certificate for {line['id']}: {line['last_error']}."]
    if line["next_at"] is None:
        told.append("It is given up: try again when the reason is gone.")
    else:
        told.append(f"The next attempt is in {max(0.0, line['next_at'] - wall_time()):.0f} s.")
    if served is not None:
        told.append("The former one serves on.")
    return " ".join(told)


def _is_news(host: HostTls, served: Certificate, former: Certificate | None) -> bool:
    """Whether an operator has exchanged files; what is renewed by itself is no news."""
    if host.mode != "own" or former is None:
        return False
    return served.fingerprint != former.fingerprint
