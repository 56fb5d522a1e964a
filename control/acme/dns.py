"""DNS-01: the user's own way to put a record into the DNS, in a process that is thrown away.

A command gets `present|cleanup NAME VALUE`. A Python file has `present(name, value)` and
`cleanup(name, value)`; it is loaded in a process of its own (`dnscall.py`), never in control: it
may hang, crash and print as it likes.
"""

import base64
import hashlib
import os
import signal
import sys
from pathlib import Path
from typing import Final

from gevent import subprocess

import control
from control.acme.failure import IssueFailed
from control.acme.spec import DnsHook

FAILED: Final = "dns-hook"
PREFIX: Final = "_acme-challenge."
_TAIL: Final = 1000


def record_of(name: str, key_authorization: str) -> tuple[str, str]:
    """Name and value of the TXT record that proves a name (RFC 8555, 8.4)."""
    digest = hashlib.sha256(key_authorization.encode()).digest()
    return PREFIX + name, base64.urlsafe_b64encode(digest).decode().rstrip("=")


def present(hook: DnsHook, name: str, key_authorization: str) -> None:
    """Have the record made. Raises `IssueFailed`."""
    _run(hook, "present", name, key_authorization)


def cleanup(hook: DnsHook, name: str, key_authorization: str) -> None:
    """Have the record removed. Raises `IssueFailed`."""
    _run(hook, "cleanup", name, key_authorization)


# Private


def _run(hook: DnsHook, verb: str, name: str, key_authorization: str) -> None:
    record, value = record_of(name, key_authorization)
    python = (sys.executable, "-m", "control.acme.dnscall", hook.file)
    command = [*(hook.command or python), verb, record, value]
    what = f"{hook.command[0] if hook.command else hook.file} {verb} {record}"
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_environment(),
        )
    except OSError as error:
        raise _failed(f"{what}: {error.strerror or error}") from None
    try:
        noise, _ = process.communicate(timeout=hook.timeout_s)
    except subprocess.TimeoutExpired:
        raise _failed(f"{what} took more than {hook.timeout_s:g} s: it was ended") from None
    finally:
        _end(process)
    if process.returncode:
        said = noise.decode(errors="replace").strip()[-_TAIL:]
        raise _failed(f"{what} ended with {process.returncode}: {said or 'it said nothing'}")


def _failed(detail: str) -> IssueFailed:
    return IssueFailed(FAILED, detail, elsewhere=False)


def _environment() -> dict[str, str]:
    root = str(Path(control.__file__).parent.parent)
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End what is left, and whatever it has started in its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
    process.wait()
