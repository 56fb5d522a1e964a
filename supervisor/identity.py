"""Whom the workers run as: the user and group of a spec, looked up once and taken on in a child."""

import ctypes
import grp
import os
import pwd
import signal
from dataclasses import dataclass
from typing import Final

from supervisor.errors import StartError
from supervisor.spec import Spec

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_CHILD_SUBREAPER: Final = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A user to become. `name` is "" when the process stays who it is."""

    name: str
    uid: int
    gid: int
    home: str

    @property
    def differs(self) -> bool:
        """Whether becoming it changes anything."""
        return self.name != ""


def resolve(spec: Spec) -> Identity:
    """The identity of a spec's workers; raises `StartError` when there is none such."""
    own = Identity(name="", uid=os.geteuid(), gid=os.getegid(), home="")
    if not spec.user:
        group = _group(spec.group) if spec.group else own.gid
        if os.geteuid() != 0 and group not in {own.gid, *os.getgroups()}:
            raise StartError(
                f'server.group "{spec.group}" is none of the groups of the user that edged runs'
                f" as: start edged as root, or name one of them."
            )
        return Identity(name="", uid=own.uid, gid=group, home="")
    try:
        entry = pwd.getpwnam(spec.user)
    except KeyError:
        raise StartError(
            f'server.user "{spec.user}" does not exist: make it with'
            f" `useradd --system --no-create-home {spec.user}`, or name another."
        ) from None
    gid = _group(spec.group) if spec.group else entry.pw_gid
    if os.geteuid() == 0:
        return Identity(name=entry.pw_name, uid=entry.pw_uid, gid=gid, home=entry.pw_dir)
    if entry.pw_uid != os.geteuid():
        raise StartError(
            f'server.user "{spec.user}" needs edged to start as root, and it runs as uid'
            f" {os.geteuid()}: start it as root, or remove server.user."
        )
    return Identity(name="", uid=own.uid, gid=gid, home="")


def become(identity: Identity) -> None:
    """Give up the master's rights for good. Only a child calls this, after its fork."""
    if identity.differs:
        os.initgroups(identity.name, identity.gid)
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
        os.environ.update(HOME=identity.home, USER=identity.name, LOGNAME=identity.name)
        if os.getresuid() != (identity.uid,) * 3 or os.getresgid() != (identity.gid,) * 3:
            raise PermissionError(f"still not only {identity.name} after the change of user")
    forbid_privileges()


def forbid_privileges() -> None:
    """Have no program that this process executes gain rights: sudo and the like give it none."""
    _prctl(_PR_SET_NO_NEW_PRIVS)


def die_with_parent() -> None:
    """Have this process killed when the one that has started it is gone, whatever it does then."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def become_subreaper() -> None:
    """Have the orphans among all descendants reparented to this process instead of to init."""
    _prctl(_PR_SET_CHILD_SUBREAPER)


# Private

_libc: Final = ctypes.CDLL(None, use_errno=True)


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise StartError(
            f'server.group "{name}" does not exist: make it with `groupadd --system {name}`,'
            f" or name another."
        ) from None


def _prctl(option: int, value: int = 1) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")
