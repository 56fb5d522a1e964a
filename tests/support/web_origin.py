"""An ordinary HTTP origin in a process of its own, quick enough to be loaded.

What it serves, keep-alive and any method:
/bytes/N      N bytes                       /chunked/N  N chunks of 1 KiB
/echo         the request as JSON           /trailers   chunked, with the trailer X-Check
/slow/S       an answer after S seconds     /drip/S/N   N bytes, one each S seconds
/status/N     an answer with that status    /sse        an event each 0.1 s until the client goes
/pid          the process's pid             /ws         a WebSocket that echoes frames
"""

import argparse
import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
from typing import Any, Final, Self

import gevent
import gevent.server
import gevent.signal

ROOT: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EVENT_S: Final = 0.1
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebOrigin:
    """The process, seen from a test."""

    def __init__(self, *, host: str = "127.0.0.1", path: str = "", name: str = "origin") -> None:
        where = ["--path", path] if path else ["--host", host]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.web_origin", *where, "--name", name],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        assert self.address, "the origin did not start"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its pid."""
        return self._process.pid

    def stop(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Gone(Exception):
    """The client closed."""


class Served:
    """One connection, in the origin's own process."""

    def __init__(self, socket: Any, name: str) -> None:
        self.socket = socket
        self.name = name
        self.buffer = b""

    def serve(self) -> None:
        """Answer requests until the end."""
        try:
            while self._serve_one():
                pass
        except (Gone, OSError):
            return
        finally:
            self.socket.close()

    # Private

    def _serve_one(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n")
        while end < 0:
            self._more()
            end = self.buffer.find(b"\r\n\r\n")
        head, self.buffer = self.buffer[:end], self.buffer[end + 4 :]
        line, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        fields = [(k, v.strip()) for k, _, v in (each.partition(":") for each in lines)]
        named = {name.lower(): value for name, value in fields}
        if named.get("expect", "").lower() == "100-continue":
            self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._body(named)
        first, *rest = target.partition("?")[0].strip("/").split("/")
        if first == "echo":
            self._echo(method, target, fields, body)
        else:
            getattr(self, f"_answer_{first}", self._answer_else)(*rest, named=named)
        return named.get("connection", "").lower() != "close" and first not in ("sse", "ws")

    def _body(self, named: dict[str, str]) -> bytes:
        if "chunked" in named.get("transfer-encoding", ""):
            body = b""
            while size := int(self._line().partition(b";")[0], 16):
                body += self._exactly(size)
                self._line()
            while self._line():
                pass
            return body
        return self._exactly(int(named.get("content-length", "0")))

    def _echo(self, method: str, target: str, fields: list[tuple[str, str]], body: bytes) -> None:
        said = {
            "method": method,
            "target": target,
            "headers": fields,
            "body": body.decode("latin-1"),
            "origin": self.name,
        }
        text = json.dumps(said).encode()
        self._send(200, text if method != "HEAD" else b"", "Content-Type: application/json\r\n")

    def _answer_bytes(self, count: str = "0", **_: object) -> None:
        self._send(200, b"x" * int(count))

    def _answer_status(self, status: str = "200", **_: object) -> None:
        self._send(int(status), b"" if status in ("204", "304") else f"{status}\n".encode())

    def _answer_pid(self, **_: object) -> None:
        self._send(200, str(os.getpid()).encode())

    def _answer_slow(self, seconds: str = "1", **_: object) -> None:
        gevent.sleep(float(seconds))
        self._send(200, b"slow\n")

    def _answer_drip(self, seconds: str = "0.1", count: str = "10", **_: object) -> None:
        self.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % int(count))
        for _i in range(int(count)):
            gevent.sleep(float(seconds))
            self.socket.sendall(b".")

    def _answer_chunked(self, count: str = "3", **_: object) -> None:
        self.socket.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _i in range(int(count)):
            self.socket.sendall(b"400\r\n" + b"c" * 1024 + b"\r\n")
        self.socket.sendall(b"0\r\n\r\n")

    def _answer_trailers(self, **_: object) -> None:
        self.socket.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Check\r\n\r\n"
            b"5\r\nhello\r\n0\r\nX-Check: good\r\n\r\n"
        )

    def _answer_sse(self, **_: object) -> None:
        self.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        number = 0
        while True:
            number += 1
            self.socket.sendall(b"data: %d\n\n" % number)
            gevent.sleep(EVENT_S)

    def _answer_ws(self, *, named: dict[str, str]) -> None:
        key = named.get("sec-websocket-key", "").encode()
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        self.socket.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        while True:
            opcode, payload = self._frame()
            if opcode == 8:
                self.socket.sendall(b"\x88\x00")
                return
            self.socket.sendall(bytes([0x80 | opcode, len(payload)]) + payload)

    def _answer_else(self, *_rest: str, named: object) -> None:
        self._send(404, b"no such thing\n")

    def _frame(self) -> tuple[int, bytes]:
        first, second = self._exactly(2)
        mask = self._exactly(4) if second & 0x80 else b"\0\0\0\0"
        payload = self._exactly(second & 0x7F)
        return first & 15, bytes(b ^ mask[i % 4] for i, b in enumerate(payload))

    def _send(self, status: int, body: bytes, fields: str = "") -> None:
        length = "" if status in (204, 304) else f"Content-Length: {len(body)}\r\n"
        self.socket.sendall(
            f"HTTP/1.1 {status} X\r\n{length}{fields}X-Origin: {self.name}\r\n\r\n".encode() + body
        )

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            self._more()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def _exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def _more(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise Gone
        self.buffer += data


def main() -> int:
    """Serve until killed; the first line on stdout is the address."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--path", default="")
    parser.add_argument("--name", default="origin")
    options = parser.parse_args()
    if options.path:
        listener = gevent.socket.socket(gevent.socket.AF_UNIX, gevent.socket.SOCK_STREAM)
        listener.bind(options.path)
        os.chmod(options.path, 0o666)
        listener.listen(512)
        address = f"unix:{options.path}"
    else:
        family = gevent.socket.AF_INET6 if ":" in options.host else gevent.socket.AF_INET
        listener = gevent.socket.socket(family, gevent.socket.SOCK_STREAM)
        listener.setsockopt(gevent.socket.SOL_SOCKET, gevent.socket.SO_REUSEADDR, 1)
        listener.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
        listener.bind((options.host, 0))
        listener.listen(4096)
        port = listener.getsockname()[1]
        address = f"[{options.host}]:{port}" if ":" in options.host else f"{options.host}:{port}"
    server = gevent.server.StreamServer(listener, lambda s, _: Served(s, options.name).serve())
    gevent.signal.signal(signal.SIGTERM, lambda *_: server.stop())
    sys.stdout.write(address + "\n")
    sys.stdout.flush()
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
