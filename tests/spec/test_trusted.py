"""What `edgectl trust` is for: real browsers, and NSS itself, believe the internal CA."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.edged import Edged, route
from tests.support.machine import Machine
from tests.support.ports import free_address, split_address

NAMES = ["localhost", "app.localhost", "x.app.localhost", "printer", "127.0.0.1"]
PAGE = "a page for those who trust"
UNTRUSTED = "net_error -202"  # ERR_CERT_AUTHORITY_INVALID

needs_chromium = pytest.mark.skipif(
    shutil.which("chromium") is None, reason="no chromium: apt install chromium"
)


class Place:
    """An edged with an internal certificate, and a machine of its own to trust it."""

    def __init__(self, edged: Edged, https: str, machine: Machine) -> None:
        self.edged = edged
        self.port = split_address(https)[1]
        self.machine = machine

    def ctl(self, verb: str) -> None:
        done = self.machine.ctl("--socket", str(self.edged.socket_path), verb)
        assert done, done

    def browse(self, name: str) -> str:
        """What Chromium shows, or why it shows nothing; no option of it is about certificates."""
        rights = ["--no-sandbox"] if os.geteuid() == 0 else []
        command = ["chromium", "--headless=new", *rights, "--disable-gpu", "--dump-dom",
                   "--no-proxy-server", "--disable-dev-shm-usage"]  # fmt: skip
        with subprocess.Popen(
            [*command, f"--host-resolver-rules=MAP {name} 127.0.0.1",
             f"https://{name}:{self.port}/"],
            env=self.machine.environ, cwd=self.machine.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        ) as browser:  # fmt: skip
            try:
                page, errors = browser.communicate(timeout=60)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(browser.pid, signal.SIGKILL)
        return page or errors

    def ask(self, name: str, database: Path) -> str:
        """What NSS gets, or why it believes nothing."""
        asked = self.machine.folder / "asked"
        asked.write_text(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n")
        done = subprocess.run(
            ["tstclnt", "-4", "-h", "127.0.0.1", "-p", str(self.port), "-a", name,
             "-d", f"sql:{database}", "-A", str(asked)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        return done.stdout if done.returncode == 0 else done.stderr


@pytest.fixture
def place() -> Iterator[Place]:
    https = free_address()
    body = route(["localhost", "app.localhost", "*.app.localhost", "printer", "127.0.0.1"],
                 extra=f'respond = "{PAGE}"')  # fmt: skip
    with Machine() as machine, Edged(body, server=f'https = ["{https}"]') as edged:
        yield Place(edged, https, machine)


@needs_chromium
def test_chromium_believes_it_once_it_is_trusted_and_then_no_more(place: Place) -> None:
    assert UNTRUSTED in place.browse("localhost")  # and it makes its database
    place.ctl("trust")
    assert [PAGE in place.browse(name) for name in NAMES] == [True] * len(NAMES)
    place.ctl("untrust")
    assert UNTRUSTED in place.browse("localhost")


@needs_chromium
def test_a_chromium_that_never_ran_believes_it_too(place: Place) -> None:
    place.ctl("trust")
    assert PAGE in place.browse("localhost")


def test_nss_believes_it_once_it_is_trusted_and_then_no_more(place: Place) -> None:
    database = place.machine.make_database(".pki/nssdb")
    assert "SEC_ERROR_UNKNOWN_ISSUER" in place.ask("localhost", database)
    place.ctl("trust")
    for name in NAMES:
        assert PAGE in place.ask(name, database)
    place.ctl("untrust")
    assert "SEC_ERROR_UNKNOWN_ISSUER" in place.ask("localhost", database)
