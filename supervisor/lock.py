"""One master per run_dir: the lock file that says who it is.

The lock lives as long as its descriptor, which no child inherits and an exec in place keeps, so
a master that was killed never leaves a lock behind.
"""

import fcntl
import os

from supervisor.errors import StartError


def acquire(run_dir: str) -> int:
    """Lock `run_dir` and return the descriptor that holds the lock; raises `StartError`."""
    path = os.path.join(run_dir, "edged.lock")
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StartError(
            f"cannot open the lock {path}: {error.strerror}; make {run_dir} writable for the"
            f" user that runs edged."
        ) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise StartError(
            f"edged runs already with this run_dir: process {holder} holds {path}."
            f" Use `edgectl reload` to change it or `edgectl stop` to end it."
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd
