"""The channel to the master: questions with answers by id, and events that come by themselves.

One JSON object per packet of a SOCK_SEQPACKET socket. The master's end closing means that it is
gone, and control with it.
"""

import json
import logging
import socket as stdlib_socket
from collections.abc import Callable
from typing import Any, Final

import gevent
from gevent import event, socket

from control.refusal import Refused

log = logging.getLogger("control.channel")

PACKET_BYTES: Final = 1 << 18


class Channel:
    """Control's end."""

    def __init__(
        self,
        fd: int,
        on_event: Callable[[dict[str, Any]], None],
        on_end: Callable[[], None],
    ) -> None:
        """`on_event` must not wait: answers come through the same greenlet."""
        self._socket = socket.socket(stdlib_socket.AF_UNIX, stdlib_socket.SOCK_SEQPACKET, fileno=fd)
        self._on_event = on_event
        self._on_end = on_end
        self._waiting: dict[int, event.AsyncResult] = {}
        self._last_id = 0
        self._ended = False

    def __repr__(self) -> str:
        return f"<Channel {'ended' if self._ended else 'open'} waiting={len(self._waiting)}>"

    def start(self) -> None:
        """Begin to read."""
        gevent.spawn(self._read)

    def ask(self, verb: str, timeout_s: float | None = None, **fields: object) -> dict[str, Any]:
        """The master's answer. Raises `Refused` when it says no, or says nothing in time."""
        self._last_id += 1
        number = self._last_id
        result = self._waiting[number] = event.AsyncResult()
        try:
            packet = json.dumps({"id": number, "verb": verb, **fields}).encode()
            self._socket.sendall(packet)
            answer: dict[str, Any] = result.get(timeout=timeout_s)
        except gevent.Timeout:
            raise Refused(
                "master-silent", f"The master did not answer '{verb}' within {timeout_s} s."
            ) from None
        except OSError as error:
            raise Refused("master-gone", f"The master cannot be reached: {error}.") from None
        finally:
            del self._waiting[number]
        if not answer.get("ok"):
            raise Refused("master-refused", _sentence(str(answer.get("error", "no reason given"))))
        return answer

    # Private

    def _read(self) -> None:
        while True:
            try:
                packet = self._socket.recv(PACKET_BYTES)
            except OSError as error:
                log.error("the channel broke: %s", error)
                packet = b""
            if not packet:
                break
            self._take(packet)
        self._ended = True
        self._on_end()

    def _take(self, packet: bytes) -> None:
        try:
            message = json.loads(packet)
        except ValueError:
            log.error("not JSON on the channel: %r", packet[:80])
            return
        if "event" in message:
            self._on_event(message)
            return
        waiting = self._waiting.get(message.get("id"))
        if waiting is not None:
            waiting.set(message)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "\n")) else text + "."
