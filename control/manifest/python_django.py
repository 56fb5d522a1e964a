"""What a Django project needs besides its application: its static files in one folder."""

import ast
import re

from control.manifest.project import Project
from control.manifest.python_source import Module, Sources
from control.manifest.spec import Step


def static_files(project: Project, python: str) -> tuple[tuple[Step, ...], tuple[str, str] | None]:
    """`collectstatic` where the settings say STATIC_ROOT, and where it puts the files."""
    for root in ("", "src"):
        manage = f"{root}/manage.py".lstrip("/")
        named = project.lines(manage, r"DJANGO_SETTINGS_MODULE['\"]\W+['\"]([\w.]+)['\"]")
        if not named:
            continue
        module = Sources(project, root).module(named[0][1])
        values = dict(module.values) if module else {}
        if module is None or "STATIC_ROOT" not in values:
            return (), None
        step = Step(
            argv=(python, manage, "collectstatic", "--noinput"),
            reason=f"{named[0][1]} has a STATIC_ROOT",
        )
        folder = _folder(values["STATIC_ROOT"])
        path = _url(module)
        found = f"{root}/{folder}".lstrip("/") if folder else ""
        return (step,), (found, path) if found and path else None
    return (), None


# Private


def _folder(value: ast.expr) -> str:
    """The folder below BASE_DIR that an expression names; "" when that is unsure."""
    match value:
        case ast.BinOp(left=ast.Name(id="BASE_DIR"), op=ast.Div(), right=ast.Constant(value=name)):
            return _plain(name)
        case ast.Call(args=[ast.Name(id="BASE_DIR"), ast.Constant(value=name)]):
            return _plain(name)
        case ast.Call(func=ast.Name(id="str"), args=[inner]):
            return _folder(inner)
    return ""


def _plain(name: object) -> str:
    text = name if isinstance(name, str) else ""
    return text.strip("/") if re.fullmatch(r"[\w.-]+(?:/[\w.-]+)*/?", text) else ""


def _url(module: Module) -> str:
    """The path of STATIC_URL, when it is one of this host."""
    value = dict(module.values).get("STATIC_URL")
    text = value.value if isinstance(value, ast.Constant) else ""
    found = re.fullmatch(r"/?([\w.-]+(?:/[\w.-]+)*)/", text) if isinstance(text, str) else None
    return f"/{found[1]}" if found and ".." not in found[1] else ""
