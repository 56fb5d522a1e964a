"""Where an app in development is: its folder, what edged keeps of it, its addresses.

What is kept is beside the person's other state and not in the app's folder: there it would be
watched, and what runs in place has a link back into that folder.
"""

import hashlib
import os
import shutil
import socket
import tempfile
from dataclasses import dataclass
from typing import Final, Self

USUAL_HTTP: Final = 8080
USUAL_HTTPS: Final = 8443

SERVER: Final = """\
[server]
http = ["127.0.0.1:{http}"]
https = ["127.0.0.1:{https}"]
workers = 1
state_dir = "state"
run_dir = "{run_dir}"
{user}
[tls]
redirect = false
[timeouts]
drain = "500ms"
drain_upgraded = "500ms"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One app's."""

    folder: str  # absolute
    name: str
    env: str
    kept: str  # state, data, the internal CA: from one run to the next
    run_dir: str
    http: int
    https: int

    @classmethod
    def make(cls, folder: str, name: str, env: str, *, wants_usual: bool = True) -> Self:
        """Have it: free ports, the usual ones if they are, and a server file. Raises `OSError`."""
        # A socket's path is short, and that of a person's home may be long.
        run_dir = tempfile.mkdtemp(prefix="edged-dev-", dir="/tmp")
        place = cls(
            folder=folder,
            name=name,
            env=env,
            kept=_kept(folder, name),
            run_dir=run_dir,
            http=free_port(USUAL_HTTP if wants_usual else 0),
            https=free_port(USUAL_HTTPS if wants_usual else 0),
        )
        os.makedirs(place.kept, 0o700, exist_ok=True)
        user = 'user = "root"' if os.geteuid() == 0 else ""
        text = SERVER.format(http=place.http, https=place.https, run_dir=run_dir, user=user)
        with open(place.config, "w", encoding="utf-8") as file:
            file.write(text)
        return place

    @property
    def config(self) -> str:
        """The server file."""
        return os.path.join(self.kept, "edged.toml")

    @property
    def log(self) -> str:
        """What edged itself says."""
        return os.path.join(self.kept, "edged.log")

    @property
    def socket(self) -> str:
        """The admin socket."""
        return os.path.join(self.run_dir, "edged.sock")

    @property
    def app(self) -> str:
        """The app's id."""
        return f"{self.name}/{self.env}"

    @property
    def url(self) -> str:
        """For a browser."""
        return f"https://{self.name}.localhost:{self.https}/"

    @property
    def plain_url(self) -> str:
        """Without TLS."""
        return f"http://{self.name}.localhost:{self.http}/"

    def leave(self) -> None:
        """Remove what is of this run alone."""
        shutil.rmtree(self.run_dir, ignore_errors=True)


def _kept(folder: str, name: str) -> str:
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    mark = hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]
    return os.path.join(state, "edged", "dev", f"{name}-{mark}")


def free_port(usual: int) -> int:
    """The usual port if it is free, else any that is."""
    for port in (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen()
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no port is free")
