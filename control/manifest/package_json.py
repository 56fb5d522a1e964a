"""package.json: its scripts as argument vectors, and how its lock file is installed.

npm between us and the program would keep SIGTERM to itself, so a script is resolved to what it
runs. What cannot be resolved is refused with the line to write.
"""

import re
from typing import Any, Final

from control.manifest import command
from control.manifest.project import Project, Undetected
from control.manifest.spec import Step

FILE_NAME: Final = "package.json"

BUILDERS: Final = {
    "vite": "dist",
    "astro": "dist",
    "react-scripts": "build",
    "vue-cli-service": "dist",
    "gatsby": "public",
    "eleventy": "_site",
    "docusaurus": "build",
    "vitepress": ".vitepress/dist",
    "parcel": "dist",
}
"""Programs that make a static site, and where they put it. What they start is for development."""


def scripts_of(project: Project) -> dict[str, str]:
    """The scripts of a folder's package.json."""
    return project.scripts(FILE_NAME, "scripts")


def builder_of(project: Project) -> str:
    """Which of `BUILDERS` the script `build` ends with; "" for none."""
    words = scripts_of(project).get("build", "").rpartition("&&")[2].split()
    word = next((one for one in words if one != "npx"), "")
    return word if word in BUILDERS else ""


def script_argv(scripts: dict[str, str], name: str, file: str) -> tuple[str, ...]:
    """What a script runs in the end. Raises `Undetected` when only a shell could say."""
    argv = command.at_last(_texts(scripts, name, file, frozenset()))
    if argv is None:
        raise Undetected(
            f'{file}: its "{name}" takes a shell, which would hear SIGTERM in place of the'
            ' program: write start = ["PROGRAM", …] in edge.toml'
        )
    return ("env", *argv[1:]) if argv[0] == "cross-env" else argv


def install_steps(project: Project, *, with_dev: bool, usual: str = "npm") -> tuple[Step, ...]:
    """How the lock file is installed, with what only the build needs or without; without one it is
    done by the `usual` program, npm or bun."""
    lock = project.first(*_INSTALLS)
    if lock:
        tool = _INSTALLS[lock]
        argv = _berry(project) if tool == "yarn" else ()
        argv = argv or (tool, *_ARGUMENTS[tool], *_DEV[tool, with_dev])
        return (Step(argv=_runnable(project, argv, lock), reason=f"found {lock}"),)
    package = project.json(FILE_NAME)
    if package.get("dependencies") or (with_dev and package.get("devDependencies")):
        reason = f"found {FILE_NAME} without a lock file"
        argv = (usual, "install", *_LOCKLESS[usual], *_DEV[usual, with_dev])
        return (Step(argv=_runnable(project, argv, FILE_NAME), reason=reason),)
    return ()


def runner_of(project: Project, usual: str = "npm") -> str:
    """The program that runs scripts here: that of the lock file, else the `usual` one."""
    return _INSTALLS.get(project.first(*_INSTALLS), usual)


# Private

_INSTALLS: Final = {
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
    "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn",
    "bun.lock": "bun",
    "bun.lockb": "bun",
}
_ARGUMENTS: Final = {
    "npm": ("ci", "--no-audit", "--no-fund"),
    "pnpm": ("install", "--frozen-lockfile"),
    "yarn": ("install", "--frozen-lockfile"),
    "bun": ("install", "--frozen-lockfile"),
}
_LOCKLESS: Final = {"npm": ("--no-package-lock",), "bun": ("--no-save",)}
_DEV: Final[dict[tuple[str, bool], tuple[str, ...]]] = {
    ("npm", True): ("--include=dev",),
    ("npm", False): ("--omit=dev",),
    ("pnpm", True): ("--prod=false",),
    ("pnpm", False): ("--prod",),
    ("yarn", True): ("--production=false",),
    ("yarn", False): ("--production=true",),
    ("bun", True): (),
    ("bun", False): ("--production",),
}
_RUN: Final = re.compile(r"(?:npm|pnpm|yarn|bun|deno)(?:\s+(?:run|task))?\s+([\w:.-]+)")


def _texts(scripts: dict[str, str], name: str, file: str, seen: frozenset[str]) -> list[str]:
    """The commands of a script, with those of the scripts that it runs in their place."""
    if name in seen:
        raise Undetected(f'{file}: its "{name}" runs itself')
    found = []
    for one in (f"pre{name}", name):
        for part in scripts.get(one, "").split("&&") if one in scripts else ():
            match = _RUN.fullmatch(part.strip())
            if match and match[1] in scripts:
                found += _texts(scripts, match[1], file, seen | {name})
            else:
                found.append(part.strip())
    return found


def _berry(project: Project) -> tuple[str, ...]:
    """yarn from version 2 on has other words; () for version 1."""
    named: Any = project.json(FILE_NAME).get("packageManager", "")
    modern = isinstance(named, str) and re.match(r"yarn@(?!1\.)", named)
    return ("yarn", "install", "--immutable") if modern or project.has(".yarnrc.yml") else ()


def _runnable(project: Project, argv: tuple[str, ...], why: str) -> tuple[str, ...]:
    """A package manager that is not there is asked of corepack, which comes with Node."""
    comes = argv[0] in ("pnpm", "yarn") and project.has_tool("corepack")
    if comes and not project.has_tool(argv[0]):
        return ("corepack", *argv)
    project.need_tool(argv[0], why=why)
    return argv
