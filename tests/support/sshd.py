"""A real sshd on loopback, for the user of the tests alone, and a client's settings for it."""

import contextlib
import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.eventually import eventually
from tests.support.ports import free_address
from tests.support.programs import can_connect

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or ""
IS_THERE = bool(SSHD and shutil.which("ssh") and shutil.which("ssh-keygen"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sshd:
    """One that runs."""

    port: int
    command: str  # that of a client with its key

    def url(self, socket: Path) -> str:
        """Of an edged whose socket is there."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{socket}"


@contextlib.contextmanager
def sshd() -> Iterator[Sshd]:
    folder = Path(tempfile.mkdtemp(prefix="edged-sshd-"))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = int(free_address().rpartition(":")[2])
    for name in ("host", "user"):
        key = str(folder / name)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    (folder / "sshd").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/authorized\nPidFile none\nUsePAM no\n"
        "PermitRootLogin yes\nPasswordAuthentication no\n"
    )
    (folder / "ssh").write_text(
        f"IdentityFile {folder}/user\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known\n"
        "StrictHostKeyChecking accept-new\nBatchMode yes\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(folder / "sshd")], stdin=subprocess.DEVNULL, stderr=log
        )
    try:
        eventually(lambda: can_connect(port))
        yield Sshd(port=port, command=f"ssh -F {folder}/ssh")
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
