"""Asking the spawner for a process, and starting a spawner when there is none."""

import array
import contextlib
import errno
import json
import logging
import os
import shutil
import socket as stdlib_socket
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import gevent
from gevent import socket, subprocess
from gevent.lock import RLock

import supervisor
from control.instances.process import ending
from control.manifest.programs import lacking
from supervisor.backoff import after_death
from supervisor.program import GO, Program
from supervisor.spawner import ANSWER, LENGTH, WITH_CGROUP, WITHOUT_CGROUP

log = logging.getLogger("control.apps")

ANSWER_S: Final = 10.0
"""A spawner that has not answered by then is replaced: nothing that it does takes so long."""


class SpawnFailed(Exception):
    """There is no process. The text says which step failed, with what, and why."""


class Line:
    """The way to a process that has not executed its program yet, and waits for a word."""

    def __init__(self, program: Program, end: socket.socket) -> None:
        self._program = program
        self._end = end

    def go(self) -> None:
        """Let it execute its program; returns when it has. Raises `SpawnFailed`."""
        with contextlib.closing(self._end):
            with contextlib.suppress(BrokenPipeError):  # it has failed: the answer says how
                self._end.send(GO)
            answer = self._end.recv(65536)
        if answer:
            step, number, file = json.loads(answer)
            raise SpawnFailed(_explanation(self._program, step, number, file))


class Spawner:
    """The spawner process: started when it is first needed, or kept there."""

    def __init__(self) -> None:
        self.command = (sys.executable, "-m", "supervisor.spawner")
        self._lock = RLock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._keeping: gevent.Greenlet | None = None

    def __repr__(self) -> str:
        return f"<Spawner pid={self.pid}>"

    @property
    def pid(self) -> int:
        """Of its process; 0 when there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    def keep(self, died: Callable[[int, str], None]) -> None:
        """Have one from now on, and another one when it has ended: `died` is told its pid and how.
        Returns at once."""
        if self._keeping is None:
            self._keeping = gevent.spawn(self._keep_on, died)

    def start(self) -> None:
        """Have one now, so that the first app need not wait for it. Raises `SpawnFailed`."""
        with self._lock:
            if self.pid:
                return
            self._end()
            ours, theirs = _pair()
            with contextlib.closing(theirs):
                command = [*self.command, str(theirs.fileno())]
                try:
                    self._process = subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        pass_fds=[theirs.fileno()],
                        start_new_session=True,
                        env=_environment(os.environ),
                    )
                except OSError as error:
                    ours.close()
                    raise SpawnFailed(f"no process can be started: {error.strerror}") from None
            ours.settimeout(ANSWER_S)
            self._socket = ours

    def stop(self) -> None:
        """End it, and keep none. What it has started goes on."""
        if self._keeping is not None:
            self._keeping.kill(block=False)
            self._keeping = None
        self._end()

    def spawn(self, program: Program, fds: Sequence[int], cgroup: int = -1) -> tuple[int, Line]:
        """A process that is our child, and waits to execute the program. Raises `SpawnFailed`."""
        with self._lock:
            try:
                return self._ask(program, fds, cgroup)
            except OSError:  # the spawner was killed: another one
                self._end()
            try:
                return self._ask(program, fds, cgroup)
            except OSError as error:
                raise SpawnFailed(f"the spawner does not answer: {error}") from None

    # Private

    def _keep_on(self, died: Callable[[int, str], None]) -> None:
        deaths = 0
        while True:
            began_s = time.monotonic()
            try:
                self.start()
                process = self._process
                assert process is not None
                died(process.pid, ending(process.wait()))
            except SpawnFailed as failure:
                log.error("there is no spawner: %s", failure)
            deaths, delay_s = after_death(deaths, time.monotonic() - began_s)
            gevent.sleep(delay_s)

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _ask(self, program: Program, fds: Sequence[int], cgroup: int) -> tuple[int, Line]:
        self.start()
        # Each attempt has a line of its own: what an earlier one has left ends with that one's.
        ours, theirs = _pair()
        try:
            with contextlib.closing(theirs):
                pid = self._exchange(program, [theirs.fileno(), *fds], cgroup)
            if pid < 0:
                why = f"the system has no process for it: {os.strerror(-pid).lower()}"
                raise SpawnFailed(f"cannot start {program.argv[0]}: {why}")
        except BaseException as error:
            ours.close()
            if not isinstance(error, Exception):
                self._end()  # nobody waits for its answer, which would be taken for the next one's
            raise
        return pid, Line(program, ours)

    def _exchange(self, program: Program, fds: Sequence[int], cgroup: int) -> int:
        if self._socket is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        kind = WITHOUT_CGROUP if cgroup < 0 else WITH_CGROUP
        text = kind + program.to_json().encode()
        passed = array.array("i", fds if cgroup < 0 else [fds[0], cgroup, *fds[1:]])
        rights = [(stdlib_socket.SOL_SOCKET, stdlib_socket.SCM_RIGHTS, passed)]
        self._socket.sendmsg([LENGTH.pack(len(text))], rights)
        self._socket.sendall(text)
        answer = self._socket.recv(ANSWER.size)
        if len(answer) != ANSWER.size:
            raise OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        pid: int = ANSWER.unpack(answer)[0]
        return pid


# Private


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """What the spawner itself needs, to find the code of this edged; none of it reaches apps."""
    root = str(Path(supervisor.__file__).parent.parent)
    paths = [root, *filter(None, own.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        "PATH": own.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONSAFEPATH": "1",  # nothing is imported from the folder that we happen to be in
    }


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two ends: on ours greenlets wait, on theirs a process without a loop."""
    ours, theirs = socket.socketpair()
    os.set_blocking(theirs.fileno(), True)
    return ours, theirs


def _explanation(program: Program, step: str, number: int, file: str) -> str:
    why = os.strerror(number).lower()
    if step != "execute":
        return f"cannot start {program.argv[0]}: cannot {step}{f' {file}' if file else ''}: {why}"
    path = program.env.get("PATH", os.defpath)
    if "/" not in file and number == errno.ENOENT:
        return f"cannot start {file}: {lacking(file, path)}"
    if "/" not in file and (place := shutil.which(file, path=path)):
        return f"cannot start {file}: {_refusal(place) if number == errno.EACCES else why}"
    place = os.path.join(program.cwd, file)
    if number == errno.ENOEXEC:
        return f"cannot start {place}: it is no program for this machine, and has no #! line"
    if number == errno.ENOENT and os.path.exists(place):
        return f"cannot start {place}: {_interpreter(place)} is not there"
    return f"cannot start {place}: {why}"


def _refusal(place: str) -> str:
    """Why the user of an app may not run what is there for us: most often it is in a home."""
    real = os.path.realpath(place)
    leads = f", which is {real}," if real != place else ""
    closed = [
        str(each)
        for each in reversed(Path(real).parents)
        if not os.stat(each).st_mode & stat.S_IXOTH
    ]
    if not closed:
        return f"{place}{leads} may not be run by the app's user"
    return (
        f"{place}{leads} is in {closed[0]}, which the app's user may not enter: install it where"
        " all users may, such as /usr/local"
    )


def _interpreter(path: str) -> str:
    try:
        with open(path, "rb") as file:
            line = file.readline(256)
    except OSError:
        line = b""
    if line.startswith(b"#!"):
        return f"{line[2:].split()[0].decode(errors='replace')}, which its first line names,"
    return "the loader that it is linked to"
