"""Where a Python app begins: found in the usual files, by what their source says."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from control.manifest.project import Project, Undetected
from control.manifest.python_source import (
    ASGI,
    FRAMEWORKS,
    WSGI,
    Module,
    Sources,
    What,
    may_be_called,
)

STEMS: Final = ("wsgi", "asgi", "app", "main", "application", "server", "api", "web", "run")
NAMES: Final = ("app", "application", "api", "server")
FACTORIES: Final = ("create_app", "make_app", "build_app", "get_app", "create_application")
NOT_PACKAGES: Final = frozenset({"tests", "test", "docs", "migrations", "static", "templates"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What gunicorn is told to load."""

    target: str  # "shop.web:app", "shop:create_app()"
    interface: str  # WSGI or ASGI
    reason: str
    folder: str = ""  # where its modules begin, when that is not the top: "src"


def find_entry(project: Project) -> Entry:
    """The app of a project. Raises `Undetected`."""
    if project.main:
        return _written(project)
    django = _django(project)
    if django:
        return django
    for search in (_objects, _factories):
        for root in _roots(project):
            sources = Sources(project, root)
            for module in _modules(project, root):
                entry = search(sources, module, root)
                if entry:
                    return entry
    raise Undetected(_nothing(project))


def has_entry(project: Project) -> bool:
    """Whether an app is found."""
    try:
        return bool(find_entry(project))
    except Undetected:
        return False


# Private

_MAIN: Final = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_][\w.]*)(\(\))?")
_SETTINGS: Final = r"DJANGO_SETTINGS_MODULE['\"]\s*[,\]]\s*=?\s*['\"]([\w.]+)['\"]"


def _roots(project: Project) -> tuple[str, ...]:
    return (
        ("", "src") if project.has_folder("src") and not project.has("src/__init__.py") else ("",)
    )


def _written(project: Project) -> Entry:
    match = _MAIN.fullmatch(project.main)
    if match is None:
        raise Undetected(f'"{project.main}" is no object of Python: write main = "module:object"')
    module, name, call = match.groups()
    for root in _roots(project):
        sources = Sources(project, root)
        if sources.file_of(module):
            known = sources.what_makes(module, name) if call else sources.what_is(module, name)
            guessed = ASGI if module.rpartition(".")[2] == "asgi" else WSGI
            return Entry(
                target=project.main,
                interface=known.interface if known else guessed,
                reason="written in edge.toml" + (f": {known.label}" if known else ""),
                folder=root,
            )
    raise Undetected(f'there is no module "{module}" here')


def _django(project: Project) -> Entry | None:
    """The application beside the settings that manage.py names."""
    for root in _roots(project):
        manage = f"{root}/manage.py".lstrip("/")
        named = project.lines(manage, _SETTINGS)
        if not named:
            continue
        sources = Sources(project, root)
        parts = named[0][1].split(".")
        for end in range(len(parts) - 1, 0, -1):
            package = ".".join(parts[:end])
            for interface in _order(sources, named[0][1]):
                what = sources.what_is(f"{package}.{interface}", "application")
                if what:
                    return Entry(
                        target=f"{package}.{interface}:application",
                        interface=what.interface,
                        reason=f"found {manage} and {sources.file_of(f'{package}.{interface}')}",
                        folder=root,
                    )
        raise Undetected(
            f"{manage} names the settings {named[0][1]}, but there is no wsgi.py or asgi.py with"
            ' an "application" beside them: write main = "module:object"'
        )
    return None


def _order(sources: Sources, settings: str) -> tuple[str, str]:
    """WSGI first, but for settings that name an ASGI application alone."""
    module = sources.module(settings)
    names = {name for name, _ in module.values} if module else set()
    alone = "ASGI_APPLICATION" in names and "WSGI_APPLICATION" not in names
    return (ASGI, WSGI) if alone else (WSGI, ASGI)


def _modules(project: Project, root: str) -> Iterator[str]:
    """The usual modules: those at the top, then those of each package."""
    names = project.names(root)
    for stem in STEMS:
        if f"{stem}.py" in names:
            yield stem
    for name in names:
        inner = project.names(f"{root}/{name}".lstrip("/"))
        if not name.isidentifier() or name in NOT_PACKAGES:
            continue
        for stem in STEMS:
            if f"{stem}.py" in inner:
                yield f"{name}.{stem}"
        if "__init__.py" in inner:
            yield name


def _objects(sources: Sources, module: str, root: str) -> Entry | None:
    read = sources.module(module)
    if read is None:
        return None
    for name in _candidates(read):
        what = sources.what_is(module, name)
        if what:
            reason = f"found {sources.file_of(module)}: {what.label} `{name}`"
            return _entry(f"{module}:{name}", what, reason, root)
    return None


def _factories(sources: Sources, module: str, root: str) -> Entry | None:
    read = sources.module(module)
    if read is None:
        return None
    for name in FACTORIES:
        function = read.functions.get(name)
        what = sources.what_makes(module, name) if function and may_be_called(function) else None
        if what:
            reason = f"found {sources.file_of(module)}: `{name}()` makes a {what.label}"
            return _entry(f"{module}:{name}()", what, reason, root)
    return None


def _entry(target: str, what: What, reason: str, root: str) -> Entry:
    return Entry(target=target, interface=what.interface, reason=reason, folder=root)


def _candidates(module: Module) -> list[str]:
    """The names that may be the app: the usual ones first."""
    values = [name for name, _ in module.values if name not in NAMES and name[0] != "_"]
    imported = [name for name, whole in module.imports.items() if whole not in FRAMEWORKS]
    usual = [name for name in NAMES if name in imported or name in module.functions]
    assigned = {name for name, _ in module.values}
    first = [name for name in NAMES if name in assigned or name in usual]
    return list(dict.fromkeys([*first, *values]))


def _nothing(project: Project) -> str:
    looked = [
        f"{root}/{module.replace('.', '/')}".lstrip("/")
        for root in _roots(project)
        for module in _modules(project, root)
    ]
    seen = f"none of {', '.join(looked)} has" if looked else "there is no app.py or main.py with"
    return (
        f"no app was found: {seen} a Flask, Django, FastAPI or other WSGI or ASGI object that the"
        ' source shows. Write main = "module:object", or start = ["PROGRAM", …]'
    )
