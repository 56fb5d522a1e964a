"""Process main of the spawner: a small process that clones, so that control does not.

Control has threads and 60 MiB: a fork of it takes 3 ms, and its child could find a lock of the
allocator taken by a thread that it does not have. Here is one thread and little memory. What is
cloned here is a child of the spawner's parent, which is control: it learns the exit code, and when
it dies its children are the master's. The spawner ends with control.
"""

import array
import os
import signal
import socket
import struct
import sys
from typing import Final

import setproctitle

from supervisor.fork import clone, share_pages
from supervisor.identity import die_with_parent
from supervisor.program import Program, become

LENGTH: Final = struct.Struct("!I")
ANSWER: Final = struct.Struct("!q")
"""The pid, or an error's number below 0."""

TITLE: Final = "edged: spawner"
WITH_CGROUP: Final = b"c"
WITHOUT_CGROUP: Final = b"-"
MOST_FDS: Final = 16


def main(fd: int) -> None:
    """Answer one request after the other until the socket ends."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # control alone ends it
    setproctitle.setproctitle(TITLE)
    die_with_parent()  # also when it does not read: stopped by a signal, or in the kernel
    server = socket.socket(fileno=fd)
    share_pages()
    while request := receive(server):
        text, fds = request
        server.sendall(ANSWER.pack(_spawn(text, fds)))


def receive(sock: socket.socket) -> tuple[bytes, list[int]] | None:
    """One request and the descriptors that come with it; None at the end."""
    fds = array.array("i")
    head, extra, _, _ = sock.recvmsg(
        LENGTH.size, socket.CMSG_SPACE(MOST_FDS * fds.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for level, kind, content in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content)
    text = bytearray()
    while head and len(text) < LENGTH.unpack(head)[0]:
        piece = sock.recv(LENGTH.unpack(head)[0] - len(text))
        if not piece:
            return None
        text += piece
    return (bytes(text), fds.tolist()) if head else None


# Private


def _spawn(text: bytes, fds: list[int]) -> int:
    line, *rest = fds
    cgroup = rest.pop(0) if text[:1] == WITH_CGROUP else -1
    program = Program.from_json(text[1:])
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid, is_outside = clone(cgroup)
        if pid == 0:
            become(program, rest, line, cgroup if is_outside else -1)
        return pid
    except OSError as error:
        return -(error.errno or 1)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for fd in fds:
            os.close(fd)


if __name__ == "__main__":
    main(int(sys.argv[1]))
