"""Answers challenges as workers will: from a folder, also when who presented them was killed."""

import contextlib
import http.server
import socket
import socketserver
import ssl
import threading
from pathlib import Path
from typing import Any, Self

from control.acme.alpn import PROTOCOL, challenge_certificate
from control.acme.spec import Kind


class FolderSolver:
    """The keeper's side: writes down what is to be answered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.presented: list[tuple[Kind, str]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def present(self, kind: Kind, name: str, token: str, key_authorization: str) -> None:
        self.presented.append((kind, name))
        if kind is Kind.HTTP:
            (self.folder / token).write_text(key_authorization, encoding="utf-8")
        else:
            chain, key = challenge_certificate(name, key_authorization)
            (self.folder / f"{name}.pem").write_bytes(chain + key)

    def withdraw(self, kind: Kind, name: str, token: str, key_authorization: str) -> None:
        path = self.folder / (token if kind is Kind.HTTP else f"{name}.pem")
        path.unlink(missing_ok=True)

    @property
    def left(self) -> list[str]:
        """What was not withdrawn."""
        return sorted(path.name for path in self.folder.iterdir())


class Responders:
    """The worker's side: HTTP on one port, TLS with ALPN on the other."""

    def __init__(self, folder: Path, http_port: int, tls_port: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.asked: list[str] = []
        owner = self

        class HttpAnswer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked.append(self.path)
                path = owner.folder / self.path.rpartition("/")[2]
                text = path.read_bytes() if path.exists() else None
                self.send_response(404 if text is None else 200)
                self.send_header("Content-Length", str(len(text or b"")))
                self.end_headers()
                self.wfile.write(text or b"")

            def log_message(self, *_: Any) -> None:
                pass

        class TlsAnswer(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    owner.context().wrap_socket(self.request, server_side=True).close()

        self._servers = [
            _Server(("127.0.0.1", http_port), HttpAnswer),
            _Server(("127.0.0.1", tls_port), TlsAnswer),
        ]

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(  # noqa: TID251
                target=server.serve_forever, args=(0.02,), daemon=True
            ).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols([PROTOCOL])
        context.sni_callback = self._choose
        return context

    # Private

    def _choose(self, sock: Any, name: str | None, _: ssl.SSLContext) -> int | None:
        self.asked.append(f"tls:{name}")
        path = self.folder / f"{name}.pem"
        if not path.exists():
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        chosen = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        chosen.set_alpn_protocols([PROTOCOL])
        try:
            chosen.load_cert_chain(path)
        except FileNotFoundError:  # withdrawn meanwhile
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        sock.context = chosen
        return None


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    address_family = socket.AF_INET

    def handle_error(self, *_: Any) -> None:
        """Who validates may hang up."""
