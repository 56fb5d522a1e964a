"""Control is killed at every step of an order: it ends with one certificate, and one order."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from control.acme.vault import Vault
from tests.architecture.sources import ROOT
from tests.support.acme import Acme, new_name
from tests.support.acme_front import AcmeFront, Asked

KNOWN = {"dir", "nonce-plz"}
"""Questions that change nothing; all others are steps."""


class Life:
    """Controls on one folder, one after the other."""

    def __init__(self, acme: Acme, front: AcmeFront, folder: Path) -> None:
        self.front = front
        self.folder = folder
        self.name = new_name()
        self.setup: dict[str, Any] = {
            "directory": front.directory,
            "ca_file": front.ca_file,
            "folder": str(folder),
            "challenges": str(acme.responders.folder),
            "kind": "http-01",
            "name": self.name,
        }
        self.process: subprocess.Popen[str] | None = None

    def run(self) -> int:
        """One control, until it has a certificate or is killed; its exit code."""
        self.begin()
        return self.end()

    def begin(self, **more: Any) -> None:
        command = [sys.executable, "-m", "tests.support.keeping_child"]
        self.process = subprocess.Popen(
            [*command, json.dumps({**self.setup, **more})],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self) -> int:
        assert self.process is not None
        self.process.communicate(timeout=60)
        return self.process.returncode

    def kill_at(self, number: int, *, late: bool) -> None:
        """At that step: before the CA hears of it, or when it has done it and nobody knows."""
        left = number

        def step(asked: Asked) -> None:
            nonlocal left
            if asked.what not in KNOWN:
                left -= 1
                if left == 0 and self.process is not None:
                    os.kill(self.process.pid, signal.SIGKILL)
                    self.process.wait()

        self.front.passing, self.front.answered = (
            (lambda asked: None, step) if late else (step, lambda asked: None)
        )

    def spare(self) -> None:
        self.front.passing = self.front.answered = lambda asked: None

    @property
    def vault(self) -> Vault:
        return Vault(str(self.folder / "vault"))

    def issued(self) -> list[str]:
        """The folders of the certificates that there are."""
        above = self.folder / "vault" / "certificates" / self.name
        return sorted(path.name for path in above.iterdir())


AT_ONCE = 4
"""Controls that are killed side by side: nearly all that they do is wait."""

END_OF_KEY = b"-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_a_control_that_is_killed_at_a_step_of_an_order_ends_with_one_certificate_and_one_order(
    acme: Acme, tmp_path: Path, late: bool
) -> None:
    killed: list[int] = []
    for first in range(1, 100, AT_ONCE):
        numbers = range(first, first + AT_ONCE)
        with ExitStack() as fronts:
            lives = {
                number: Life(
                    acme, fronts.enter_context(AcmeFront(acme.pebble)), tmp_path / str(number)
                )
                for number in numbers
            }
            for number, life in lives.items():
                life.kill_at(number, late=late)
                life.begin()
            codes = {number: life.end() for number, life in lives.items()}
            assert set(codes.values()) <= {0, -signal.SIGKILL}
            killed += [number for number, code in codes.items() if code]
            for life in lives.values():
                life.spare()
                life.begin()
            assert [life.end() for life in lives.values()] == [0] * AT_ONCE
            for number, life in lives.items():
                assert life.front.count("order-plz") == 1, (number, life.front.done)
                assert life.front.count("finalize-order") == 1, (number, life.front.done)
                assert life.issued() == ["000001"]
        if 0 in codes.values():
            break
    assert len(killed) >= 8


def test_a_control_that_is_killed_while_it_writes_leaves_nothing_half_written(
    acme: Acme, front: AcmeFront, tmp_path: Path
) -> None:
    killed: list[int] = []
    for first in range(1, 200, AT_ONCE):
        numbers = range(first, first + AT_ONCE)
        lives = {number: Life(acme, front, tmp_path / str(number)) for number in numbers}
        front.done.clear()
        for number, life in lives.items():
            life.begin(kill_at=number)
        ended = [number for number, life in lives.items() if life.end() == 0]
        killed += [number for number in numbers if number not in ended]
        for life in lives.values():
            assert_whole(life)
            life.begin()
        assert [life.end() for life in lives.values()] == [0] * AT_ONCE
        assert front.count("order-plz") == AT_ONCE, (first, front.done)
        for life in lives.values():
            assert life.issued() == ["000001"]
            assert [path.name for path in Path(life.vault.folder).rglob(".new-*")] == []
        if ended:
            break
    assert len(killed) >= 15


def assert_whole(life: Life) -> None:
    """What is in the vault can be served: a certificate with all of its key, or none."""
    cert = life.vault.load([life.name]).get(life.name)
    assert cert is None or Path(cert.key_path).read_bytes().endswith(END_OF_KEY)
