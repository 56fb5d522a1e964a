"""The desired state of the process tree. The master reads it, so it defines it.

Control makes a `Spec` from the configuration; it travels over the channel and through an exec as
JSON (`to_json`, `from_json`).
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Final

from edge.setup import WorkerOptions

SOCKET_NAME: Final = "edged.sock"
"""The admin socket's, in `run_dir`."""

MAX_WORKERS: Final = 64
DRAINING_PER_SLOT: Final = 3
"""How many old workers of one slot may linger with long-lived connections; the oldest is ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What the master keeps up."""

    config_path: str  # absolute
    http: tuple[str, ...]  # canonical addresses: "127.0.0.1:8080", "[::]:80"
    workers: int
    https: tuple[str, ...] = ()  # likewise, with TLS
    state_dir: str  # absolute
    run_dir: str  # absolute; holds edged.sock and edged.lock
    metrics: str = ""  # address, or ""
    user: str = ""  # workers run as that user when the master is root; "" keeps the master's
    group: str = ""  # group of the admin socket and of the workers; "" is the user's own
    hang_s: float = 10.0  # a worker whose loop stands still that long is replaced
    worker: WorkerOptions = field(default_factory=WorkerOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSetup:
    """What the control process is given at the fork."""

    spec: Spec
    boot: bool  # first control of this master: read the file; else take up the applied config
    segment_fd: int
    doorbells: tuple[int, ...]  # eventfds, one per row of the segment
    channel_fd: int  # SOCK_SEQPACKET to the master
    admin_fd: int  # listening unix socket RUN_DIR/edged.sock
    metrics_fd: int  # listening TCP socket, or -1


def addresses(spec: Spec) -> tuple[str, ...]:
    """All addresses to listen on."""
    return spec.http + spec.https


def to_json(spec: Spec) -> str:
    """The text of a spec."""
    return json.dumps(asdict(spec), separators=(",", ":"))


def from_json(text: str) -> Spec:
    """The spec of a text that `to_json` made; raises `ValueError`, `KeyError` or `TypeError`."""
    raw = json.loads(text)
    worker = raw.pop("worker")
    worker["hooks"] = tuple(worker["hooks"])
    raw["http"] = tuple(raw["http"])
    raw["https"] = tuple(raw.get("https", ()))
    return Spec(**raw, worker=WorkerOptions(**worker))
