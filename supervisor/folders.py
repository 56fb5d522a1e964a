"""The folders and the access log that the master makes for its children."""

import contextlib
import errno
import logging
import os
import stat

from supervisor.errors import StartError
from supervisor.identity import Identity
from supervisor.spec import Spec

log = logging.getLogger("edged.folders")

STATE_MODE = 0o711  # workers pass through to the table, nobody lists it
RUN_MODE = 0o755
LOG_MODE = 0o640


def make(spec: Spec) -> None:
    """Make `state_dir` and `run_dir` where they are missing; raises `StartError`."""
    for name, path, mode in (
        ("state_dir", spec.state_dir, STATE_MODE),
        ("run_dir", spec.run_dir, RUN_MODE),
    ):
        try:
            if not os.path.isdir(path):
                os.makedirs(path)
                os.chmod(path, mode)
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise StartError(
                f"cannot use server.{name} {path}: {(error.strerror or str(error)).lower()}."
                f" Make it a folder that the user who runs edged may write to, or name another."
            ) from None


def make_access_log(spec: Spec, identity: Identity) -> str:
    """Create the access log for the workers, who may not; returns what went wrong, or "".

    Their user owns the file and nothing around it. A link in its place is not followed: it could
    point to a file that only root may write.
    """
    path = spec.worker.access_log
    if path in ("", "-"):
        return ""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.dirname(path), RUN_MODE)
        fd = os.open(path, flags, LOG_MODE)
        try:
            status = os.fstat(fd)
            is_ours = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
            if identity.differs and is_ours and status.st_uid != identity.uid:
                os.fchown(fd, identity.uid, identity.gid)
        finally:
            os.close(fd)
    except OSError as error:
        problem = f"cannot write the access log {path}: {(error.strerror or str(error)).lower()}"
        log.error("%s; serving without it", problem)
        return problem
    return ""
