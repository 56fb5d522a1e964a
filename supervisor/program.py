"""A program that is executed: all that it gets, and the way there from the clone.

It has no environment, descriptor, right or limit but those that are named here. Until `become` has
executed it, it is told to go on or to give up by whoever asked for it, over the line: a socket of
which it has the one end. An error goes back over the line, so that it is never taken for a
program's own exit code.
"""

import errno
import fcntl
import json
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NoReturn

from supervisor.identity import forbid_privileges

MASK: Final = 0o027
GO: Final = b"g"

_SPARE: Final = 16  # no program is given a descriptor of that number or above
_ALL: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What one program gets."""

    argv: tuple[str, ...]
    env: Mapping[str, str]  # all of it
    cwd: str
    targets: tuple[int, ...]  # what each of the descriptors that come along becomes
    uid: int = -1  # -1: it stays who we are
    gid: int = -1
    oom_score: int = 0
    limits: tuple[tuple[int, int], ...] = ()  # RLIMIT_… and its value, soft and hard

    def to_json(self) -> str:
        """A text for `from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> "Program":
        """The program of a text."""
        raw: dict[str, Any] = json.loads(text)
        raw["argv"], raw["targets"] = tuple(raw["argv"]), tuple(raw["targets"])
        raw["limits"] = tuple((kind, value) for kind, value in raw["limits"])
        return cls(**raw)


def become(program: Program, fds: Sequence[int], line: int, cgroup: int) -> NoReturn:
    """Execute the program. Only a child calls this, and it never returns."""
    step, file = "give it a session", ""
    try:
        os.setsid()
        if cgroup >= 0:
            step = "have it enter its cgroup"
            _enter(cgroup)
        _restore_signals()
        step = "set its limits"
        _limit(program)
        step = "hand over its descriptors"
        line = _place(fds, program.targets, line)
        step = "give it a user of its own"
        _become_user(program)
        step, file = "enter its folder", program.cwd
        os.chdir(program.cwd)
        step, file = "execute", program.argv[0]
        if os.read(line, 1) == GO:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            _execute(program)
    except OSError as error:
        _report(line, step, error, file)
    finally:
        os._exit(127)


# Private


def _restore_signals() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if number < signal.SIGRTMIN:
            signal.signal(number, signal.SIG_DFL)


def _enter(cgroup: int) -> None:
    entrance = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=cgroup)
    os.write(entrance, b"0")
    os.close(entrance)


def _limit(program: Program) -> None:
    os.umask(MASK)
    score = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    os.write(score, str(program.oom_score).encode())
    os.close(score)
    for kind, value in program.limits:
        _, most = resource.getrlimit(kind)
        kept = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (kept, kept))


def _place(fds: Sequence[int], targets: Sequence[int], line: int) -> int:
    """Every descriptor in its place, and no other but the line, which the exec closes."""
    # What is to be copied may be in the place of another: all go out of the way first.
    line, *sources = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _SPARE) for fd in (line, *fds))
    for source, target in zip(sources, targets, strict=True):
        os.dup2(source, target)
    for unused in set(range(_SPARE)) - set(targets):
        os.closerange(unused, unused + 1)
    os.closerange(_SPARE, line)
    os.closerange(line + 1, _ALL)
    return line


def _become_user(program: Program) -> None:
    if program.uid >= 0:
        os.setgroups([])
        os.setresgid(program.gid, program.gid, program.gid)
        os.setresuid(program.uid, program.uid, program.uid)
    forbid_privileges()


def _execute(program: Program) -> NoReturn:
    """Leaves by an error only: the one that says most."""
    name, env = program.argv[0], dict(program.env)
    if "LISTEN_FDS" in env:
        env["LISTEN_PID"] = str(os.getpid())
    raised: OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    for folder in [""] if "/" in name else env.get("PATH", os.defpath).split(os.pathsep):
        try:
            os.execve(os.path.join(folder, name), program.argv, env)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raised = error
    raise raised


def _report(line: int, step: str, error: OSError, file: str) -> None:
    os.write(line, json.dumps([step, error.errno or errno.EIO, file]).encode())
    while os.read(line, 1):  # until it was read: a process that is gone is watched by nobody
        pass
