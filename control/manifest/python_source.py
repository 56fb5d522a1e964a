"""What a Python module defines, read from its source: nothing of an app is ever imported here."""

import ast
from dataclasses import dataclass, field
from typing import Final

from control.manifest.project import Project

WSGI: Final = "wsgi"
ASGI: Final = "asgi"

_DEPTH: Final = 8


@dataclass(frozen=True, slots=True)
class What:
    """What a callable is: the interface that it speaks, and what made it."""

    interface: str
    label: str


FRAMEWORKS: Final = {
    "flask.Flask": What(WSGI, "Flask object"),
    "flask.app.Flask": What(WSGI, "Flask object"),
    "apiflask.APIFlask": What(WSGI, "APIFlask object"),
    "bottle.Bottle": What(WSGI, "Bottle object"),
    "bottle.default_app": What(WSGI, "Bottle object"),
    "bottle.app": What(WSGI, "Bottle object"),
    "falcon.App": What(WSGI, "Falcon object"),
    "falcon.asgi.App": What(ASGI, "Falcon object"),
    "connexion.FlaskApp": What(WSGI, "Connexion object"),
    "connexion.AsyncApp": What(ASGI, "Connexion object"),
    "django.core.wsgi.get_wsgi_application": What(WSGI, "Django application"),
    "django.core.asgi.get_asgi_application": What(ASGI, "Django application"),
    "channels.routing.ProtocolTypeRouter": What(ASGI, "Channels router"),
    "fastapi.FastAPI": What(ASGI, "FastAPI object"),
    "fastapi.applications.FastAPI": What(ASGI, "FastAPI object"),
    "starlette.applications.Starlette": What(ASGI, "Starlette object"),
    "quart.Quart": What(ASGI, "Quart object"),
    "litestar.Litestar": What(ASGI, "Litestar object"),
    "litestar.app.Litestar": What(ASGI, "Litestar object"),
    "sanic.Sanic": What(ASGI, "Sanic object"),
    "blacksheep.Application": What(ASGI, "BlackSheep object"),
    "socketio.ASGIApp": What(ASGI, "Socket.IO app"),
    "socketio.WSGIApp": What(WSGI, "Socket.IO app"),
}
"""What makes an app, by its whole name."""

_PYRAMID: Final = What(WSGI, "Pyramid application")


@dataclass(slots=True)
class Module:
    """What stands at the top of a module, in conditions and `try` too, but not under `__main__`."""

    imports: dict[str, str] = field(default_factory=dict)  # name here: whole name
    values: list[tuple[str, ast.expr]] = field(default_factory=list)  # in order
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)


class Sources:
    """The modules of a project below one folder."""

    def __init__(self, project: Project, root: str) -> None:
        self._project = project
        self._root = root
        self._known: dict[str, Module | None] = {}

    def file_of(self, module: str) -> str:
        """The file of a module; "" when the project has none."""
        base = "/".join(filter(None, (self._root, *module.split("."))))
        return self._project.first(f"{base}/__init__.py", f"{base}.py")

    def module(self, name: str) -> Module | None:
        """A module as read; None when it is not there or is no Python that can be read."""
        if name not in self._known:
            file = self.file_of(name)
            self._known[name] = _read(self._project.text(file), name, file) if file else None
        return self._known[name]

    def what_is(self, module: str, name: str, depth: int = _DEPTH) -> What | None:
        """What a name of a module is, if it is something that serves."""
        read = self.module(module)
        if read is None or depth == 0:
            return None
        for index in reversed(range(len(read.values))):
            if read.values[index][0] == name:
                return _Reader(self, module, read, index, depth).what(read.values[index][1])
        if name in read.functions:
            return _interface_of(read.functions[name])
        return self.what_is_whole(read.imports.get(name, ""), depth - 1)

    def what_is_whole(self, whole: str, depth: int) -> What | None:
        """Likewise of a whole name, such as "shop.web.app"."""
        module, _, name = whole.rpartition(".")
        return self.what_is(module, name, depth) if module else None

    def what_makes(self, module: str, name: str, depth: int = _DEPTH) -> What | None:
        """What a function or class of a module makes when it is called without arguments."""
        read = self.module(module)
        if read is None or depth == 0:
            return None
        reader = _Reader(self, module, read, len(read.values), depth)
        if name in read.functions:
            return reader.what_returns(read.functions[name])
        if name in read.classes:
            bases = (reader.whole_name(base) for base in read.classes[name].bases)
            return next((FRAMEWORKS[base] for base in bases if base in FRAMEWORKS), None)
        origin, _, inner = read.imports.get(name, "").rpartition(".")
        return self.what_makes(origin, inner, depth - 1) if origin else None


def may_be_called(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a call without arguments is one."""
    given = function.args
    positional = len(given.posonlyargs) + len(given.args)
    lacking = [one for one in given.kw_defaults if one is None]
    return (
        isinstance(function, ast.FunctionDef) and positional == len(given.defaults) and not lacking
    )


# Private


class _Reader:
    """What expressions of a module are, as far as its values before `end` say."""

    def __init__(self, sources: Sources, name: str, module: Module, end: int, depth: int) -> None:
        self._sources = sources
        self._name = name
        self._module = module
        self._end = end
        self._depth = depth
        self._local: dict[str, ast.expr] = {}  # of the function that is read

    def what(self, value: ast.expr) -> What | None:
        if self._depth == 0:
            return None
        self._depth -= 1
        match value:
            case ast.Name(id=name):
                return self._what_is(name)
            case ast.Attribute(value=inner, attr=attribute):
                return self._what_has(inner, attribute)
            case ast.Call(func=function, args=arguments):
                return self._what_makes(function) or self._what_wraps(arguments)
            case ast.NamedExpr(value=inner) | ast.Await(value=inner):
                return self.what(inner)
        return None

    def what_returns(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> What | None:
        """What a factory makes."""
        if function.returns is not None:
            made = FRAMEWORKS.get(self.whole_name(function.returns))
            if made:
                return made
        self._local = {
            name: value
            for node in ast.walk(function)
            if isinstance(node, ast.stmt)
            for name, value in _assigned(node)
            if not _mentions(value, name)
        }
        returned = [one.value for one in ast.walk(function) if isinstance(one, ast.Return)]
        found = (self.what(value) for value in reversed(returned) if value is not None)
        return next((one for one in found if one), None)

    def whole_name(self, value: ast.expr) -> str:
        """The name of an expression, from its import on; "" for one that is no name."""
        if isinstance(value, ast.Name):
            return self._module.imports.get(value.id, value.id)
        if isinstance(value, ast.Attribute):
            inner = self.whole_name(value.value)
            return f"{inner}.{value.attr}" if inner else ""
        return ""

    def _what_is(self, name: str) -> What | None:
        if name in self._local:
            return self.what(self._local.pop(name))
        values = self._module.values
        for index in reversed(range(self._end)):
            if values[index][0] == name:
                return _Reader(self._sources, self._name, self._module, index, self._depth).what(
                    values[index][1]
                )
        return self._sources.what_is_whole(self._module.imports.get(name, ""), self._depth)

    def _what_has(self, inner: ast.expr, attribute: str) -> What | None:
        """`module.app`, or the WSGI side of an object: `app.wsgi_app`, `dash.server`."""
        if attribute in ("wsgi_app", "asgi_app"):
            return self.what(inner)
        if attribute == "server" and self._is_dash(inner):
            return What(WSGI, "Dash server")
        return self._sources.what_is_whole(f"{self.whole_name(inner)}.{attribute}", self._depth)

    def _is_dash(self, inner: ast.expr) -> bool:
        values = dict(self._module.values[: self._end])
        made = values.get(inner.id) if isinstance(inner, ast.Name) else None
        return isinstance(made, ast.Call) and self.whole_name(made.func) == "dash.Dash"

    def _what_makes(self, function: ast.expr) -> What | None:
        whole = self.whole_name(function)
        if whole in FRAMEWORKS:
            return FRAMEWORKS[whole]
        if isinstance(function, ast.Attribute) and function.attr == "make_wsgi_app":
            return _PYRAMID
        if isinstance(function, ast.Name) and function.id not in self._module.imports:
            return self._sources.what_makes(self._name, function.id, self._depth)
        module, _, name = whole.rpartition(".")
        return self._sources.what_makes(module, name, self._depth) if module else None

    def _what_wraps(self, arguments: list[ast.expr]) -> What | None:
        """A wrapper speaks what the app in it speaks: `ProxyFix(app)`."""
        found = (self.what(one) for one in arguments)
        return next((one for one in found if one), None)


def _read(text: str, name: str, file: str) -> Module | None:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    package = name if file.endswith("__init__.py") else name.rpartition(".")[0]
    module = Module()
    _collect(tree.body, module, package)
    return module


def _collect(body: list[ast.stmt], module: Module, package: str) -> None:
    for node in body:
        match node:
            case ast.Import() | ast.ImportFrom():
                module.imports |= _imported(node, package)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                module.functions[node.name] = node
            case ast.ClassDef():
                module.classes[node.name] = node
            case ast.If() if not _mentions(node.test, "__name__"):
                _collect([*node.body, *node.orelse], module, package)
            case ast.Try():
                _collect([*node.body, *node.orelse, *node.finalbody], module, package)
            case ast.With():
                _collect(node.body, module, package)
            case _:
                module.values += _assigned(node)


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> dict[str, str]:
    if isinstance(node, ast.ImportFrom):
        origin = _origin(node, package)
        return {one.asname or one.name: f"{origin}.{one.name}".strip(".") for one in node.names}
    found = {}
    for one in node.names:
        first = one.name.partition(".")[0]
        found[one.asname or first] = one.name if one.asname else first
    return found


def _assigned(node: ast.stmt) -> list[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        return [(name, node.value) for name in names]
    if isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name):
        return [(node.target.id, node.value)]
    return []


def _origin(node: ast.ImportFrom, package: str) -> str:
    """The module that names come from; dots count from the package."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    above = parts[: len(parts) - node.level + 1]
    return ".".join([*above, *filter(None, [node.module])])


def _mentions(node: ast.AST, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(node))


def _interface_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> What | None:
    """A plain application: `(environ, start_response)`, or async `(scope, receive, send)`."""
    names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    if isinstance(function, ast.AsyncFunctionDef):
        return What(ASGI, "ASGI function") if len(names) == 3 else None
    is_wsgi = len(names) == 2 and names[1] == "start_response"
    return What(WSGI, "WSGI function") if is_wsgi else None
