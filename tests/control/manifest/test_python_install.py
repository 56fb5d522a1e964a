"""Virtual environments: from which list of packages, with uv and without."""

import json
from pathlib import Path

import pytest

from control.manifest.project import Undetected
from control.manifest.python_install import plan_install
from tests.support.app_folders import project

PIP = (".venv/bin/python", "-m", "pip", "install", "--disable-pip-version-check", "--no-input")
UV_PIP = ("uv", "pip", "install", "--python", ".venv/bin/python")
VENV = ("python3", "-m", "venv", ".venv")
UV_VENV = ("uv", "venv", "--allow-existing", ".venv")

PROJECT = '[project]\nname = "shop"\ndependencies = ["flask>=3", "gunicorn==23.0"]\n'
BUILT = PROJECT + '[build-system]\nrequires = ["hatchling"]\n'
UV_LOCK = '[[package]]\nname = "flask"\nversion = "3.1.3"\n'
POETRY = """
[[package]]
name = "flask"
version = "3.1.3"
optional = false
groups = ["main"]
markers = "python_version >= \\"3.9\\""
[[package]]
name = "pytest"
version = "8.0"
optional = false
groups = ["dev"]
"""
OLD_POETRY = '[[package]]\nname = "flask"\nversion = "3.1.3"\noptional = false\n'
PIPFILE = json.dumps(
    {"default": {"uvicorn": {"version": "==0.30", "extras": ["standard"]}, "b": {"version": "==1"}}}
)

CASES = {
    "requirements": ({"requirements.txt": "flask"}, (), [VENV, (*PIP, "-r", "requirements.txt")]),
    "requirements, uv": (
        {"requirements.txt": "flask"}, ("uv",), [UV_VENV, (*UV_PIP, "-r", "requirements.txt")],
    ),
    "uv.lock": (
        {"uv.lock": UV_LOCK, "pyproject.toml": PROJECT}, ("uv",),
        [("uv", "sync", "--frozen", "--no-dev", "--no-editable")],
    ),
    "uv.lock without uv, exported": (
        {"uv.lock": UV_LOCK, "requirements.txt": "flask"}, (),
        [VENV, (*PIP, "-r", "requirements.txt")],
    ),
    "pyproject": (
        {"pyproject.toml": PROJECT}, (), [VENV, (*PIP, "flask>=3", "gunicorn==23.0")],
    ),
    "pyproject that is built": ({"pyproject.toml": BUILT}, ("uv",), [UV_VENV, (*UV_PIP, ".")]),
    "pyproject of tools": ({"pyproject.toml": "[tool.ruff]\n"}, (), [VENV]),
    "setup.py": ({"setup.py": ""}, (), [VENV, (*PIP, ".")]),
    "poetry.lock": (
        {"poetry.lock": POETRY}, (),
        [VENV, (*PIP, "--no-deps", 'flask==3.1.3 ; python_version >= "3.9"')],
    ),
    "poetry": (
        {"poetry.lock": OLD_POETRY}, ("poetry",),
        [("poetry", "install", "--only", "main", "--no-root", "--no-interaction")],
    ),
    "Pipfile.lock": (
        {"Pipfile.lock": PIPFILE}, (),
        [VENV, (*PIP, "--no-deps", "uvicorn[standard]==0.30", "b==1")],
    ),
    "nothing": ({}, (), [VENV]),
    "a version": (
        {".python-version": "3.12.1\n"}, ("uv",),
        [("uv", "venv", "--allow-existing", "--python", "3.12.1", ".venv")],
    ),
    "a version, no uv": (
        {"runtime.txt": "python-3.12.1"}, ("python3.12",), [("python3.12", "-m", "venv", ".venv")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "tools", "argvs"), CASES.values(), ids=list(CASES))
def test_packages_come_from_what_is_there(files, tools, argvs, tmp_path: Path) -> None:
    steps = plan_install(project(tmp_path, files, *tools)).steps
    assert [step.argv for step in steps] == argvs
    assert all(step.reason for step in steps)


REFUSED = {
    "uv.lock needs uv": {"uv.lock": UV_LOCK, "pyproject.toml": PROJECT},
    "poetry.lock does not say": {"poetry.lock": OLD_POETRY, "pyproject.toml": PROJECT},
    "Pipfile has no Pipfile.lock": {"Pipfile": ""},
    "Pipfile.lock names a without a version": {"Pipfile.lock": '{"default": {"a": {"git": "x"}}}'},
    "Pipfile.lock is not as its tool writes it": {"Pipfile.lock": '{"default": [1]}'},
    "poetry.lock is not as": {"poetry.lock": "[[package]]\ngroups = ['main']\n"},
    "uv.lock cannot be read": {"uv.lock": "["},
    "pyproject.toml cannot be read": {"pyproject.toml": "["},
    ".python-version needs python3.12": {".python-version": "3.12"},
}


@pytest.mark.parametrize(("message", "files"), REFUSED.items(), ids=list(REFUSED))
def test_what_cannot_be_handled_is_told(message, files, tmp_path: Path) -> None:
    tools = ("uv",) if "cannot be read" in message else ()
    with pytest.raises(Undetected, match=message):
        plan_install(project(tmp_path, files, *tools))


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("Flask==3.1\n# gunicorn\ngunicorn ~= 23.0 ; python_version < '3.13'", "23.0"),
        ("gunicorn[gevent]<24", "24"),
        ("gunicorn>=20", ""),
        ("-r more.txt", "22.0"),
        ("-r ../more.txt\n-r requirements.txt\nflask", None),
    ],
)
def test_the_pinned_gunicorn_is_known(text: str, packages: str | None, tmp_path: Path) -> None:
    files = {"requirements.txt": text, "more.txt": "gunicorn==22.0"}
    assert plan_install(project(tmp_path, files)).packages.get("gunicorn") == packages
