"""Deno: the start task, or the main file."""

import re
from typing import Final

from control.manifest.package_json import script_argv
from control.manifest.project import Detection, Project, Undetected
from control.manifest.spec import Step

MAINS: Final = (
    "main.ts", "server.ts", "index.ts", "mod.ts", "main.js", "server.js", "index.js",
    "src/main.ts", "src/index.ts", "src/server.ts",
)  # fmt: skip

RESERVED_BYTES: Final = 512 << 20
"""Room for compiled code that Deno takes at its start, as memory that it may write to."""


def plan_deno(project: Project) -> Detection:
    """A task of the name `start`, else the main file, served when it exports a handler."""
    project.need_tool("deno", why="deno")
    main = project.main or project.first(*MAINS)
    vars_ = (("DENO_DIR", ".edged/deno"),)
    build = ("deno", "cache", main) if main else ("deno", "install")
    step = Step(argv=build, reason="fetches what is imported")
    found = Detection(runtime="deno", build=(step,), vars=vars_)
    if project.has_start:
        return found
    tasks = _tasks(project)
    if "start" in tasks and not project.main:
        argv = script_argv(tasks, "start", "deno.json")
        if argv[0] == "deno":
            argv = (*_AT, *argv)
        return found.but(start=argv, found=(("start", "found deno.json: task `start`"),))
    if not main:
        raise Undetected(f'there is no task "start", and none of {", ".join(MAINS)}')
    if project.lines(main, r"^export\s+default\b"):
        argv = ("deno", "serve", "--host", "$HOST", "--port", "$PORT", _ALLOWED, main)
        return found.but(start=argv, found=(("start", f"found {main}: its default export"),))
    argv = (*_AT, "deno", "run", _ALLOWED, main)
    return found.but(start=argv, found=(("start", f"found {main}"),))


# Private

_AT: Final = ("env", "DENO_SERVE_ADDRESS=tcp:$HOST:$PORT")
"""Where the first `Deno.serve` listens, whatever it is told: most are told nothing."""

_ALLOWED: Final = "--allow-all"
"""The app's user is its fence, as for all runtimes: it may write where that user may. Who wants a
closer one says so in a task of the name `start`."""


def _tasks(project: Project) -> dict[str, str]:
    """The tasks that are one command. Comments of a .jsonc are skipped."""
    name = project.first("deno.json", "deno.jsonc")
    if name.endswith("c"):
        pairs = re.findall(r'"start"\s*:\s*("(?:[^"\\]|\\.)*")', project.text(name))
        return {"start": pairs[0][1:-1]} if pairs else {}
    return project.scripts(name, "tasks") if name else {}
