"""Whether the workers' user can reach what a spec names.

Started as root, edged gives its workers to an unprivileged user, who cannot enter /root or a home
folder of mode 0700. Without this check the workers would die one after the other, and the reason
would be in their last words only.
"""

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from typing import Final

from control.config.problem import Problem
from supervisor.spec import Spec

_ACL: Final = "system.posix_acl_access"


def check_reach(spec: Spec, file: str) -> tuple[Problem, ...]:
    """One problem per path that the user of `spec` cannot reach; none when nobody changes user."""
    if not spec.user or os.geteuid() != 0:
        return ()
    uid, groups = _identity(spec)
    problems = []
    for key, path, must_read in _paths(spec):
        barrier = _barrier(path, uid, groups, must_read=must_read)
        if barrier:
            message = (
                f'"{path}" is out of reach for the workers\' user "{spec.user}": let it into'
                f' "{barrier}", choose another place, or set server.user'
            )
            problems.append(Problem(file=file, line=0, key=key, message=message))
    return tuple(problems)


# Private


def _identity(spec: Spec) -> tuple[int, set[int]]:
    entry = pwd.getpwnam(spec.user)
    group = grp.getgrnam(spec.group).gr_gid if spec.group else entry.pw_gid
    return entry.pw_uid, {group, *os.getgrouplist(spec.user, group)}


def _paths(spec: Spec) -> Iterator[tuple[str, str, bool]]:
    yield "server.state_dir", spec.state_dir, False
    if spec.worker.access_log not in ("", "-"):
        yield "server.access_log", spec.worker.access_log, False
    for hook in spec.worker.hooks:
        if hook.startswith("/"):
            yield "server.hooks", hook, True


def _barrier(path: str, uid: int, groups: set[int], *, must_read: bool) -> str:
    """The first folder on the way that may not be entered, or the file itself, or ""."""
    parts = path.strip("/").split("/")
    for depth in range(len(parts)):
        folder = "/" + "/".join(parts[:depth])
        if os.path.exists(folder) and not _may(folder, uid, groups, stat.S_IXOTH):
            return folder
    if must_read and not _may(path, uid, groups, stat.S_IROTH):
        return path
    return ""


def _may(path: str, uid: int, groups: set[int], bit: int) -> bool:
    """Whether the mode of a path grants that; an access list is left to the kernel to read."""
    found = os.stat(path)
    if _ACL in os.listxattr(path):
        return True
    if found.st_uid == uid:
        return bool(found.st_mode >> 6 & bit)
    if found.st_gid in groups:
        return bool(found.st_mode >> 3 & bit)
    return bool(found.st_mode & bit)
