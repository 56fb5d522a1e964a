"""Before Pebble: an HTTPS proxy that adds what Pebble lacks and injects what CAs do on bad days.

It adds renewalInfo, profiles and a rate limit. Faults are told by what is asked for ("order-plz",
"authZ", …: the first part of Pebble's own paths) and for how many requests they last.
"""

import base64
import contextlib
import datetime
import http.client
import http.server
import json
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Self

from tests.support.pebble import Pebble
from tests.support.ports import free_address

PROFILES: Final = {"classic": "as ever", "shortlived": "six days"}
HANG_S: Final = 60.0
LEFT_OUT: Final = {"connection", "transfer-encoding", "content-length", "date"}


@dataclass(slots=True)
class Fault:
    """What happens instead of an answer."""

    what: str
    times: int
    status: int = 0  # 0 is no answer at all: the connection hangs
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    late: bool = False  # the CA has done what it was asked for all the same


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    what: str
    path: str
    payload: dict[str, Any]


class AcmeFront:
    """One front of one CA."""

    def __init__(self, pebble: Pebble) -> None:
        self.pebble = pebble
        self.address = free_address()
        self.directory = f"https://{self.address}/dir"
        self.ca_file = pebble.ca_file
        self.asked: list[Asked] = []
        self.done: list[Asked] = []  # what the CA has done: nonces that it refuses are no requests
        self.faults: list[Fault] = []
        self.window: tuple[float, float] | None = None
        self.window_retry_s = 3600
        self.orders_per_s: tuple[int, float] | None = None
        self.passing: Callable[[Asked], None] = lambda asked: None  # before the CA hears of it
        self.answered: Callable[[Asked], None] = lambda asked: None  # before the client hears
        self._released = threading.Event()
        self._ordered: list[float] = []
        self._server = _Server(self)
        self._context = ssl.create_default_context(cafile=pebble.ca_file)

    def __enter__(self) -> Self:
        threading.Thread(  # noqa: TID251
            target=self._server.serve_forever, args=(0.02,), daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def __repr__(self) -> str:
        return f"<AcmeFront {self.directory} asked={len(self.asked)} faults={len(self.faults)}>"

    def fail(self, what: str, status: int, times: int = 1, **more: Any) -> None:
        """From now on, that many requests for that fail so."""
        self.faults.append(Fault(what, times, status, **more))

    def refuse(self, what: str, kind: str, status: int, times: int = 1, **headers: str) -> None:
        """The same with a problem document."""
        problem = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": f"{kind} as told"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["Content-Type"] = "application/problem+json"
        self.fail(what, status, times, headers=named, body=json.dumps(problem).encode())

    def hang(self, what: str, times: int = 1) -> None:
        """No answer."""
        self.fail(what, 0, times)

    def count(self, what: str) -> int:
        """How often the CA did that."""
        return sum(asked.what == what for asked in self.done)

    def payloads(self, what: str) -> list[dict[str, Any]]:
        """What was sent with it, when it was done."""
        return [asked.payload for asked in self.done if asked.what == what]

    # What one request meets

    def meet(self, request: "_Request") -> None:
        asked = Asked(request.path.split("/")[1], request.path, payload_of(request.body))
        self.asked.append(asked)
        self.passing(asked)
        fault = self._fault(asked.what)
        if fault is not None and not fault.late:
            self._answer_wrong(request, fault)
            return
        if asked.what == "renewal-info":
            self._answer_window(request)
            return
        if asked.what == "order-plz" and self._is_limited():
            self._answer_wrong(request, self._limit_reached())
            return
        status, headers, body = self._forward(request)
        if status < 400:
            self.done.append(asked)
        self.answered(asked)
        if fault is not None:
            self._answer_wrong(request, fault)
            return
        if asked.what == "dir":
            body = self._more_of(json.loads(body))
        request.answer(status, headers, body)

    # Private

    def _fault(self, what: str) -> Fault | None:
        for fault in self.faults:
            if fault.what in (what, "*"):
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    def _answer_wrong(self, request: "_Request", fault: Fault) -> None:
        if not fault.status:
            self._released.wait(HANG_S)
            request.close_connection = True
            return
        nonce = {"Replay-Nonce": base64.urlsafe_b64encode(b"no nonce at all").decode()}
        request.answer(fault.status, {**nonce, **fault.headers}, fault.body)

    def _answer_window(self, request: "_Request") -> None:
        if self.window is None:
            request.answer(404, {}, b"")
            return
        start, end = (
            datetime.datetime.fromtimestamp(each, datetime.UTC).isoformat() for each in self.window
        )
        body = {"suggestedWindow": {"start": start, "end": end}}
        headers = {"Content-Type": "application/json", "Retry-After": str(self.window_retry_s)}
        request.answer(200, headers, json.dumps(body).encode())

    def _is_limited(self) -> bool:
        if self.orders_per_s is None:
            return False
        orders, within_s = self.orders_per_s
        since = time.monotonic() - within_s
        self._ordered = [each for each in self._ordered if each > since] + [time.monotonic()]
        return len(self._ordered) > orders

    def _limit_reached(self) -> Fault:
        problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many orders"}
        headers = {"Content-Type": "application/problem+json", "Retry-After": "7200"}
        return Fault("order-plz", 1, 429, headers, json.dumps(problem).encode())

    def _more_of(self, directory: dict[str, Any]) -> bytes:
        if self.window is not None:
            directory["renewalInfo"] = f"https://{self.address}/renewal-info"
        directory.setdefault("meta", {})["profiles"] = PROFILES
        return json.dumps(directory).encode()

    def _forward(self, request: "_Request") -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPSConnection(
            self.pebble.address, timeout=30, context=self._context
        )
        try:
            headers = {"Host": self.address}
            if request.headers.get("Content-Type"):
                headers["Content-Type"] = request.headers["Content-Type"]
            connection.request(request.command, request.path, request.body or None, headers)
            with connection.getresponse() as answer:
                return answer.status, dict(answer.getheaders()), answer.read()
        except OSError:
            return 502, {}, b""
        finally:
            connection.close()


def payload_of(body: bytes) -> dict[str, Any]:
    """What is in a signed request."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        payload = json.loads(body)["payload"]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return found if isinstance(found, dict) else {}
    return {}


class _Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"
    body = b""

    def meet(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with contextlib.suppress(OSError):
            self.server.front.meet(self)

    do_GET = do_POST = do_HEAD = meet

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in LEFT_OUT:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, front: AcmeFront) -> None:
        self.front = front
        host, _, port = front.address.rpartition(":")
        super().__init__((host, int(port)), _Request)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(front.pebble.trust.chain_file, front.pebble.trust.key_file)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: a handshake that hangs holds up nobody."""
        with contextlib.suppress(OSError), self.tls.wrap_socket(request, server_side=True) as tls:
            super().finish_request(tls, client_address)

    def handle_error(self, *_: Any) -> None:
        """Clients that are killed hang up."""
