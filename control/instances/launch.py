"""From what an instance shall be to a process that is it."""

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from gevent import socket

from control.durable import Owner
from control.instances import pipes, procfs
from control.instances.cgroup import Cgroup, Cgroups, Limits
from control.instances.isolation import make_passable, oom_score, rlimits
from control.instances.lines import Take
from control.instances.process import Process, Record
from control.instances.spawn import Line, Spawner, SpawnFailed
from control.manifest.command import fill
from supervisor.program import Program

LISTEN_FD: Final = 3
READY_FD: Final = 4
SECRETS_FD: Final = 5
BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What one process gets. Nothing else reaches it: not our environment, no descriptor."""

    name: str  # of the instance, and no other's: pipes, cgroup and mark are named by it
    argv: tuple[str, ...]  # the first is looked up in PATH of `env`
    cwd: str
    env: Mapping[str, str] = field(default_factory=dict)  # HOST, PORT and the mark come to it
    more_env: Callable[[], Mapping[str, str]] = dict  # asked at each start. Raises `Refused`
    host: str = "127.0.0.1"
    port: int = 0  # 0: it chooses one, and says which on descriptor 4
    socket_fd: int = -1  # a socket that listens, of no other instance: descriptor 3
    has_socket: bool = False  # such a socket is made for it, at its host and port
    secrets_fd: int = -1  # what secrets can be read from: descriptor 5
    owner: Owner | None = None  # None: who we are
    limits: Limits = field(default_factory=Limits)


class Launcher:
    """Launches processes."""

    def __init__(self, folder: str, cgroups: Cgroups, spawner: Spawner) -> None:
        self.folder = folder  # of pipes
        self.cgroups = cgroups
        self.spawner = spawner

    def __repr__(self) -> str:
        return f"<Launcher {self.cgroups!r} {self.spawner!r}>"

    def launch(self, launch: Launch, take: Take) -> Process:
        """A process that executes its program by now. Raises `SpawnFailed`, and `Refused` when
        its environment cannot be had."""
        launch = replace(launch, env={**launch.env, **launch.more_env()}, more_env=dict)
        with contextlib.ExitStack() as opened:
            cgroup = None
            try:
                cgroup, cgroup_fd = self._make_cgroup(launch, opened)
                fds = self._open(launch, opened)
            except OSError as error:
                self._clear(launch, cgroup)
                raise SpawnFailed(f"cannot start {launch.argv[0]}: {error}") from None
            try:
                pid, line = self.spawner.spawn(
                    self._program(launch, tuple(fds)), tuple(fds.values()), cgroup_fd
                )
            except SpawnFailed:
                self._clear(launch, cgroup)
                raise
        return self._begin(launch, pid, line, cgroup, take)

    # Private

    def _make_cgroup(
        self, launch: Launch, opened: contextlib.ExitStack
    ) -> tuple[Cgroup | None, int]:
        cgroup = self.cgroups.make(launch.name, launch.limits)
        if cgroup is None:
            return None, -1
        fd = cgroup.open()
        opened.callback(os.close, fd)
        return cgroup, fd

    def _open(self, launch: Launch, opened: contextlib.ExitStack) -> dict[int, int]:
        """What becomes each descriptor of the program."""
        make_passable(self.folder)
        pipes.make(self.folder, launch.name, launch.owner)
        fds = {0: os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)}
        opened.callback(os.close, fds[0])
        for target, kind in ((1, pipes.OUT), (2, pipes.ERR), (READY_FD, pipes.READY)):
            fds[target] = pipes.open_theirs(self.folder, launch.name, kind)
            opened.callback(os.close, fds[target])
        listen_fd = launch.socket_fd
        if launch.has_socket:
            listen_fd = socket.create_server((launch.host, launch.port), backlog=BACKLOG).detach()
            opened.callback(os.close, listen_fd)
        for target, fd in ((LISTEN_FD, listen_fd), (SECRETS_FD, launch.secrets_fd)):
            if fd >= 0:
                fds[target] = fd
        return fds

    def _program(self, launch: Launch, targets: tuple[int, ...]) -> Program:
        env, mark = dict(launch.env), pipes.mark_of(self.folder, launch.name)
        env |= {"HOST": launch.host, "PORT": str(launch.port), procfs.MARK: mark}
        if launch.socket_fd >= 0 or launch.has_socket:
            env["LISTEN_FDS"] = "1"
        owner = launch.owner or Owner()
        return Program(
            argv=fill(launch.argv, launch.host, launch.port),
            env=env,
            cwd=launch.cwd,
            targets=targets,
            uid=owner.uid,
            gid=owner.gid,
            oom_score=oom_score(),
            limits=rlimits(launch.limits, self.cgroups, launch.owner),
        )

    def _begin(
        self, launch: Launch, pid: int, line: Line, cgroup: Cgroup | None, take: Take
    ) -> Process:
        """Watch it first, and then let it go: an exit that nobody watches for is lost."""
        stat = procfs.stat_of(pid)
        record = Record(
            name=launch.name,
            pid=pid,
            start_ticks=stat.start_ticks if stat is not None else 0,
            uid=launch.owner.uid if launch.owner is not None else os.geteuid(),
            host=launch.host,
            port=launch.port,
            folder=self.folder,
            cgroup=cgroup.path if cgroup is not None else "",
        )
        process = None
        try:
            process = Process(record, os.pidfd_open(pid), take, is_child=True)
            process.read()
            line.go()
        except (OSError, SpawnFailed) as error:
            if process is not None:
                process.kill()
                process.ended.wait()
            self._clear(launch, cgroup)
            text = f"cannot start {launch.argv[0]}: {error}"
            raise (error if isinstance(error, SpawnFailed) else SpawnFailed(text)) from None
        return process

    def _clear(self, launch: Launch, cgroup: Cgroup | None) -> None:
        pipes.remove(self.folder, launch.name)
        if cgroup is not None:
            cgroup.remove()


def listening_socket(host: str, port: int = 0, backlog: int = 1024) -> socket.socket:
    """A socket for descriptor 3. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(backlog)
    except OSError:
        made.close()
        raise
    return made
