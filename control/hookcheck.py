"""Asking whether hooks load, in a process that is thrown away, as the user that workers run as.

Hook modules are the user's code: importing them may hang, crash or print. None of that reaches
control, which learns what the hooks are, which files they came from, or why they do not load.
"""

import json
import math
import os
import pwd
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from gevent import subprocess

import edge
from control.refusal import Refused
from supervisor.spec import Spec

TIMEOUT_S: Final = 20.0
_TAIL: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class HookInfo:
    """One hook of the configuration."""

    name: str
    source: str
    line: int
    phases: tuple[str, ...]
    on_error: str = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookReport:
    """What the configured hooks are, in their order, and the files that they came from."""

    hooks: tuple[HookInfo, ...] = ()
    files: dict[str, str] = field(default_factory=dict)  # path: SHA-256

    @classmethod
    def from_json(cls, text: str) -> "HookReport":
        """The report of a text; raises `ValueError`, `KeyError` or `TypeError`."""
        raw = json.loads(text)
        hooks = tuple(
            HookInfo(**{**hook, "phases": tuple(hook["phases"])}) for hook in raw["hooks"]
        )
        return cls(hooks=hooks, files=dict(raw["files"]))

    def doubting(self, since: float) -> "HookReport":
        """The same, without the hashes of files that were changed since that wall time.

        Workers that started then may have loaded what those files held before.
        """
        return replace(
            self,
            files={path: "" if _changed(path) >= since else h for path, h in self.files.items()},
        )


def check(spec: Spec, timeout_s: float = TIMEOUT_S) -> HookReport:
    """The hooks of a spec. Raises `Refused` (`hooks-failed`, with the traceback) when they fail."""
    options = spec.worker
    if not options.hooks:
        return HookReport()
    who = spec.user if spec.user and os.geteuid() == 0 else ""
    command = [sys.executable, "-m", "control.hooktrial", who, options.hook_path, *options.hooks]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=_environment(os.environ, who),
    )
    try:
        answer, noise = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise Refused(
            "hooks-failed", f"Loading the hooks took more than {timeout_s:g} s: it was ended."
        ) from None
    finally:
        _end(process)
    return _report(answer, noise, process.returncode)


# Private


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_ctime
    except OSError:
        return math.inf


def _environment(own: Mapping[str, str], who: str) -> dict[str, str]:
    """Ours, so that hooks see what workers see; the code of this edged comes first."""
    root = str(Path(edge.__file__).parent.parent)
    paths = [root, *filter(None, own.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {**own, "PYTHONPATH": os.pathsep.join(paths)}
    if who:
        environment["HOME"] = pwd.getpwnam(who).pw_dir
    return environment


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End what is left: the process, and whatever the hooks have started in its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
    process.wait()


def _report(answer: bytes, noise: bytes, code: int) -> HookReport:
    text = noise.decode(errors="replace").strip()[-_TAIL:]
    try:
        raw: dict[str, Any] = json.loads(answer)
        if "error" not in raw:
            return HookReport.from_json(answer.decode())
    except (ValueError, KeyError, TypeError):
        raise Refused(
            "hooks-failed",
            f"Loading the hooks ended the process that tried it (exit code {code}).",
            {"traceback": text},
        ) from None
    message = str(raw["error"])
    raise Refused("hooks-failed", message, {"traceback": str(raw.get("traceback", text))})
