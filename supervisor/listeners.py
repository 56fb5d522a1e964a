"""The listening sockets of all addresses: one per worker slot, kept for as long as the address.

Rule 1: a slot's socket, once made, lives as long as its address is configured. A worker that dies,
        drains or is replaced never closes the last reference, so nothing queued is reset.
Rule 2: with fewer workers the upper slots' sockets stay. The kernel is told to give them no new
        connections, and the remaining workers, who hold every slot's sockets, accept what they
        have. With more workers again they are used again.
Rule 3: sockets are made in the order of the slots and closed in the reverse order, because the
        kernel knows them by that order (see `sockets.steer`).
"""

import errno
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from edge.setup import Socket
from supervisor import sockets
from supervisor.errors import ListenError

log = logging.getLogger("edged.listeners")


@dataclass(slots=True, kw_only=True)
class Group:
    """The sockets of one address, slot 1 first."""

    address: str
    fds: list[int] = field(default_factory=list)
    adopted: bool = False  # the service manager holds it too: one queue, never shut down
    served: int = 0  # how many leading slots get new connections; 0: all


class Listeners:
    """All groups, by the address that is bound."""

    def __init__(self, groups: Iterable[Group] = ()) -> None:
        self.groups = {group.address: group for group in groups}

    def __repr__(self) -> str:
        return f"<Listeners {' '.join(f'{g.address}*{len(g.fds)}' for g in self.groups.values())}>"

    def adopt(self, activated: dict[str, list[int]], addresses: tuple[str, ...]) -> None:
        """Take the sockets that the service manager passed; warn of those that nobody named."""
        wanted = {bound for address in addresses for bound in sockets.expand(address)}
        for address, fds in activated.items():
            if address in wanted:
                self.groups[address] = Group(address=address, fds=fds, adopted=True)
                log.info("listening on %s with the service manager's socket", address)
            else:
                log.warning("the service manager passed a socket for %s, which the"
                            " configuration does not name: closed", address)  # fmt: skip
                for fd in fds:
                    os.close(fd)

    def extend(
        self, addresses: tuple[str, ...], slots: int, *, hold_back: bool = False
    ) -> "Extension":
        """Make what those addresses and slots lack; raises `ListenError` and then changed nothing.

        With `hold_back`, new sockets get no connections before `serve` says that a worker accepts.
        """
        extension = Extension(self, hold_back=hold_back)
        try:
            for address in addresses:
                for bound in sockets.expand(address):
                    extension.make(bound, slots, address)
        except ListenError:
            extension.undo()
            raise
        return extension

    def serve(self, slot: int) -> None:
        """The slots up to this one have a worker that accepts: let them have connections."""
        for group in self.groups.values():
            if 0 < group.served < slot:
                self._steer(group, slot)

    def keep_only(self, addresses: tuple[str, ...], slots: int) -> None:
        """Close the sockets of all other addresses; new connections are for the first slots."""
        wanted = {bound for address in addresses for bound in sockets.expand(address)}
        for address in [address for address in self.groups if address not in wanted]:
            _close(self.groups.pop(address), 0)
            log.info("listening on %s no more", address)
        for group in self.groups.values():
            if group.served or slots < len(group.fds):
                self._steer(group, slots)

    def of(self, plain: tuple[str, ...], tls: tuple[str, ...] = ()) -> tuple[Socket, ...]:
        """What a worker inherits: the sockets of those addresses, of all slots."""
        secure = {bound for address in tls for bound in sockets.expand(address)}
        wanted = secure | {bound for address in plain for bound in sockets.expand(address)}
        return tuple(
            Socket(
                slot=index + 1,
                address=group.address,
                fd=fd,
                adopted=group.adopted,
                tls=group.address in secure,
            )
            for group in self.groups.values()
            if group.address in wanted
            for index, fd in enumerate(group.fds)
        )

    def close(self) -> None:
        """Listen no more, nowhere."""
        for group in self.groups.values():
            _close(group, 0)
        self.groups.clear()

    # Private

    def _steer(self, group: Group, slots: int) -> None:
        group.served = min(slots, len(group.fds))
        if not group.adopted:
            sockets.steer(group.fds[0], group.served)


class Extension:
    """What one `Listeners.extend` made, so that it can be undone."""

    def __init__(self, listeners: Listeners, *, hold_back: bool) -> None:
        self._listeners = listeners
        self._hold_back = hold_back
        self._before: list[tuple[Group, int, int]] = []

    def make(self, bound: str, slots: int, configured: str) -> None:
        """Make the missing sockets of one address."""
        groups = self._listeners.groups
        group = groups.get(bound)
        if group is None:
            if _is_covered(bound, configured, groups):
                return
            group = Group(address=bound)
            if not any(_may_overlap(bound, address) for address in groups):
                _probe(bound, configured)
        self._before.append((group, len(group.fds), group.served))
        try:
            self._fill(group, slots)
        except ListenError as error:
            if bound != configured or not _lacks_ipv6(bound, error):
                raise
            log.warning("this machine has no IPv6: %s listens on IPv4 only", configured)
            return
        groups[bound] = group

    def undo(self) -> None:
        """Close what was made."""
        for group, before, served in reversed(self._before):
            _close(group, before)
            if not group.fds:
                self._listeners.groups.pop(group.address, None)
                continue
            group.served = served
            if not group.adopted:
                sockets.steer(group.fds[0], served or len(group.fds))

    # Private

    def _fill(self, group: Group, slots: int) -> None:
        before = len(group.fds)
        if self._hold_back and not group.adopted and before < slots:
            if not group.fds:
                group.fds.append(sockets.listen(group.address))
            group.served = group.served or len(group.fds)
            sockets.steer(group.fds[0], group.served)
        while len(group.fds) < slots:
            if group.adopted:
                # One queue for all slots: each gets a descriptor of its own for it.
                group.fds.append(os.dup(group.fds[len(group.fds) % max(before, 1)]))
            else:
                group.fds.append(sockets.listen(group.address))


# Private

_NO_IPV6: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def _probe(bound: str, configured: str) -> None:
    try:
        sockets.probe(bound)
    except ListenError as error:
        if bound != configured or not _lacks_ipv6(bound, error):
            raise


def _is_covered(bound: str, configured: str, groups: dict[str, Group]) -> bool:
    """An adopted dual-stack "[::]" serves its IPv4 companion too."""
    return bound != configured and configured in groups and groups[configured].adopted


def _may_overlap(one: str, other: str) -> bool:
    """Our own socket on the port would look to the probe like another process."""
    family, port = one.startswith("["), one.rpartition(":")[2]
    return other.startswith("[") == family and other.rpartition(":")[2] == port


def _lacks_ipv6(bound: str, error: ListenError) -> bool:
    """ "[::]" on a machine without IPv6 is no error: its IPv4 companion serves."""
    cause = error.__cause__
    return bound.startswith("[::]:") and isinstance(cause, OSError) and cause.errno in _NO_IPV6


def _close(group: Group, keep: int) -> None:
    while len(group.fds) > keep:
        fd = group.fds.pop()
        if group.adopted:
            os.close(fd)
        else:
            sockets.close_for_all(fd)
