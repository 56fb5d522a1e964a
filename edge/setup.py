"""What a worker process is given at the fork. Workers read it, so they define it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """Settings that a running worker cannot change: a change of one of them rolls the workers."""

    hooks: tuple[str, ...] = ()  # absolute file paths or dotted module names, in order
    hook_path: str = ""  # folder in which dotted names are looked up first: that of the config
    access_log: str = ""  # absolute path, "-" for stdout, "" for none
    table_path: str = ""  # SQLite file with the published table
    drain_s: float = 30.0  # a draining worker finishes exchanges that long
    drain_upgraded_s: float = 3600.0  # and tunnels and event streams that long
    server_name: str = "edged"  # what `Via` says
    control_path: str = ""  # unix socket on which control hears wishes


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """One listening socket that the master made: which slot's it is, and its address as text."""

    slot: int
    address: str  # "127.0.0.1:8080", "[::1]:8080"
    fd: int
    adopted: bool = False  # the service manager holds it too: never shut it down
    tls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSetup:
    """A worker's place: its slot, its row in shared memory, and the descriptors it inherits."""

    slot: int
    row: int
    code: int  # which roll it belongs to
    options: WorkerOptions
    segment_fd: int
    doorbell_fd: int  # eventfd that control rings after a publish
    stack_fd: int  # where faulthandler writes the stack when SIGUSR2 asks for it
    master_pid: int = 0  # another parent than that: the master is gone, nobody may keep the port
    sockets: tuple[Socket, ...]  # of all slots: one's own are served, a stalled neighbour's too
