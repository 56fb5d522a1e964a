"""The only `os.fork` and its like, the way from the fork to a child's own main, and its exit code.

| code | means |
|---|---|
| 0 | done |
| 3 | could not boot: its hooks or its table |
| 70 | an error of ours; the traceback is in the log |
"""

import ctypes
import errno
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import ClassVar, Final, NoReturn

import setproctitle

from supervisor.identity import become
from supervisor.inherit import Inheritance, close_others, forget_environment

log = logging.getLogger("edged.fork")

EXIT_DONE: Final = 0
EXIT_BOOT: Final = 3
EXIT_INTERNAL: Final = 70

IGNORED_IN_CHILDREN: Final = (
    signal.SIGHUP,  # a terminal that closes, or a reload, is the master's to answer
    signal.SIGINT,  # so is Ctrl-C, which the terminal sends to all
    signal.SIGUSR1,  # these two until the child has a handler: both kill by default
    signal.SIGUSR2,
    signal.SIGPIPE,
)


def fork(inheritance: Inheritance, main: Callable[[], int]) -> int:
    """Fork a child that runs `main` and exits with what it returns; gives its pid.

    Raises `OSError` when the machine has no room for another process.
    """
    assert_forkable()
    sys.stdout.flush()
    sys.stderr.flush()
    # A signal that reached the child before it has reset its handlers would be taken for one
    # of the master's: both share the pipe that the master's handlers write to.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()  # noqa: TID251  this is the place
        if pid == 0:
            _live(inheritance, main)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def clone(cgroup: int = -1) -> tuple[int, bool]:
    """Make a child of this process's own parent, in the cgroup of that folder.

    The result is the pid, 0 in the child, and whether the child has yet to enter the cgroup.

    A process that is moved into a cgroup waits for all others, 10 ms and more; one that is born in
    it does not. There must be one thread and nothing to run after a fork: libc knows of none.
    Raises `OSError`.
    """
    assert_forkable()
    flags = _CLONE_PARENT | (_CLONE_INTO_CGROUP if cgroup >= 0 else 0)
    arguments = _CloneArguments(flags=flags, cgroup=max(cgroup, 0))
    pid = _libc.syscall(_SYS_CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments))
    if pid == -1 and ctypes.get_errno() in (errno.ENOSYS, errno.EPERM, errno.E2BIG):
        return _clone_as_ever(), cgroup >= 0  # an old kernel, or a container that filters calls
    if pid == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(pid), False


def share_pages() -> None:
    """Keep the collector from touching what exists now, so that children share its pages."""
    gc.collect()
    gc.freeze()


def assert_forkable() -> None:
    """A thread or a gevent hub before a fork is a bug: neither lives on in the child."""
    local = sys.modules.get("gevent._hub_local")
    if local is not None and local.get_hub_if_exists() is not None:
        raise AssertionError("a gevent hub exists before the fork")
    if threading.active_count() != 1:
        raise AssertionError(f"threads before the fork: {threading.enumerate()}")


# Private

_CLONE_PARENT: Final = 0x8000
_CLONE_INTO_CGROUP: Final = 0x2_0000_0000
_SYS_CLONE3: Final = 435  # on every architecture
_SYS_CLONE: Final = {"x86_64": 56}.get(os.uname().machine, 220)
_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _CloneArguments(ctypes.Structure):
    """`struct clone_args` of linux/sched.h."""

    _fields_: ClassVar = [
        (name, ctypes.c_uint64)
        for name in (
            "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size",
            "tls", "set_tid", "set_tid_size", "cgroup",
        )
    ]  # fmt: skip


def _clone_as_ever() -> int:
    nothing = ctypes.c_long(0)
    flags = ctypes.c_long(_CLONE_PARENT | signal.SIGCHLD)
    pid = _libc.syscall(ctypes.c_long(_SYS_CLONE), flags, nothing, nothing, nothing, nothing)
    if pid == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(pid)


def _live(inheritance: Inheritance, main: Callable[[], int]) -> NoReturn:
    """The whole life of a child. Never returns: the master's stack is below."""
    code = EXIT_INTERNAL
    try:
        _reset_signals()
        _use_no_stdin()
        close_others(inheritance.fds)
        forget_environment()
        setproctitle.setproctitle(inheritance.title)
        if inheritance.identity is not None:
            become(inheritance.identity)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        code = main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else EXIT_DONE
    except BaseException:  # the child's last line: it becomes the exit code
        log.exception("%s failed", inheritance.title)
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                code = code or EXIT_INTERNAL
        os._exit(code)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if number < signal.SIGRTMIN:
            signal.signal(number, signal.SIG_DFL)
    for number in IGNORED_IN_CHILDREN:
        signal.signal(number, signal.SIG_IGN)


def _use_no_stdin() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
