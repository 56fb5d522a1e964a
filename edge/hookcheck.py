"""Whether hook modules load, asked in a process that is thrown away: `python -m edge.hookcheck`.

Prints one JSON document: the hooks with their phases and the files that importing them loaded,
each with its hash, so that a reload knows whether hook code has changed; or what went wrong.
"""

import hashlib
import inspect
import json
import os
import site
import sys
import sysconfig
from pathlib import Path

from edge.hooks import Hook, HookLoadError, load, phases_of


def main(arguments: list[str]) -> int:
    """`[--path DIR] HOOK…`; 0 when all load, 1 when one does not."""
    hook_path = ""
    if arguments[:1] == ["--path"]:
        hook_path, arguments = arguments[1], arguments[2:]
    # What a hook prints while it is imported must not mix with the answer.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    before = set(sys.modules)
    try:
        hooks = load(arguments, hook_path)
    except HookLoadError as error:
        json.dump({"error": str(error), "traceback": error.trace}, answer)
        answer.close()
        return 1
    files = {str(path): _hash(path) for path in _files_of(set(sys.modules) - before)}
    json.dump({"hooks": [_describe(hook) for hook in hooks], "files": files}, answer)
    answer.close()
    return 0


# Private


def _describe(hook: Hook) -> dict[str, object]:
    kind = type(hook)
    try:
        source, line = inspect.getsourcefile(kind) or "", inspect.getsourcelines(kind)[1]
    except (OSError, TypeError):
        source, line = "", 0
    phases = [phase.value for phase in phases_of(hook)]
    return {"name": kind.__name__, "source": source, "line": line, "phases": phases,
            "on_error": kind.on_error}  # fmt: skip


def _files_of(modules: set[str]) -> list[Path]:
    """The files behind those modules that a user can change: not Python's, not installed ones."""
    installed = [*site.getsitepackages(), sysconfig.get_path("stdlib"), str(Path(__file__).parent)]
    paths = set()
    for name in modules:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and not any(file.startswith(folder + os.sep) for folder in installed):
            paths.add(Path(file))
    return sorted(path for path in paths if path.is_file())


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.stdout.flush()
    os._exit(main(sys.argv[1:]))
