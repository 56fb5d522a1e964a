"""Certificates on demand: the names that clients have asked for, where a route stands for many.

Nobody gets one of a public CA without the operator's service (`tls.ask`): it is asked when a name
first comes, and again when its certificate is due. What it allowed is remembered over a restart.
What the internal CA makes costs nothing: it is made for any name of such a route, and the oldest
are forgotten, so that strangers who make names up take no place from anybody.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from gevent.lock import RLock

from control.acme.ondemand import AskSpec, OnDemand, Verdict
from control.config.address import is_hostname
from control.config.hosts import ON_DEMAND, HostTls
from control.refusal import Refused
from control.store import Store
from edge.tls.contexts import is_on_demand

log = logging.getLogger("control.certificates")

KEPT: Final = "on-demand"
NAMES: Final = 10_000
"""Past it a new name is refused: strangers choose them, and each costs an order."""

INTERNAL_NAMES: Final = 1_000
"""So many names of the internal CA are remembered at a time."""


@dataclass(slots=True)
class Demand:
    """The names, and who is asked about them."""

    store: Store
    _asker: OnDemand | None = None
    _names: dict[str, None] = field(default_factory=dict)  # in the order in which they came
    _internal: dict[str, None] = field(default_factory=dict)  # the one that came last is last
    _writing: RLock = field(default_factory=RLock)
    _is_recalled: bool = False

    def follow(self, ask: str) -> None:
        """Ask there from now on; "" allows nothing."""
        if not ask:
            self._asker = None
        elif self._asker is None or self._asker.spec.ask != ask:
            self._asker = OnDemand(AskSpec(ask=ask))

    def expand(self, hosts: Iterable[HostTls]) -> tuple[HostTls, ...]:
        """Those hosts, and the names that came for those of them that stand for many."""
        given = tuple(hosts)
        patterns = [host for host in given if host.stands_for_many]
        if not patterns:
            return given
        known = {host.host for host in given}
        found = [
            demanded
            for name in (*self._recalled(), *self._internal)
            if name not in known and (demanded := _demanded(name, patterns)) is not None
        ]
        return (*given, *found)

    def allow(self, name: str, hosts: Mapping[str, HostTls]) -> HostTls:
        """The host of a name that a client asks for. Waits for the service. Raises `Refused`."""
        host = _demanded(name, [each for each in hosts.values() if each.stands_for_many])
        if host is None or not is_hostname(name):
            raise Refused("not-found", f"No route has certificates on demand for {name[:260]}.")
        if host.mode == "internal":
            self._internal.pop(name, None)
            self._internal[name] = None
            return host
        if self._asker is None or not self._asker.may(name):
            raise Refused("denied", f"tls.ask does not allow a certificate for {name}.")
        with self._writing:  # while the database is locked, others come
            names = self._recalled()
            if name not in names:
                if len(names) >= NAMES:
                    text = f"{NAMES} names have certificates on demand: {name} gets none."
                    raise Refused("too-many", text)
                self.store.keep(KEPT, [*names, name])
                names[name] = None
        return host

    def surplus(self) -> list[str]:
        """The oldest names of the internal CA, where there are too many: to be forgotten."""
        return [*self._internal][: max(0, len(self._internal) - INTERNAL_NAMES)]

    def is_denied(self, host: HostTls) -> bool:
        """Whether a name that has one shall have no other: the service says so now."""
        if host.host not in self._names or self._asker is None:
            return False
        return self._asker.ask(host.host) is Verdict.NO

    def forget(self, name: str) -> None:
        """It has none any more. Raises `Refused`."""
        self._internal.pop(name, None)
        with self._writing:
            if name in self._names:
                self.store.keep(KEPT, [each for each in self._names if each != name])
                del self._names[name]

    # Private

    def _recalled(self) -> dict[str, None]:
        """Raises `Refused`."""
        if not self._is_recalled:
            kept = self.store.kept(KEPT) or ()
            if not self._is_recalled:  # by nobody else, while the database was locked
                self._names = dict.fromkeys(str(name) for name in kept) | self._names
                self._is_recalled = True
        return self._names


# Private


def _demanded(name: str, patterns: Iterable[HostTls]) -> HostTls | None:
    """The longest pattern is the one that routes go by."""
    fitting = [host for host in patterns if is_on_demand(name, (host.host,))]
    if not fitting:
        return None
    longest = max(fitting, key=lambda host: len(host.host))
    return replace(longest, host=name, mode="auto" if longest.mode == ON_DEMAND else "internal")
