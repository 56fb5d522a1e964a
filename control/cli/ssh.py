"""An edged on another host: its admin socket is here, too, by the system's own OpenSSH client.

ssh knows the host's key, the user's keys and agent, and what stands in ~/.ssh/config, where
`ssh://prod` may be a name. Nothing of an address is read by a shell. The remote side runs `cat`,
which ends with us whatever ends us, and with it the connection and what was begun over it.
"""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Final, Self

from control.cli.client import EXIT_REFUSED, Client, Failure

COMMAND: Final = "EDGED_SSH"
"""A variable with another command than `ssh`, such as `ssh -F FILE`."""

USUAL_SOCKET: Final = "/run/edged/edged.sock"
LOOK_S: Final = 0.05
END_S: Final = 3.0

_URL: Final = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@)?"
    r"(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<socket>/[A-Za-z0-9_./-]+)?/?"
)
_OPTIONS: Final = (
    "ExitOnForwardFailure=yes",
    "ConnectTimeout=15",
    "ServerAliveInterval=15",
    "ControlMaster=no",
    "ControlPath=none",  # a shared connection would outlive us
    "ForwardAgent=no",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Where an edged is."""

    url: str
    host: str
    user: str = ""
    port: str = ""
    socket: str = USUAL_SOCKET

    @property
    def name(self) -> str:
        """How it is called in what is shown."""
        return self.url.removeprefix("ssh://")


def remote_of(url: str) -> Remote:
    """The remote of an address. Raises `Failure`."""
    found = _URL.fullmatch(url)
    if found is None:
        text = f"{url!r} is no host: write ssh://USER@HOST:PORT/PATH/OF/edged.sock; HOST is enough."
        raise Failure("bad-host", text, EXIT_REFUSED)
    return Remote(
        url=url,
        host=found["host"].strip("[]"),
        user=found["user"] or "",
        port=found["port"] or "",
        socket=found["socket"] or USUAL_SOCKET,
    )


class Tunnel:
    """An open connection to a remote; `client` asks its edged."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self._folder = tempfile.mkdtemp(prefix="edgectl-", dir="/tmp")  # a socket's path is short
        self.client = Client(os.path.join(self._folder, "edged.sock"))
        self._said = os.path.join(self._folder, "said")
        self._ssh: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Tunnel {self.remote.name}>"

    def __enter__(self) -> Self:
        """Connect; the user may be asked for a password. Raises `Failure`."""
        try:
            self._connect()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, and with it what goes on over it."""
        ssh, self._ssh = self._ssh, None
        if ssh is not None:
            ssh.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                ssh.wait(END_S)
            ssh.kill()
            ssh.wait()
            assert ssh.stdin is not None
            ssh.stdin.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def explain(self, failure: Failure) -> Failure:
        """The same failure, with what ssh has said."""
        said = self._text()
        text = f"{self.remote.name}: {failure}" + (f"\n  | {said}" if said else "")
        more = {k: v for k, v in failure.document.items() if k not in ("error", "message")}
        return Failure(failure.document["error"], text, failure.exit_code, more)

    # Private

    def _connect(self) -> None:
        with open(self._said, "wb") as said:
            self._ssh = ssh = subprocess.Popen(
                self._command(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said
            )
        while not os.path.exists(self.client.path):
            with contextlib.suppress(subprocess.TimeoutExpired):
                ssh.wait(LOOK_S)
                text = f"{self.remote.name} is not reached: {self._text() or 'ssh has ended'}"
                raise Failure("not-reached", text, EXIT_REFUSED)

    def _command(self) -> list[str]:
        remote = self.remote
        command = shlex.split(os.environ.get(COMMAND, "ssh"))
        for option in _OPTIONS:
            command += ["-o", option]
        if remote.user:
            command += ["-l", remote.user]
        if remote.port:
            command += ["-p", remote.port]
        return [
            *command,
            "-T",
            "-L",
            f"{self.client.path}:{remote.socket}",
            "--",
            remote.host,
            "cat",
        ]

    def _text(self) -> str:
        try:
            with open(self._said, encoding="utf-8", errors="replace") as said:
                return said.read().strip()
        except OSError:
            return ""
