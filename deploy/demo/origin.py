"""The demo's origin, from the standard library alone: a page, an echo, events, a WebSocket.

`python origin.py PORT` serves on 127.0.0.1 and prints one line when it is ready.
"""

import base64
import hashlib
import json
import select
import struct
import sys
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
PAGE = Path(__file__).parent / "index.html"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MESSAGE_BYTES = 1 << 20
EVENT_S = 1.0


class Origin(ThreadingHTTPServer):
    """A thread per connection."""

    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "demo-origin"
    disable_nagle_algorithm = True
    wbufsize = 65536

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/":
                self.answer(200, "text/html; charset=utf-8", PAGE.read_bytes())
            case "/echo":
                self.do_POST()
            case "/sse":
                self.stream_events()
            case "/ws":
                self.echo_messages()
            case _:
                self.answer(404, "text/plain", b"The origin has no such page.\n")

    def do_POST(self) -> None:
        """Say what came, as JSON."""
        body = self.body()
        came = {
            "method": self.command,
            "path": self.path,
            "headers": dict(self.headers.items()),
            "body": body.decode("utf-8", "replace"),
        }
        self.answer(200, "application/json", json.dumps(came, indent=2).encode() + b"\n")

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(pieces)

    def answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def stream_events(self) -> None:
        """The time, each second, until the client goes."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        gone: list[object] = []
        while not gone:
            self.wfile.write(f"data: {datetime.now(UTC):%H:%M:%S}\n\n".encode())
            self.wfile.flush()
            gone, _, _ = select.select([self.connection], [], [], EVENT_S)

    def echo_messages(self) -> None:
        """A WebSocket that sends back what it gets (RFC 6455, no extensions, no fragments)."""
        key = self.headers.get("Sec-WebSocket-Key", "").encode()
        if not key or self.headers.get("Upgrade", "").lower() != "websocket":
            self.answer(426, "text/plain", b"Speak WebSocket here.\n")
            return
        self.close_connection = True
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.wfile.flush()
        while frame := self.frame():
            kind, payload = frame
            if kind in (TEXT, BINARY, PING, CLOSE):
                self.send_frame(PONG if kind == PING else kind, payload)
            if kind == CLOSE:
                return

    def frame(self) -> tuple[int, bytes] | None:
        head = self.rfile.read(2)
        if len(head) < 2:
            return None
        size = head[1] & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self.rfile.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.rfile.read(8))
        if size > MESSAGE_BYTES or not head[1] & 0x80:
            return None  # too large, or not masked as section 5.1 demands
        mask = self.rfile.read(4)
        payload = self.rfile.read(size)
        return head[0] & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))

    def send_frame(self, kind: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | kind, size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | kind, 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | kind, 127, size)
        self.wfile.write(head + payload)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: edged writes the access log."""

    do_HEAD = do_GET
    do_PUT = do_PATCH = do_DELETE = do_POST


def main() -> None:
    """Serve until a signal ends it."""
    port = int(sys.argv[1])
    try:
        origin = Origin(("127.0.0.1", port), Handler)
    except OSError as error:
        sys.exit(f"The demo's origin cannot listen on 127.0.0.1:{port}: {error.strerror}.")
    print("ready", flush=True)
    try:
        origin.serve_forever()
    except KeyboardInterrupt:
        origin.server_close()


if __name__ == "__main__":
    main()
