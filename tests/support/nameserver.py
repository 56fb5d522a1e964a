"""A nameserver on a real UDP socket, whose records a test changes while it serves.

with Nameserver() as nameserver:
    nameserver.put("app.test", "A", "127.0.0.2", "127.0.0.3")
    edged(route("*", "app.test:9000"), server=nameserver.setting)
"""

import contextlib
import socket
import threading
from typing import Final, Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.support.ports import free_port

TTL_S: Final = 1
"""The shortest that edged believes."""


class Nameserver:
    """Knows the records that were put; every other name is an NXDOMAIN."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.setting = f'resolver = ["{self.address}"]'
        self.asked: list[tuple[str, str]] = []  # name and kind
        self.refusal = dns.rcode.NOERROR  # anything else is the answer to every question
        self._records: dict[dns.name.Name, dict[str, dns.rrset.RRset]] = {}
        self._socket: socket.socket | None = None
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Nameserver {'stopped' if self._socket is None else 'serving'} {self.address}>"

    def put(self, name: str, kind: str, *records: str, ttl_s: int = TTL_S) -> None:
        """The records of a name and kind from now on; none is a name without such records."""
        of_name = self._records.setdefault(dns.name.from_text(name), {})
        of_name.pop(kind, None)
        if records:
            of_name[kind] = dns.rrset.from_text(name + ".", ttl_s, "IN", kind, *records)

    def start(self) -> None:
        """Serve, on the same port after a stop."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", self.port))
        self._socket = sock
        threading.Thread(target=self._serve, args=(sock,), daemon=True).start()  # noqa: TID251

    def stop(self) -> None:
        """Answer nobody any more; the records stay for another start."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it is not connected, and wakes the reader anyway
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None

    # Private

    def _serve(self, sock: socket.socket) -> None:
        while True:
            try:
                data, client = sock.recvfrom(4096)
                if not data:
                    return
                sock.sendto(self._answer(dns.message.from_wire(data)).to_wire(), client)
            except OSError:
                return

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((question.name.to_text(omit_final_dot=True), kind))
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA | dns.flags.RA
        known = self._records.get(question.name)
        answer.set_rcode(dns.rcode.NXDOMAIN if known is None else self.refusal)
        if known is None or self.refusal:
            return answer
        for found in (known.get("CNAME"), known.get(kind)):
            if found is not None:
                answer.answer.append(found)
        if "CNAME" in known:
            target = self._records.get(known["CNAME"][0].target, {})
            if kind in target:
                answer.answer.append(target[kind])
        return answer
