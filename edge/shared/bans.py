"""Addresses and networks that are refused for a while, as all processes know them.

Each has a name in a `Registry` and one cell: until when, in CLOCK_MONOTONIC milliseconds. Any
process may add one; control gives the places of those that are over back.
"""

import ipaddress
from collections.abc import Callable
from typing import Final

from edge.shared.registry import Kind, Registry

KIND: Final = Kind(what="ban", names=4096, name_bytes=64, shared=1, own=0)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_REMEMBERED: Final = 10_000


class Bans:
    """What one process knows of them. `refresh` brings in what others have changed."""

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._stamp = -1
        self._until: dict[str, int] = {}  # by address, for those of one address
        self._networks: list[tuple[Network, int]] = []
        self._seen: dict[str, int] = {}  # by client: until when a network forbids it
        self.active = False
        """Whether there is any: what is asked for each request."""
        self.refresh()

    def __repr__(self) -> str:
        return f"<Bans {len(self._until)} addresses, {len(self._networks)} networks>"

    def refresh(self) -> None:
        """Bring in what others have changed. Costs one comparison when nobody has."""
        if self._registry.stamp == self._stamp:
            return
        self._stamp = self._registry.stamp
        self._until.clear()
        self._networks.clear()
        self._seen.clear()
        for text, until_ms in self.listed().items():
            network = ipaddress.ip_network(text)
            if network.num_addresses == 1:
                self._until[str(network.network_address)] = until_ms
            else:
                self._networks.append((network, until_ms))
        self.active = bool(self._until or self._networks)

    def covers(self, address: str) -> bool:
        """Whether a client is refused now."""
        until_ms = self._until.get(address, 0)
        if self._networks:
            until_ms = max(until_ms, self._by_network(address))
        return bool(until_ms) and until_ms > self._clock() * 1000

    def add(self, network: str, for_s: float) -> str:
        """Refuse it for that long from now; its canonical name.

        Raises `ValueError` for what is no network, `MemoryError` when there are too many.
        """
        if for_s <= 0:
            raise ValueError(f"a ban lasts for more than 0 s, not {for_s:g}")
        text = canonical(network)
        index = self._registry.claim(text)
        self._registry.shared(index)[0] = int((self._clock() + for_s) * 1000)
        self._registry.touch()
        self.refresh()
        return text

    def lift(self, network: str) -> bool:
        """End a ban; whether there was one. Raises `ValueError` for what is no network."""
        text = canonical(network)
        names = self._registry.names()
        if text not in names:
            return False
        self._registry.release(names.index(text))
        self.refresh()
        return True

    def listed(self) -> dict[str, int]:
        """All that are not over: until when, by network."""
        now_ms = int(self._clock() * 1000)
        found = {}
        for index, name in enumerate(self._registry.names()):
            until_ms = self._registry.shared(index)[0]
            if name and until_ms > now_ms:
                found[name] = until_ms
        return found

    def reclaim(self) -> None:
        """Give the places of those that are over back."""
        now_ms = int(self._clock() * 1000)
        for index, name in enumerate(self._registry.names()):
            # One that was just added has no time yet.
            if name and 0 < self._registry.shared(index)[0] <= now_ms:
                self._registry.release(index)

    # Private

    def _by_network(self, address: str) -> int:
        known = self._seen.get(address)
        if known is None:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            known = self._seen[address] = self._longest(address)
        return known

    def _longest(self, address: str) -> int:
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return 0
        return max((until for network, until in self._networks if parsed in network), default=0)


def canonical(network: str) -> str:
    """A network as it is named: an address alone without its length. Raises `ValueError`."""
    parsed = ipaddress.ip_network(network, strict=False)
    mapped = getattr(parsed.network_address, "ipv4_mapped", None)
    if mapped is not None and parsed.prefixlen == 128:
        return str(mapped)
    return str(parsed.network_address if parsed.num_addresses == 1 else parsed)
