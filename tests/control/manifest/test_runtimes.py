"""Runtimes: a table of folders, and how each is recognised, built and started."""

import json
from pathlib import Path

import pytest

from control.manifest.project import Undetected
from control.manifest.runtimes import detect
from control.manifest.spec import RUNTIMES, Listen
from tests.support.app_folders import project

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
GUNICORN = (".venv/bin/python", "-m", "gunicorn", "--bind", "$HOST:$PORT")
TIMES = ("--keep-alive", "75", "--graceful-timeout", "29")
WSGI = ("--worker-class", "gthread", "--threads", "8")
PHP = (
    "php", "-q", "-d", "display_errors=0", "-d", "log_errors=1", "-d", "error_log=/dev/stderr",
    "-d", "memory_limit=${PHP_MEMORY_LIMIT}", "-d", "max_execution_time=30",
    "-d", "output_buffering=4096", "-S", "$HOST:$PORT", "-t",
)  # fmt: skip
JAVA = (
    'exec java -Duser.home="$HOME" -Dserver.address=$HOST -Dserver.port=$PORT'
    " -Dquarkus.http.host=$HOST -Dquarkus.http.port=$PORT"
    " -Dmicronaut.server.host=$HOST -Dmicronaut.server.port=$PORT{} $JAVA_OPTS -jar {}"
)
AT = ("env", "DENO_SERVE_ADDRESS=tcp:$HOST:$PORT")
SITE = {"build": "vite build", "start": "vite"}


def package(scripts: dict[str, str] | None = None, **more) -> str:
    return json.dumps({"name": "x", "scripts": scripts or {}, **more})


STARTS = {
    "flask": (
        {"app.py": FLASK, "requirements.txt": "flask"}, "python",
        (*GUNICORN, "--no-control-socket", *WSGI, *TIMES, "app:app"),
    ),
    "fastapi": (
        {"main.py": FASTAPI}, "python",
        (*GUNICORN, "--no-control-socket", "--worker-class", "asgi", *TIMES, "main:app"),
    ),
    "fastapi with an old gunicorn": (
        {"main.py": FASTAPI, "requirements.txt": "gunicorn==23.0"}, "python",
        (*GUNICORN, "--worker-class", "uvicorn_worker.UvicornWorker", *TIMES, "main:app"),
    ),
    "a gunicorn.conf.py": (
        {"app.py": FLASK, "gunicorn.conf.py": "threads = 2"}, "python",
        (*GUNICORN, "--no-control-socket", "app:app"),
    ),
    "a package in src": (
        {"src/shop/app.py": FLASK}, "python",
        (*GUNICORN, "--no-control-socket", "--pythonpath", "src", *WSGI, *TIMES, "shop.app:app"),
    ),
    "node by its script": (
        {"package.json": package({"start": "node server.js"})}, "node", ("node", "server.js"),
    ),
    "node by a script of a script": (
        {"package.json": package({"start": "npm run serve", "serve": "A=1 next start"})}, "node",
        ("env", "A=1", "next", "start"),
    ),
    "node after a script": (
        {"package.json": package({"prestart": "yarn make", "make": "tsc", "start": "node x.js"})},
        "node", ("sh", "-c", "tsc && exec node x.js"),
    ),
    "node with cross-env": (
        {"package.json": package({"start": "cross-env A=1 node x.js"})}, "node",
        ("env", "A=1", "node", "x.js"),
    ),
    "node by main": (
        {"package.json": package(main="lib/a"), "lib/a.js": ""}, "node", ("node", "lib/a.js"),
    ),
    "node by the usual file": ({"server.js": ""}, "node", ("node", "server.js")),
    "bun": ({"bun.lock": "", "index.ts": ""}, "bun", ("bun", "index.ts")),
    "bun by its script": (
        {"package.json": package({"start": "bun run a.ts"}, packageManager="bun@1.2")}, "bun",
        ("bun", "run", "a.ts"),
    ),
    "bun as `bun init` leaves it": (
        {"package.json": package(module="index.ts", devDependencies={"@types/bun": "latest"}),
         "index.ts": ""}, "bun", ("bun", "index.ts"),
    ),
    "bun in a script": (
        {"package.json": package({"start": "bun run a.ts"})}, "bun", ("bun", "run", "a.ts"),
    ),
    "node that another bundles": (
        {"package.json": package({"start": "bundle-and-run a.js"})}, "node",
        ("bundle-and-run", "a.js"),
    ),
    "deno by its task": (
        {"deno.json": '{"tasks": {"start": "deno run -A main.ts"}}'}, "deno",
        (*AT, "deno", "run", "-A", "main.ts"),
    ),
    "deno with comments": (
        {"deno.jsonc": '{ // ours\n "tasks": {"start": "deno run -A a.ts"} }'}, "deno",
        (*AT, "deno", "run", "-A", "a.ts"),
    ),
    "deno that exports a handler": (
        {"deno.json": "{}", "main.ts": "export default { fetch() {} };\n"}, "deno",
        ("deno", "serve", "--host", "$HOST", "--port", "$PORT", "--allow-all", "main.ts"),
    ),
    "deno that listens": (
        {"deno.json": "{}", "main.ts": "Deno.serve(() => new Response());\n"}, "deno",
        (*AT, "deno", "run", "--allow-all", "main.ts"),
    ),
    "go": ({"go.mod": "", "main.go": "package main\n"}, "go", ("./.edged/app",)),
    "rack on puma": (
        {"Gemfile": "gem 'puma'\n", "config.ru": ""}, "ruby",
        ("bundle", "exec", "puma", "--bind", "tcp://$HOST:$PORT", "config.ru"),
    ),
    "rack without bundler": (
        {"config.ru": ""}, "ruby", ("puma", "--bind", "tcp://$HOST:$PORT", "config.ru"),
    ),
    "rack on something else": (
        {"config.ru": "", "Gemfile": "gem 'falcon'"}, "ruby",
        ("bundle", "exec", "rackup", "--host", "$HOST", "--port", "$PORT", "config.ru"),
    ),
    "php": ({"public/index.php": ""}, "php", (*PHP, "public", ".edged/router.php")),
    "php at the top": ({"index.php": ""}, "php", (*PHP, ".", ".edged/router.php")),
    "a jar": ({"shop.jar": "", "README.md": ""}, "java", ("sh", "-c", JAVA.format("", "shop.jar"))),
    "a program of the app's name": ({"app*": "", "notes.txt": ""}, "binary", ("./app",)),
    "django beside a package.json": (
        {"app.py": FLASK, "requirements.txt": "", "package.json": package({"build": "vite build"})},
        "python", (*GUNICORN, "--no-control-socket", *WSGI, *TIMES, "app:app"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "runtime", "start"), STARTS.values(), ids=list(STARTS))
def test_a_folder_is_recognised_and_started(files, runtime, start, tmp_path: Path) -> None:
    found = detect(project(tmp_path, files))
    assert (found.runtime, found.start) == (runtime, start)
    assert [setting for setting, _ in found.found] == ["runtime", "start"]


PNPM = ("pnpm", "install", "--frozen-lockfile", "--prod")
NPM = ("npm", "ci", "--no-audit", "--no-fund")
BUILDS = {
    "npm ci": ({"package-lock.json": ""}, (), [(*NPM, "--omit=dev")]),
    "pnpm": ({"pnpm-lock.yaml": ""}, ("pnpm",), [PNPM]),
    "pnpm by corepack": ({"pnpm-lock.yaml": ""}, ("corepack",), [("corepack", *PNPM)]),
    "yarn": (
        {"yarn.lock": ""}, ("yarn",),
        [("yarn", "install", "--frozen-lockfile", "--production=true")],
    ),
    "yarn 4": (
        {"yarn.lock": "", ".yarnrc.yml": ""}, ("yarn",), [("yarn", "install", "--immutable")],
    ),
    "no lock": (
        {"package.json": package(dependencies={"a": "1"})}, (),
        [("npm", "install", "--no-package-lock", "--omit=dev")],
    ),
    "a build": (
        {"package.json": package({"build": "tsc"}), "package-lock.json": ""}, (),
        [(*NPM, "--include=dev"), ("npm", "run", "build")],
    ),
    "no dependencies": ({"package.json": package()}, (), []),
}  # fmt: skip


@pytest.mark.parametrize(("files", "tools", "argvs"), BUILDS.values(), ids=list(BUILDS))
def test_node_is_built_by_its_lock_file(files, tools, argvs, tmp_path: Path) -> None:
    found = detect(project(tmp_path, {"server.js": "", **files}, *tools), "node")
    assert [step.argv for step in found.build] == argvs
    assert found.path == ("node_modules/.bin",)


@pytest.mark.parametrize(
    ("files", "root", "steps"),
    [
        ({"index.html": ""}, ".", 0),
        ({"public/index.html": ""}, "public", 0),
        ({"package.json": package(SITE), "index.html": "", "package-lock.json": ""}, "dist", 2),
        ({"package.json": package({"build": "tsc && react-scripts build"})}, "build", 1),
    ],
)
def test_a_site_is_recognised(files, root: str, steps: int, tmp_path: Path) -> None:
    found = detect(project(tmp_path, files))
    assert (found.runtime, found.root, len(found.build)) == ("static", root, steps)


def test_a_socket_is_taken_where_it_is_asked_for(tmp_path: Path) -> None:
    found = detect(project(tmp_path, {"app.py": FLASK}, listen=Listen.SOCKET, drain_s=5.5))
    assert found.start[3:5] == ("--bind", "fd://3")
    assert found.start[-3:-1] == ("--graceful-timeout", "4")


def test_gunicorn_is_installed_for_who_has_none(tmp_path: Path) -> None:
    found = detect(project(tmp_path, {"app.py": FLASK, "requirements.txt": "flask"}))
    assert found.build[-1].argv[-1] == "gunicorn>=25.1"
    found = detect(project(tmp_path, {"requirements.txt": "flask\ngunicorn"}))
    assert found.build[-1].argv[-1] == "requirements.txt"
    found = detect(project(tmp_path, {"app.py": FASTAPI, "requirements.txt": "gunicorn==23.0"}))
    assert found.build[-1].argv[-2:] == ("uvicorn-worker", "websockets")


SETTINGS = 'STATIC_URL = "static/"\nSTATIC_ROOT = {}\n'


@pytest.mark.parametrize(
    ("root", "assets"),
    [
        ('BASE_DIR / "staticfiles"', ("staticfiles", "/static")),
        ('os.path.join(BASE_DIR, "out/static")', ("out/static", "/static")),
        ('str(BASE_DIR / "s")', ("s", "/static")),
        ("somewhere()", None),
        ('"/srv/static"', None),
    ],
)
def test_django_collects_its_static_files(root: str, assets, tmp_path: Path) -> None:
    files = {
        "manage.py": 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n',
        "shop/settings.py": SETTINGS.format(root),
        "shop/wsgi.py": "from django.core.wsgi import get_wsgi_application\n"
        "application = get_wsgi_application()\n",
    }
    found = detect(project(tmp_path, files))
    assert found.build[-1].argv == (".venv/bin/python", "manage.py", "collectstatic", "--noinput")
    assert found.assets == assets


def test_go_builds_the_program_of_the_apps_name(tmp_path: Path) -> None:
    files = {
        "go.mod": "",
        "cmd/other/main.go": "package main\n",
        "cmd/shop/main.go": "// c\npackage main\n",
    }
    found = detect(project(tmp_path, files, name="shop"))
    assert found.build[0].argv == ("go", "build", "-o", ".edged/app", "./cmd/shop")
    with pytest.raises(Undetected, match=r'several programs .*: write main = "cmd/other"'):
        detect(project(tmp_path, {}, name="third"))


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"pom.xml": ""}, "exec mvn -B -DskipTests package"),
        ({"pom.xml": "", "mvnw*": ""}, "exec ./mvnw -B -DskipTests package"),
        ({"build.gradle.kts": "", "gradlew*": ""}, "exec ./gradlew --no-daemon assemble"),
    ],
)
def test_java_is_built_by_its_wrapper(files, command: str, tmp_path: Path) -> None:
    found = detect(project(tmp_path, files))
    assert found.build[0].argv[-1].endswith(command)
    assert found.start == ("sh", "-c", JAVA.format("", ".edged/app.jar"))


def test_a_jvm_fits_its_heap_into_the_limit(tmp_path: Path) -> None:
    found = detect(project(tmp_path, {"shop.jar": ""}, memory_bytes=256 << 20))
    limit = " -XX:MaxRAM=268435456 -XX:MaxRAMPercentage=70"
    assert found.start[-1] == JAVA.format(limit, "shop.jar")


def test_a_ready_jar_and_a_ready_program_are_started(tmp_path: Path) -> None:
    found = detect(project(tmp_path, {"shop.jar": "", "shop*": ""}, name="shop"), "java")
    assert (found.build, found.start[-1]) == ((), JAVA.format("", "shop.jar"))
    assert detect(project(tmp_path, {}, main="A.java"), "java").start[-1].endswith(" A.java")
    assert detect(project(tmp_path, {}, name="shop"), "binary").start == ("./shop",)
    assert detect(project(tmp_path, {}, name="other"), "binary").start == ("./shop",)


def test_frankenphp_comes_before_php(tmp_path: Path) -> None:
    found = detect(project(tmp_path, {"index.php": ""}, "frankenphp"))
    assert found.start[:2] == ("frankenphp", "php-server")
    assert found.found[-1] == ("start", "found index.php, served by frankenphp")


def test_rails_is_made_ready(tmp_path: Path) -> None:
    files = {"Gemfile": "", "Gemfile.lock": "    puma (6.4)\n", "config.ru": ""}
    files |= {"config/application.rb": "", "app/assets/a.css": ""}
    found = detect(project(tmp_path, files))
    assert [step.argv[:2] for step in found.build] == [("bundle", "install"), ("bundle", "exec")]
    assert dict(found.vars)["BUNDLE_DEPLOYMENT"] == "1"
    assert "puma" in found.start


def test_the_gems_of_the_server_are_used_where_vars_say_so(tmp_path: Path) -> None:
    files = {"Gemfile": "gem 'puma'\n", "config.ru": ""}
    assert "BUNDLE_PATH" in dict(detect(project(tmp_path, files)).vars)
    own = (("BUNDLE_PATH__SYSTEM", "true"),)
    assert "BUNDLE_PATH" not in dict(detect(project(tmp_path, {}, vars=own)).vars)


def test_bun_installs_what_has_no_lock_file(tmp_path: Path) -> None:
    text = package({"start": "bun a.ts", "build": "tsc"}, dependencies={"a": "1"})
    found = detect(project(tmp_path, {"package.json": text}))
    assert [step.argv for step in found.build] == [
        ("bun", "install", "--no-save"), ("bun", "run", "build"),
    ]  # fmt: skip


def test_who_writes_start_gets_the_build_alone(tmp_path: Path) -> None:
    found = detect(project(tmp_path, {"requirements.txt": "x"}, has_start=True))
    assert (found.runtime, found.start, len(found.build)) == ("python", (), 2)
    assert detect(project(tmp_path / "empty", {"a": ""}, has_start=True)).runtime == ""


REFUSED = {
    "nothing in this folder says": ({}, ""),
    "takes a shell, which would hear SIGTERM": (
        {"package.json": package({"start": "node a.js | tee log"})}, "node",
    ),
    "runs itself": ({"package.json": package({"start": "npm run start"})}, "node"),
    "neither a script": ({"package.json": package()}, "node"),
    "package.json cannot be read": ({"package.json": "{"}, "node"),
    "its scripts are no object": ({"package.json": '{"scripts": 5}'}, "node"),
    "there is no program shop or bin/shop": ({"shop": ""}, "binary"),
    "there are several programs": ({"a*": "", "b*": ""}, "binary"),
    "there is no index.html": ({"a.txt": ""}, "static"),
    "there is no folder": ({}, "static"),
    "there is no index.php": ({}, "php"),
    "there is no pom.xml": ({"a.jar": "", "b.jar": ""}, "java"),
    "no package main": ({"go.mod": ""}, "go"),
    'there is no task "start"': ({"deno.json": "{}"}, "deno"),
    "needs pnpm, which this server's apps do not find in PATH=.*: npm install -g pnpm": (
        {"server.js": "", "pnpm-lock.yaml": ""}, "node",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("message", "case"), REFUSED.items(), ids=list(REFUSED))
def test_what_lacks_is_told(message: str, case, tmp_path: Path) -> None:
    files, runtime = case
    root = "nowhere" if message == "there is no folder" else ""
    with pytest.raises(Undetected, match=message):
        detect(project(tmp_path, files, name="shop", root=root), runtime)


def test_every_runtime_of_the_spec_is_known(tmp_path: Path) -> None:
    with pytest.raises(Undetected, match="one of ") as told:
        detect(project(tmp_path, {}))
    assert all(name in str(told.value) for name in RUNTIMES)


def test_nothing_outside_of_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.js").write_text("")
    inner = project(tmp_path / "app", {"package.json": package(main="../secret.js")})
    assert not inner.has("../secret.js")
    assert not inner.has(str(tmp_path / "secret.js"))
    with pytest.raises(Undetected):
        detect(inner, "node")
