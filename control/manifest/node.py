"""Node and Bun: the script `start`, else the main file, run without npm in between."""

import re
from typing import Final

from control.manifest.package_json import (
    BUILDERS,
    FILE_NAME,
    builder_of,
    install_steps,
    runner_of,
    script_argv,
    scripts_of,
)
from control.manifest.project import Detection, Project, Undetected
from control.manifest.spec import Step

BUN_FILES: Final = ("bun.lock", "bun.lockb", "bunfig.toml")


def recognise_bun(project: Project) -> str:
    """Why a folder is Bun's; "" when it is not."""
    name = project.first(*BUN_FILES)
    if name and not _is_site(project):
        return f"found {name}"
    named = _names_bun(project)
    return f"found {FILE_NAME}: {named}" if named and not _is_site(project) else ""


def recognise_node(project: Project) -> str:
    """Why a folder is Node's; "" when it is not, or a site that Node merely builds."""
    name = project.first(FILE_NAME, *_MAINS["node"])
    return f"found {name}" if name and not _is_site(project) else ""


def plan_node(project: Project) -> Detection:
    """An app of Node."""
    return _plan(project, "node")


def plan_bun(project: Project) -> Detection:
    """An app of Bun."""
    return _plan(project, "bun")


# Private

_SCRIPTS: Final = ("server.js", "index.js", "app.js", "main.js", "src/index.js", "src/server.js")
_MAINS: Final = {
    "node": (*_SCRIPTS, "server.mjs", "index.mjs"),
    "bun": ("index.ts", "server.ts", "src/index.ts", "src/server.ts", "index.tsx", *_SCRIPTS),
}


def _names_bun(project: Project) -> str:
    """By what a package.json is meant for Bun; "" when it is not. `bun init` writes @types/bun, and
    no lock file where there is nothing to lock."""
    package = project.json(FILE_NAME)
    named = str(package.get("packageManager", ""))
    if named.startswith("bun@"):
        return named
    for key, names in (("engines", ("bun",)), ("devDependencies", ("@types/bun", "bun-types"))):
        table = package.get(key)
        found = [name for name in names if isinstance(table, dict) and name in table]
        if found:
            return f"{key} {found[0]}"
    starts = re.match(r"(?:[A-Z_]+=\S* )*(bunx? )", scripts_of(project).get("start", ""))
    return "script `start`" if starts else ""


def _plan(project: Project, runtime: str) -> Detection:
    project.need_tool(runtime, why=f"runtime {runtime}")
    scripts = scripts_of(project)
    builds = "build" in scripts
    usual = "bun" if runtime == "bun" else "npm"
    steps = install_steps(project, with_dev=builds, usual=usual)
    if builds:
        argv = (runner_of(project, usual), "run", "build")
        steps += (Step(argv=argv, reason=f"found {FILE_NAME}: script `build`"),)
    found = Detection(
        runtime=runtime,
        build=steps,
        vars=(("NODE_ENV", "production"),),
        path=("node_modules/.bin",),
    )
    if project.has_start:
        return found
    if not project.main and "start" in scripts:
        reason = f"found {FILE_NAME}: script `start`"
        return found.but(start=script_argv(scripts, "start", FILE_NAME), found=(("start", reason),))
    main, reason = _main(project, runtime)
    return found.but(start=(runtime, main), found=(("start", reason),))


def _main(project: Project, runtime: str) -> tuple[str, str]:
    if project.main:
        return project.main, "written in edge.toml"
    package = project.json(FILE_NAME)
    for key in ("module", "main") if runtime == "bun" else ("main",):
        name = package.get(key)
        if isinstance(name, str) and (file := project.first(name, f"{name}.js")):
            return file, f"found {FILE_NAME}: {key}"
    file = project.first(*_MAINS[runtime])
    if not file:
        listed = ", ".join(_MAINS[runtime])
        raise Undetected(
            f'{FILE_NAME} has neither a script "start" nor a main that is there, and there is none'
            f' of {listed}: write main = "FILE"'
        )
    return file, f"found {file}"


def _is_site(project: Project) -> bool:
    """Whether Node only builds the files that are served."""
    scripts = scripts_of(project)
    start = scripts.get("start", "").split()
    serves = bool(start) and start[0] not in BUILDERS
    return builder_of(project) != "" and not serves and not project.has(*_MAINS["node"])
