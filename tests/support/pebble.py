"""A real CA: Debian's Pebble, strict, with its DNS server, on free loopback ports."""

import base64
import json
import os
import shutil
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any, Final, Self

from tests.support.authority import Authority
from tests.support.eventually import eventually
from tests.support.ports import free_ports

KID: Final = "kid-1"
HMAC_KEY: Final = base64.urlsafe_b64encode(b"thirty-two octets of a hmac key!").decode().rstrip("=")


class Pebble:
    """One CA. `directory` is where it begins, `ca_file` what to trust it by."""

    def __init__(
        self,
        folder: Path,
        *,
        accounts_bound: bool = False,
        nonces_rejected: int = 50,
        proofs_reused: int = 50,
        challenge_ports: tuple[int, int] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.trust = Authority(folder)
        self.ca_file = self.trust.ca_file
        port, self._manage, dns, dns_manage, *ports = free_ports(6)
        self.http_port, self.tls_port = challenge_ports or ports
        self.address = f"127.0.0.1:{port}"
        self.directory = f"https://{self.address}/dir"
        self.dns_address = f"127.0.0.1:{dns}"
        self.dns_manage = f"http://127.0.0.1:{dns_manage}"
        config: dict[str, Any] = {
            "listenAddress": self.address,
            "managementListenAddress": f"127.0.0.1:{self._manage}",
            "certificate": self.trust.chain_file,
            "privateKey": self.trust.key_file,
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": accounts_bound,
            "externalAccountMACKeys": {KID: HMAC_KEY} if accounts_bound else {},
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": config}), encoding="utf-8")
        self._environment = {
            **os.environ,
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_WFE_NONCEREJECT": str(nonces_rejected),
            "PEBBLE_AUTHZREUSE": str(proofs_reused),
        }
        self._log = (folder / "pebble.log").open("ab")
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._log.close()

    def __repr__(self) -> str:
        return f"<Pebble {'up' if self._processes else 'down'} {self.directory}>"

    def start(self) -> None:
        """Serve; what it knew before a stop is forgotten."""
        nowhere = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]
        manage = self.dns_manage.removeprefix("http://")
        self._run(
            "pebble-challtestsrv", "-dns01", self.dns_address, "-management", manage, *nowhere
        )
        config = str(self.folder / "pebble.json")
        self._run("pebble", "-strict", "-config", config, "-dnsserver", self.dns_address)
        eventually(lambda: self.fetch(self.directory), within_s=20.0)
        eventually(lambda: self.ask_dns("clear-txt", host="nothing.test."), within_s=20.0)

    def stop(self) -> None:
        """End its processes."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()

    def ask_dns(self, verb: str, **payload: str) -> bool:
        """A verb of the DNS server's management."""
        data = json.dumps(payload).encode()
        with urllib.request.urlopen(f"{self.dns_manage}/{verb}", data=data, timeout=10) as answer:
            return answer.status == 200

    def status_of(self, serial: str) -> str:
        """ "Valid" or "Revoked", as the CA itself has it."""
        even = serial if len(serial) % 2 == 0 else f"0{serial}"
        url = f"https://127.0.0.1:{self._manage}/cert-status-by-serial/{even}"
        return json.loads(self.fetch(url))["Status"]

    def fetch(self, url: str) -> bytes:
        context = ssl.create_default_context(cafile=self.ca_file)
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:
            return answer.read()

    @property
    def log(self) -> str:
        return (self.folder / "pebble.log").read_text("utf-8", "replace")

    # Private

    def _run(self, program: str, *arguments: str) -> None:
        found = shutil.which(program) or f"/usr/bin/{program}"
        self._processes.append(
            subprocess.Popen(
                [found, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self.folder,
            )
        )
