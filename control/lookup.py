"""Looking up a name: its addresses, and for how long they hold. This blocks: it is for a thread.

First /etc/hosts is asked, then the nameservers, for they tell TTLs and SRV records. Where those
have no answer and are the system's own, the system's resolver is asked, too: it knows the names of
containers and of the local network. Who wants other nameservers wants no others beside them.
"""

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import dns.exception
import dns.nameserver
import dns.rdatatype
import dns.resolver

from control.config.address import is_service

HOSTS: Final = "/etc/hosts"
RESOLV_CONF: Final = "/etc/resolv.conf"
USUAL_TTL_S: Final = 10.0
"""How long an answer holds that says nothing about that."""

SHORTEST_TTL_S: Final = 1.0
LONGEST_TTL_S: Final = 300.0
TRY_S: Final = 1.0
QUERY_S: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a name stands for."""

    addresses: tuple[str, ...]  # with ports, sorted: nameservers turn their answers round
    weights: tuple[int, ...] = ()  # of SRV records, one for each address
    ttl_s: float = USUAL_TTL_S


class Service(NamedTuple):
    """One SRV record."""

    priority: int
    weight: int
    port: int
    target: str


class LookupFailed(Exception):
    """No answer for now. The text says why."""


class NoSuchName(LookupFailed):
    """The answer is that there is none."""


class Lookup:
    """Who is asked. Called in threads, and holds nothing that changes."""

    def __init__(
        self,
        nameservers: Sequence[str] = (),
        hosts: str = HOSTS,
        resolv_conf: str = RESOLV_CONF,
    ) -> None:
        self._nameservers = tuple(nameservers)
        self._hosts = hosts
        self._resolv_conf = resolv_conf

    def __repr__(self) -> str:
        return f"<Lookup {' '.join(self._nameservers) or 'as the system does'}>"

    def __call__(self, peer: str) -> Answer:
        """The addresses of "name:port" or "srv:name". Raises `LookupFailed`."""
        if is_service(peer):
            return self._service(peer.removeprefix("srv:"))
        host, _, port = peer.rpartition(":")
        found, ttl_s = self._host(host)
        return Answer(addresses=tuple(with_port(ip, int(port)) for ip in found), ttl_s=ttl_s)

    # Private

    def _service(self, name: str) -> Answer:
        records, ttl_s = self._query(name, "SRV")
        if not records:
            raise NoSuchName("it has no SRV records")
        weights: dict[str, int] = {}
        missing = ""
        for record in first_choice(Service(*_fields(one)) for one in records):
            try:
                found, host_ttl_s = self._host(record.target)
            except NoSuchName as failure:
                missing = f"{record.target}: {failure}"
                continue  # one stale record among good ones
            ttl_s = min(ttl_s, host_ttl_s)
            for ip in found:
                weights.setdefault(with_port(ip, record.port), max(1, record.weight))
        if not weights:
            raise NoSuchName(missing or "its SRV records say that there is no such service")
        order = sorted(weights)
        return Answer(
            addresses=tuple(order), weights=tuple(weights[one] for one in order), ttl_s=ttl_s
        )

    def _host(self, host: str) -> tuple[list[str], float]:
        known = addresses_in(_text_of(self._hosts), host)
        if known:
            return in_order(known), USUAL_TTL_S
        try:
            found, ttl_s = self._addresses(host)
        except LookupFailed as failure:
            if self._nameservers:
                raise
            found, ttl_s = _ask_system(host, failure), USUAL_TTL_S
        # An IPv6 address where there is no IPv6 is nobody to be tried.
        return in_order([ip for ip in found if ":" not in ip or _has_route(ip)] or found), ttl_s

    def _addresses(self, host: str) -> tuple[list[str], float]:
        found: list[str] = []
        ttl_s = LONGEST_TTL_S
        for kind in ("A", "AAAA"):
            try:
                records, record_ttl_s = self._query(host, kind)
            except LookupFailed:
                if found:
                    break  # some nameservers know no AAAA, and say so in a wrong way
                raise
            if records:
                found += map(str, records)
                ttl_s = min(ttl_s, record_ttl_s)
        if not found:
            raise NoSuchName("it has neither A nor AAAA records")
        return found, ttl_s

    def _query(self, name: str, kind: str) -> tuple[list[object], float]:
        """The records of that kind, and how long they hold."""
        try:
            # The system's search domains are for the system's nameservers.
            answer = self._resolver().resolve(
                name, kind, raise_on_no_answer=False, search=not self._nameservers
            )
        except dns.resolver.NXDOMAIN:
            raise NoSuchName("there is no such name") from None
        except dns.resolver.LifetimeTimeout:
            raise LookupFailed(f"no nameserver has answered within {QUERY_S:g} s") from None
        except dns.exception.DNSException as error:
            raise LookupFailed(str(error)) from None
        return list(answer.rrset or ()), held_s(answer.chaining_result.minimum_ttl)

    def _resolver(self) -> dns.resolver.Resolver:
        """Made anew each time: /etc/resolv.conf is another one when the network changes."""
        resolver = dns.resolver.Resolver(self._resolv_conf, configure=not self._nameservers)
        if self._nameservers:
            resolver.nameservers = [_nameserver(address) for address in self._nameservers]
        resolver.timeout, resolver.lifetime = TRY_S, QUERY_S
        return resolver


def held_s(ttl_s: float) -> float:
    """How long an answer of that TTL holds: nobody is asked all the time, and none forever."""
    return min(max(ttl_s, SHORTEST_TTL_S), LONGEST_TTL_S)


def first_choice(records: Iterable[Service]) -> list[Service]:
    """The records of the lowest priority (RFC 2782); a target of "." is no service."""
    usable = [record for record in records if record.target]
    lowest = min((record.priority for record in usable), default=0)
    return [record for record in usable if record.priority == lowest]


def addresses_in(hosts: str, name: str) -> list[str]:
    """The addresses that the text of an /etc/hosts gives a name."""
    found = []
    for line in hosts.splitlines():
        ip, *names = line.partition("#")[0].split() or [""]
        if name in map(str.lower, names) and _is_ip(ip):
            found.append(str(ipaddress.ip_address(ip)))
    return found


def in_order(found: Iterable[str]) -> list[str]:
    """The addresses once each, IPv4 first, and the same ones always in the same order."""
    ips = map(ipaddress.ip_address, set(found))
    return [str(ip) for ip in sorted(ips, key=lambda ip: (ip.version, ip.packed))]


def with_port(ip: str, port: int) -> str:
    """The address of a peer."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


# Private


def _fields(record: object) -> tuple[int, int, int, str]:
    priority, weight, port, target = str(record).split()
    return int(priority), int(weight), int(port), target.removesuffix(".").lower()


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _nameserver(address: str) -> dns.nameserver.Nameserver:
    host, _, port = address.rpartition(":")
    return dns.nameserver.Do53Nameserver(host.strip("[]"), int(port))


def _ask_system(host: str, failure: LookupFailed) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise failure from None  # the nameservers' reason says more
    return [str(entry[4][0]) for entry in found]


def _has_route(ip: str) -> bool:
    """Whether this machine could send something there; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect((ip, 9))
    except OSError:
        return False
    return True
