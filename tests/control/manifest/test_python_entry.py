"""Where Python apps begin: a table of folders, read and never imported."""

from pathlib import Path

import pytest

from control.manifest.project import Undetected
from control.manifest.python_entry import find_entry
from tests.support.app_folders import project

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FACTORY = "from flask import Flask\ndef create_app(config=None):\n    app = Flask(__name__)\n"
FACTORY += "    return app\n"
MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "{}")\n'
WSGI = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
ASGI = "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"
BROKEN = "def app(:\n"
BOMB = "raise SystemExit('imported')\n"

FOUND = {
    "flask in app.py": ({"app.py": FLASK}, "app:app", "wsgi", "found app.py: Flask object `app`"),
    "whatever the object's name": (
        {"main.py": "import flask\nshop = flask.Flask('x')\n"},
        "main:shop", "wsgi", "found main.py: Flask object `shop`",
    ),
    "an alias": (
        {"server.py": "import flask as f\napplication = f.Flask('x')\n"},
        "server:application", "wsgi", "found server.py: Flask object `application`",
    ),
    "nothing is imported": (
        {"app.py": BOMB + FLASK}, "app:app", "wsgi", "found app.py: Flask object `app`",
    ),
    "a factory": (
        {"app.py": FACTORY}, "app:create_app()", "wsgi",
        "found app.py: `create_app()` makes a Flask object",
    ),
    "a factory called": (
        {"wsgi.py": "from shop import create_app\napp = create_app()\n",
         "shop/__init__.py": FACTORY},
        "wsgi:app", "wsgi", "found wsgi.py: Flask object `app`",
    ),
    "a factory by its annotation": (
        {"main.py": "from fastapi import FastAPI\nfrom x import build\n"
                    "def create_app() -> FastAPI:\n    return build()\n"},
        "main:create_app()", "asgi", "found main.py: `create_app()` makes a FastAPI object",
    ),
    "a factory of a package": (
        {"shop/__init__.py": FACTORY}, "shop:create_app()", "wsgi",
        "found shop/__init__.py: `create_app()` makes a Flask object",
    ),
    "a relative import": (
        {"shop/__init__.py": "", "shop/core.py": FLASK, "shop/wsgi.py": "from .core import app\n"},
        "shop.wsgi:app", "wsgi", "found shop/wsgi.py: Flask object `app`",
    ),
    "a package in src": (
        {"src/shop/__init__.py": "", "src/shop/app.py": FLASK},
        "shop.app:app", "wsgi", "found src/shop/app.py: Flask object `app`",
    ),
    "a folder without __init__": (
        {"app/main.py": "from fastapi import FastAPI\napp = FastAPI()\n"},
        "app.main:app", "asgi", "found app/main.py: FastAPI object `app`",
    ),
    "a wrapper": (
        {"app.py": FLASK + "from werkzeug.middleware.proxy_fix import ProxyFix\n"
                   "app.wsgi_app = ProxyFix(app.wsgi_app)\napp = Other(app)\n"},
        "app:app", "wsgi", "found app.py: Flask object `app`",
    ),
    "a subclass": (
        {"app.py": "from flask import Flask\nclass Shop(Flask): pass\napp = Shop(__name__)\n"},
        "app:app", "wsgi", "found app.py: Flask object `app`",
    ),
    "in a condition": (
        {"app.py": "try:\n    from quart import Quart\nexcept ImportError:\n    raise\n"
                   "if True:\n    app: Quart = Quart('x')\n"},
        "app:app", "asgi", "found app.py: Quart object `app`",
    ),
    "starlette": (
        {"main.py": "from starlette.applications import Starlette\napp = Starlette()\n"},
        "main:app", "asgi", "found main.py: Starlette object `app`",
    ),
    "litestar": (
        {"app.py": "from litestar import Litestar\napp = Litestar([])\n"},
        "app:app", "asgi", "found app.py: Litestar object `app`",
    ),
    "a wsgi function": (
        {"app.py": "def app(environ, start_response):\n    return []\n"},
        "app:app", "wsgi", "found app.py: WSGI function `app`",
    ),
    "an asgi function": (
        {"app.py": "async def application(scope, receive, send):\n    pass\n"},
        "app:application", "asgi", "found app.py: ASGI function `application`",
    ),
    "dash": (
        {"app.py": "import dash\napp = dash.Dash()\nserver = app.server\n"},
        "app:server", "wsgi", "found app.py: Dash server `server`",
    ),
    "pyramid": (
        {"app.py": "from pyramid.config import Configurator\nconfig = Configurator()\n"
                   "app = config.make_wsgi_app()\n"},
        "app:app", "wsgi", "found app.py: Pyramid application `app`",
    ),
    "django": (
        {"manage.py": MANAGE.format("shop.settings"), "shop/wsgi.py": WSGI, "shop/asgi.py": ASGI},
        "shop.wsgi:application", "wsgi", "found manage.py and shop/wsgi.py",
    ),
    "django with settings deeper": (
        {"manage.py": MANAGE.format("config.settings.production"), "config/wsgi.py": WSGI},
        "config.wsgi:application", "wsgi", "found manage.py and config/wsgi.py",
    ),
    "django on asgi alone": (
        {"manage.py": MANAGE.format("shop.settings"), "shop/wsgi.py": WSGI, "shop/asgi.py": ASGI,
         "shop/settings.py": "ASGI_APPLICATION = 'shop.asgi.application'\n"},
        "shop.asgi:application", "asgi", "found manage.py and shop/asgi.py",
    ),
    "django by subscript": (
        {"manage.py": 'os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"\n',
         "shop/wsgi.py": WSGI},
        "shop.wsgi:application", "wsgi", "found manage.py and shop/wsgi.py",
    ),
    "channels": (
        {"manage.py": MANAGE.format("shop.settings"),
         "shop/asgi.py": "from channels.routing import ProtocolTypeRouter\n"
                         "application = ProtocolTypeRouter({})\n"},
        "shop.asgi:application", "asgi", "found manage.py and shop/asgi.py",
    ),
    "beside a broken file": (
        {"app.py": BROKEN, "main.py": FLASK}, "main:app", "wsgi",
        "found main.py: Flask object `app`",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("files", "target", "interface", "reason"), FOUND.values(), ids=list(FOUND)
)
def test_an_app_is_found(files, target, interface, reason, tmp_path: Path) -> None:
    entry = find_entry(project(tmp_path, files))
    assert (entry.target, entry.interface, entry.reason) == (target, interface, reason)
    in_src = any(name.startswith("src/") for name in files)
    assert entry.folder == ("src" if in_src else "")


NOT_FOUND = {
    "nothing": {},
    "an object in main": {"app.py": "import flask\nif __name__ == '':\n    a = flask.Flask()"},
    "a factory that wants more": {"app.py": FACTORY.replace("config=None", "config")},
    "a class of no framework": {"app.py": "from mine import Flask\napp = Flask('x')\n"},
    "a circle": {"app.py": "from main import app\n", "main.py": "from app import app\n"},
    "a factory that calls itself": {"app.py": "def create_app():\n    return create_app()\n"},
    "no text": {"app.py": "\0\0"},
    "brackets": {"app.py": "app = " + "(" * 5000},
    "manage.py alone": {"manage.py": MANAGE.format("shop.settings")},
}


@pytest.mark.parametrize("files", NOT_FOUND.values(), ids=list(NOT_FOUND))
def test_what_is_no_app_is_told(files, tmp_path: Path) -> None:
    with pytest.raises(Undetected, match=r'write main = "module:object"|Write main'):
        find_entry(project(tmp_path, files))


def test_what_was_looked_into_is_told(tmp_path: Path) -> None:
    files = {"app.py": "", "shop/__init__.py": "", "shop/api.py": ""}
    with pytest.raises(Undetected, match="none of app, shop/api, shop has a Flask"):
        find_entry(project(tmp_path, files))


@pytest.mark.parametrize(
    ("main", "interface"),
    [("other:shop", "wsgi"), ("other:make()", "asgi"), ("other:unknown", "wsgi")],
)
def test_main_says_where_it_begins(main: str, interface: str, tmp_path: Path) -> None:
    text = "import flask, fastapi\nshop = flask.Flask('x')\n"
    text += "def make():\n    return fastapi.FastAPI()\n"
    entry = find_entry(project(tmp_path, {"other.py": text, "app.py": FLASK}, main=main))
    assert (entry.target, entry.interface) == (main, interface)


@pytest.mark.parametrize("main", ["nowhere:app", "app", "app.py", "app:app(1)"])
def test_a_main_that_is_none_is_told(main: str, tmp_path: Path) -> None:
    with pytest.raises(Undetected, match=r"is no object of Python|there is no module"):
        find_entry(project(tmp_path, {"app.py": FLASK}, main=main))
