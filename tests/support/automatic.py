"""An edged that has its certificates from a real CA, which asks it."""

import ssl
from pathlib import Path
from typing import Any

from tests.support.edged import Edged
from tests.support.pebble import Pebble
from tests.support.ports import free_address, split_address
from tests.support.tls_client import TlsClient, context_for

HOST = "site.example"


class Automatic:
    """An edged, and the CA that asks it."""

    def __init__(self, folder: Path) -> None:
        self.http, self.https = free_address(), free_address()
        ports = (split_address(self.http)[1], split_address(self.https)[1])
        self.pebble = Pebble(folder / "ca", challenge_ports=ports)
        self.root = folder / "root.pem"

    def edged(self, text: str, tls: str = "", *, directory: str = "") -> Edged:
        """Not started; `directory` is of a front of the CA."""
        server = (
            f'https = ["{self.https}"]\n'
            f'[tls]\nacme_directory = "{directory or self.pebble.directory}"\n'
            f'acme_ca_file = "{self.pebble.ca_file}"\n{tls}\n'
        )
        return Edged(text, server=server, workers=2, addresses=[self.http])

    def context(self) -> ssl.SSLContext:
        management = f"https://127.0.0.1:{self.pebble._manage}/roots/0"
        self.root.write_bytes(self.pebble.fetch(management))
        return context_for(self.root)

    def get(self, host: str = HOST) -> bytes:
        with TlsClient(self.https, host, self.context()) as client:
            return client.get(host=host)


def line(edged: Edged, host: str = HOST) -> dict[str, Any]:
    """What `edgectl certs` says of a host."""
    listed = {each["host"]: each for each in edged.ctl_json("certs")["certs"]}
    return listed[host]


def state(edged: Edged, host: str = HOST) -> str:
    return str(line(edged, host)["state"])


def fingerprint(edged: Edged, host: str = HOST) -> str:
    """Of the certificate that workers serve for it."""
    return str(line(edged, host)["fingerprint"])
