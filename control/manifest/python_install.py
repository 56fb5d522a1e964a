"""A Python app's own virtual environment: made by uv where it is, else by `python -m venv` and pip.

It is in the release's folder and its programs are called by `python -m`, so that it may be moved.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from control.manifest.project import Project, Undetected
from control.manifest.spec import Step

VENV: Final = ".venv"
PYTHON: Final = f"{VENV}/bin/python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """The steps, and the packages that are known to come: name and pinned version, or ""."""

    steps: tuple[Step, ...]
    packages: dict[str, str] = field(default_factory=dict)


def plan_install(project: Project) -> Install:
    """From the first file that can be handled. Raises `Undetected` when there are only others.

    A lock file that cannot be handled is not passed over for a file that pins nothing.
    """
    problems: list[str] = []
    for name, plan in _PLANS:
        if not project.has(name) or (problems and name in _UNPINNED):
            continue
        try:
            install = plan(project)
        except Undetected as problem:
            problems.append(str(problem))
            continue
        except (AttributeError, KeyError, TypeError):
            problems.append(f"{name} is not as its tool writes it")
            continue
        if install:
            return install
    if problems:
        raise Undetected("; ".join(problems))
    return Install(steps=(_venv(project, "found no list of packages"),))


def install_step(project: Project, *words: str, reason: str) -> Step:
    """Packages into the environment that is there."""
    if project.has_tool("uv"):
        return Step(argv=("uv", "pip", "install", "--python", PYTHON, *words), reason=reason)
    pip = (PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input")
    return Step(argv=(*pip, *words), reason=reason)


# Private

_NAME: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_BOUND: Final = re.compile(r"(?:===?|~=|<=?)\s*([0-9][0-9.]*)")
_INCLUDE: Final = re.compile(r"\s*(?:-r|--requirement)[ =]\s*(\S+)")
_VERSION: Final = re.compile(r"(?:python-|cpython-)?(\d+\.\d+)(\.\d+)?")
_DEPTH: Final = 4


_UNPINNED: Final = ("pyproject.toml", "setup.py")


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _venv(project: Project, reason: str) -> Step:
    file = project.first(".python-version", "runtime.txt")
    match = _VERSION.fullmatch(project.text(file).strip()) if file else None
    if project.has_tool("uv"):
        wanted = ("--python", match[1] + (match[2] or "")) if match else ()
        return Step(argv=("uv", "venv", "--allow-existing", *wanted, VENV), reason=reason)
    python = f"python{match[1]}" if match else "python3"
    project.need_tool(python, why=file or "a Python app")
    return Step(argv=(python, "-m", "venv", VENV), reason=reason)


def _from_uv_lock(project: Project) -> Install:
    if not project.has_tool("uv"):
        raise Undetected(
            f"uv.lock needs uv, which is not in PATH={project.path}: install it, or deploy what"
            ' "uv export -o requirements.txt" writes'
        )
    packages = project.toml("uv.lock").get("package", [])
    argv = ("uv", "sync", "--frozen", "--no-dev", "--no-editable")
    return Install(steps=(Step(argv=argv, reason="found uv.lock"),), packages=_named(packages))


def _from_requirements(project: Project) -> Install:
    reason = "found requirements.txt"
    return Install(
        steps=(
            _venv(project, reason),
            install_step(project, "-r", "requirements.txt", reason=reason),
        ),
        packages=_required(project, "requirements.txt", _DEPTH),
    )


def _required(project: Project, name: str, depth: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in project.text(name).splitlines():
        if (include := _INCLUDE.match(line)) and depth and ".." not in include[1]:
            found |= _required(project, include[1], depth - 1)
        elif match := _NAME.match(line):
            found[_canonical(match[1])] = _pin(line)
    return found


def _pin(line: str) -> str:
    """The version that a requirement asks for, or that it stays below; "" is the newest."""
    match = _BOUND.search(line.partition(";")[0])
    return match[1] if match else ""


def _from_poetry_lock(project: Project) -> Install:
    packages = [one for one in project.toml("poetry.lock").get("package", []) if _is_main(one)]
    reason = "found poetry.lock"
    if project.has_tool("poetry"):
        argv = ("poetry", "install", "--only", "main", "--no-root", "--no-interaction")
        inside = (("POETRY_VIRTUALENVS_IN_PROJECT", "true"),)
        step = Step(argv=argv, vars=inside, reason=reason)
        return Install(steps=(step,), packages=_named(packages))
    unsure = [one for one in packages if "groups" not in one and "category" not in one]
    foreign = [one for one in packages if one.get("source", {}).get("type", "legacy") != "legacy"]
    if unsure or foreign:
        why = "does not say what is for development" if unsure else "names a repository"
        raise Undetected(
            f"poetry.lock {why}: install poetry on this server, or deploy what"
            ' "poetry export -o requirements.txt" writes'
        )
    words = [_line(one["name"], f"=={one['version']}", one.get("markers")) for one in packages]
    return _pinned(project, words, _named(packages), reason)


def _is_main(package: dict[str, Any]) -> bool:
    """Whether it is installed to run the app. Old lock files do not say."""
    if package.get("optional"):
        return False
    return "main" in package.get("groups", ["main"]) and package.get("category", "main") == "main"


def _from_pipfile_lock(project: Project) -> Install:
    packages = project.json("Pipfile.lock").get("default", {})
    words = []
    for name, entry in packages.items():
        if "version" not in entry:
            raise Undetected(
                f"Pipfile.lock names {name} without a version: deploy what"
                ' "pipenv requirements > requirements.txt" writes'
            )
        extras = f"[{','.join(entry['extras'])}]" if entry.get("extras") else ""
        words.append(_line(name + extras, entry["version"], entry.get("markers")))
    names = {_canonical(name): one["version"].lstrip("=") for name, one in packages.items()}
    return _pinned(project, words, names, "found Pipfile.lock")


def _pinned(project: Project, words: list[str], names: dict[str, str], reason: str) -> Install:
    steps = [_venv(project, reason)]
    if words:
        steps.append(install_step(project, "--no-deps", *words, reason=reason))
    return Install(steps=tuple(steps), packages=names)


def _line(name: str, version: str, markers: object) -> str:
    """A requirement; poetry may have a marker per group."""
    text = markers.get("main", "") if isinstance(markers, dict) else markers
    return f"{name}{version} ; {text}" if text else f"{name}{version}"


def _from_pyproject(project: Project) -> Install | None:
    values = project.toml("pyproject.toml")
    dependencies = values.get("project", {}).get("dependencies", [])
    reason = "found pyproject.toml"
    if "build-system" in values:
        words = ["."]
    elif "project" in values:
        words = dependencies
    else:
        return None  # settings of tools alone
    steps = [_venv(project, reason)]
    if words:
        steps.append(install_step(project, *words, reason=reason))
    packages = {
        _canonical(match[1]): _pin(line) for line in dependencies if (match := _NAME.match(line))
    }
    return Install(steps=tuple(steps), packages=packages)


def _from_setup(project: Project) -> Install:
    reason = "found setup.py"
    return Install(steps=(_venv(project, reason), install_step(project, ".", reason=reason)))


def _from_pipfile(project: Project) -> Install:
    raise Undetected('Pipfile has no Pipfile.lock beside it: run "pipenv lock"')


def _named(packages: list[dict[str, Any]]) -> dict[str, str]:
    return {_canonical(one["name"]): str(one.get("version", "")) for one in packages}


_PLANS: Final[tuple[tuple[str, Callable[[Project], Install | None]], ...]] = (
    ("uv.lock", _from_uv_lock),
    ("requirements.txt", _from_requirements),
    ("poetry.lock", _from_poetry_lock),
    ("Pipfile.lock", _from_pipfile_lock),
    ("pyproject.toml", _from_pyproject),
    ("setup.py", _from_setup),
    ("Pipfile", _from_pipfile),
)
"""In the order in which they are looked for."""
