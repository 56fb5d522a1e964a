"""nginx, HAProxy and Caddy as reverse proxies, and the origin that all of them stand before.

Each does what edged does unasked: keeps connections to the origin, writes a line per request to a
log file, adds X-Forwarded-For, and has finite timeouts.
"""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Final, Self

from tests.bench.cores import Cores, pin
from tests.support.edged import children_of
from tests.support.eventually import eventually
from tests.support.ports import free_address, split_address

ORIGIN: Final = """
daemon off; worker_processes 1; pid {folder}/origin.pid; error_log {folder}/origin.err;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 100000000; sendfile on; tcp_nopush on;
  server {{
    listen {address} backlog=4096;
    location / {{ return 200 "hello world\\n"; }}
    location /files/ {{ alias {folder}/files/; }}
  }}
}}
"""

NGINX: Final = """
daemon off; worker_processes 1;
pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 16384; }}
http {{
  access_log {folder}/nginx.log; keepalive_requests 100000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream origin {{ server {origin}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen {address} backlog=4096; sendfile on; tcp_nopush on;
    location /static/ {{ alias {folder}/files/; }}
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Request-Id $request_id;
    }}
  }}
}}
"""

HAPROXY: Final = """
global
  nbthread 1
  maxconn 8000
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  http-reuse always
  timeout client 60s
  timeout server 60s
  timeout connect 3s
  timeout http-request 15s
  timeout http-keep-alive 75s
frontend web
  bind {address} backlog 4096
  default_backend origin
backend origin
  server origin {origin} pool-max-conn 256
"""

CADDY: Final = """
{{
  admin off
  auto_https off
}}
http://{address} {{
  log {{
    output file {folder}/caddy.log {{
      roll_disabled
    }}
  }}
  handle_path /static/* {{
    root * {folder}/files
    file_server
  }}
  reverse_proxy {origin} {{
    transport http {{
      dial_timeout 3s
      response_header_timeout 60s
      keepalive_idle_conns_per_host 256
    }}
  }}
}}
"""

COMMANDS: Final = {
    "origin": ["nginx", "-c", "{file}"],
    "nginx": ["nginx", "-c", "{file}"],
    "haproxy": ["haproxy", "-f", "{file}"],
    "caddy": ["caddy", "run", "--adapter", "caddyfile", "--config", "{file}"],
}
PACKAGES: Final = {"nginx": "nginx-light", "haproxy": "haproxy", "caddy": "caddy", "wrk": "wrk"}


class Peer:
    """One of those servers, running."""

    def __init__(self, name: str, text: str, folder: Path, cores: Cores, origin: str = "") -> None:
        self.name = name
        self.address = free_address()
        on = cores.origin if name == "origin" else (cores.server,)
        file = folder / f"{name}.conf"
        file.write_text(text.format(address=self.address, folder=folder, origin=origin))
        command = [part.format(file=file) for part in COMMANDS[name]]
        with (folder / f"{name}.out").open("wb") as out:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "GOMAXPROCS": "1", "HOME": str(folder)},
            )
        try:
            eventually(lambda: _listens(self.address), 20)
        except AssertionError:
            self.stop()
            said = (folder / f"{name}.out").read_text(errors="replace")[-2000:]
            raise AssertionError(f"{name} does not start: {said}") from None
        for pid in self.pids():
            pin(pid, on)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def pids(self) -> list[int]:
        """Its processes."""
        return [self._process.pid, *children_of(self._process.pid)]

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def missing() -> list[str]:
    """The packages of programs that are not there."""
    return [package for program, package in PACKAGES.items() if not shutil.which(program)]


def make_files(folder: Path) -> None:
    """The bodies that the origin serves, readable by its worker."""
    files = folder / "files"
    files.mkdir()
    for name, size in (("10k", 10 << 10), ("100k", 100 << 10), ("10m", 10 << 20)):
        (files / name).write_bytes(b"x" * size)


# Private


def _listens(address: str) -> bool:
    with socket.create_connection(split_address(address), timeout=1):
        return True
