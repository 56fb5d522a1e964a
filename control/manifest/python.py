"""Python: an app in an environment of its own, behind gunicorn.

ASGI apps run on the worker that gunicorn itself has, so that they need no server of their own.
Where the app pins an older gunicorn, uvicorn's worker is installed beside it.
"""

from typing import Final

from control.manifest.project import Detection, Project
from control.manifest.python_django import static_files
from control.manifest.python_entry import Entry, find_entry, has_entry
from control.manifest.python_install import PYTHON, VENV, install_step, plan_install
from control.manifest.python_source import ASGI
from control.manifest.spec import Listen, Step

GUNICORN: Final = "gunicorn>=25.1"
"""What an app gets that names no gunicorn."""

HAS_ASGI: Final = (24, 1)
HAS_CONTROL_SOCKET: Final = (25, 1)
KEEP_ALIVE_S: Final = 75
"""Longer than edged keeps an idle connection, so that it is never gunicorn that closes first."""

_FILES: Final = (
    "requirements.txt", "uv.lock", "poetry.lock", "Pipfile.lock", "Pipfile", "pyproject.toml",
    "setup.py", "manage.py",
)  # fmt: skip


def recognise_python(project: Project) -> str:
    """Why a folder is Python's; "" when it is not."""
    name = project.first(*_FILES)
    if name:
        return f"found {name}"
    return f"found {find_entry(project).target}" if has_entry(project) else ""


def plan_python(project: Project) -> Detection:
    """Its packages, its static files, its entry under gunicorn."""
    install = plan_install(project)
    collect, assets = static_files(project, PYTHON)
    found = Detection(
        runtime="python",
        build=(*install.steps, *collect),
        vars=(("PYTHONUNBUFFERED", "1"),),
        path=(f"{VENV}/bin",),
        assets=assets,
    )
    if project.has_start:
        return found
    entry = find_entry(project)
    version = _version(install.packages.get("gunicorn", ""))
    is_old = entry.interface == ASGI and version is not None and version < HAS_ASGI
    return found.but(
        build=(*install.steps, *_server(project, install.packages, is_old=is_old), *collect),
        start=_start(project, entry, version),
        found=(("start", f"{entry.reason}, {entry.interface.upper()}"),),
    )


# Private


def _version(text: str) -> tuple[int, ...] | None:
    """A pinned version; None is the newest."""
    numbers = [int(part) for part in text.split(".") if part.isdigit()]
    return tuple(numbers) or None


def _server(project: Project, packages: dict[str, str], *, is_old: bool) -> tuple[Step, ...]:
    words = [] if "gunicorn" in packages else [GUNICORN]
    if is_old:
        words += [one for one in ("uvicorn-worker", "websockets") if one not in packages]
    if not words:
        return ()
    return (install_step(project, *words, reason="the app names no server that runs it"),)


def _start(project: Project, entry: Entry, version: tuple[int, ...] | None) -> tuple[str, ...]:
    bind = "fd://3" if project.listen is Listen.SOCKET else "$HOST:$PORT"
    argv = [PYTHON, "-m", "gunicorn", "--bind", bind]
    if version is None or version >= HAS_CONTROL_SOCKET:
        argv.append("--no-control-socket")  # it would be one for all instances
    if entry.folder:
        argv += ["--pythonpath", entry.folder]
    if not project.has("gunicorn.conf.py"):
        argv += _worker(entry, version)
        argv += ["--keep-alive", str(KEEP_ALIVE_S)]
        argv += ["--graceful-timeout", str(max(1, int(project.drain_s) - 1))]
    return (*argv, entry.target)


def _worker(entry: Entry, version: tuple[int, ...] | None) -> tuple[str, ...]:
    if entry.interface != ASGI:
        return ("--worker-class", "gthread", "--threads", "8")
    if version is not None and version < HAS_ASGI:
        return ("--worker-class", "uvicorn_worker.UvicornWorker")
    return ("--worker-class", "asgi")
