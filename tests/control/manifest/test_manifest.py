"""edge.toml: what it says, and what is wrong with it: bad files say after "#:" what is told."""

from pathlib import Path

import pytest

from control.manifest.manifest import read
from control.manifest.spec import (
    AppHealth,
    AppSpec,
    Assets,
    CronSpec,
    Instances,
    Listen,
    ProcessSpec,
    Resources,
    Step,
    Times,
    Waiting,
)
from control.refusal import Refused
from tests.support.app_folders import having, write

BAD = sorted((Path(__file__).parent / "bad").glob("*.toml"))
START = 'name = "api"\nstart = ["./api"]\n'


def app(folder: Path, text: str, env: str = "", **files: str) -> AppSpec:
    write(folder, {"edge.toml": text, **files})
    return read(str(folder), env, finds=having())


def told(folder: Path, text: str, env: str = "", **files: str) -> list[str]:
    with pytest.raises(Refused) as refused:
        app(folder, text, env, **files)
    assert refused.value.code == "manifest-invalid"
    assert len(refused.value.more["problems"]) == len(str(refused.value).splitlines())
    return [
        line.replace(f"{folder}/edge.toml", "").removeprefix(":").strip()
        for line in str(refused.value).splitlines()
    ]


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_problem_of_a_bad_file_is_told_with_its_line(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    expected = [line.removeprefix("#: ") for line in lines if line.startswith("#: ")]
    assert expected
    assert told(tmp_path, text, "production") == expected


def test_the_file_of_the_design_works_unchanged(tmp_path: Path) -> None:
    text = (
        'name = "api"\nruntime = "bun"\n\n[envs.production]\n'
        'routes = ["api.example.com", "example.com/api/*"]\nservers = ["prod"]\n'
    )
    spec = app(tmp_path, text, "production", **{"index.ts": ""})
    assert spec.id == "api/production"
    assert spec.routes == ("api.example.com", "example.com/api/*")
    assert spec.servers == ("prod",)
    assert (spec.runtime, spec.start) == ("bun", ("bun", "index.ts"))


def test_a_short_file_has_the_defaults_of_the_field(tmp_path: Path) -> None:
    spec = app(tmp_path, START)
    assert spec.times == Times(
        start_s=30.0, drain_s=30.0, stability_s=8.0, build_s=900.0, release_s=600.0
    )
    assert spec.waiting == Waiting(room=1000, page=False)
    assert spec.instances == Instances(min=0, max=1, idle_s=300.0, concurrency=50)
    assert spec.listen is Listen.PORT
    assert spec.health == AppHealth(host="localhost")


def test_every_setting_arrives_in_the_spec(tmp_path: Path) -> None:
    text = """
name = "api"
start = "./api --port $PORT"
release = "echo a | cat"
listen = "socket"
assets = "public"
vars = { A = "1", N = 5, YES = true }
[build]
commands = ["make", ["sh", "-c", "true"]]
vars = { B = "2" }
timeout = "1m"
[instances]
min = 2
idle = "1m"
concurrency = 3
[health]
path = "/up"
host = "up.example.com"
interval = "1s"
timeout = "2s"
fall = 4
expected = ["200", "300-399"]
[limits]
start = "1s"
drain = "2s"
stability = "3s"
release = "4s"
memory = "64MiB"
cpus = 0.5
pids = 6
[waiting]
room = 7
page = true
[process.queue]
command = "./queue"
instances = 2
[cron.nightly]
schedule = "30 4 * * *"
command = "./clean"
timeout = "5m"
[envs.production]
routes = ["API.example.com"]
"""
    assert app(tmp_path, text) == AppSpec(
        name="api",
        env="production",
        routes=("api.example.com",),
        build=(
            Step(argv=("make",), vars=(("B", "2"),), reason="written in edge.toml"),
            Step(argv=("sh", "-c", "true"), vars=(("B", "2"),), reason="written in edge.toml"),
        ),
        release=("sh", "-c", "echo a | cat"),
        start=("./api", "--port", "$PORT"),
        vars=(("A", "1"), ("N", "5"), ("YES", "true")),
        listen=Listen.SOCKET,
        instances=Instances(min=2, max=2, idle_s=60.0, concurrency=3),
        health=AppHealth(
            path="/up",
            host="up.example.com",
            interval_s=1.0,
            timeout_s=2.0,
            fall=4,
            statuses=((200, 200), (300, 399)),
        ),
        times=Times(start_s=1.0, drain_s=2.0, stability_s=3.0, build_s=60.0, release_s=4.0),
        resources=Resources(memory_bytes=64 << 20, cpus=0.5, pids=6),
        waiting=Waiting(room=7, page=True),
        assets=Assets(folder="public", path="/"),
        processes=(ProcessSpec(name="queue", argv=("./queue",), instances=2),),
        crons=(
            CronSpec(name="nightly", schedule="30 4 * * *", argv=("./clean",), timeout_s=300.0),
        ),
    )


LAYERED = """
name = "api"
start = ["./api"]
servers = ["one"]
vars = { LEVEL = "info", KEEP = "yes" }
[health]
path = "/up"
interval = "1s"
[process.queue]
command = "./queue"
[envs.production]
servers = ["two"]
health.interval = "9s"
process.queue.instances = 3
[envs.staging]
start = ["./staging"]
vars = { LEVEL = "debug", NEW = "1" }
process.extra.command = "./extra"
"""


def test_an_environment_joins_tables_and_vars_and_replaces_the_rest(tmp_path: Path) -> None:
    production = app(tmp_path, LAYERED, "production")
    assert production.servers == ("two",)
    assert (production.health.path, production.health.interval_s) == ("/up", 9.0)
    assert [(one.name, one.instances) for one in production.processes] == [("queue", 3)]
    assert production.start == ("./api",)
    staging = app(tmp_path, LAYERED, "staging")
    assert staging.vars == (("LEVEL", "debug"), ("KEEP", "yes"), ("NEW", "1"))
    assert staging.start == ("./staging",)
    assert staging.health.interval_s == 1.0
    assert [one.name for one in staging.processes] == ["queue", "extra"]


@pytest.mark.parametrize(
    ("envs", "asked", "env"),
    [
        ("", "", "production"),
        ("", "staging", "staging"),
        ("[envs.staging]", "", "staging"),
        ("[envs.staging]\n[envs.production]", "", "production"),
    ],
)
def test_which_environment_is_meant(envs: str, asked: str, env: str, tmp_path: Path) -> None:
    assert app(tmp_path, START + envs, asked).env == env


def test_an_environment_that_could_be_none_is_refused(tmp_path: Path) -> None:
    [line] = told(tmp_path, START, "../etc")
    assert line.startswith('envs: "../etc" is no name')


def test_a_folder_without_a_file_is_refused_with_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no such file: an app has one, with at least name"):
        read(str(tmp_path))


@pytest.mark.parametrize(
    ("routes", "host"),
    [
        ('["example.com/api/*"]', "example.com"),
        ('["*.example.com"]', "health.example.com"),
        ('["*"]', "localhost"),
    ],
)
def test_health_is_asked_for_the_host_of_the_first_route(
    routes: str, host: str, tmp_path: Path
) -> None:
    assert app(tmp_path, f"{START}routes = {routes}").health.host == host


def test_who_writes_a_health_path_wants_a_good_answer(tmp_path: Path) -> None:
    assert app(tmp_path, START).health.statuses == ((200, 499),)
    assert app(tmp_path, f'{START}health = "/up"').health.statuses == ((200, 399),)


def test_what_cannot_be_detected_is_told_where_the_runtime_is_written(tmp_path: Path) -> None:
    [line] = told(tmp_path, 'name = "a"\nruntime = "ruby"\n')
    assert line.startswith("2: runtime: there is no config.ru")
    [line] = told(tmp_path, 'name = "a"\n')
    assert line.startswith("nothing in this folder says how the app is run")


def test_vars_of_the_file_come_over_those_of_the_runtime(tmp_path: Path) -> None:
    text = 'name = "a"\nruntime = "node"\nvars = { NODE_ENV = "test" }\n'
    assert app(tmp_path, text, **{"server.js": ""}).vars == (("NODE_ENV", "test"),)


def test_an_app_of_processes_alone_needs_nothing_that_serves(tmp_path: Path) -> None:
    text = 'name = "a"\nruntime = "python"\n[process.queue]\ncommand = "celery -A tasks worker"\n'
    spec = app(tmp_path, text, **{"requirements.txt": "celery"})
    assert spec.start == ()
    assert spec.path == (".venv/bin",)
    [line] = told(tmp_path, f'routes = ["a.example.com"]\n{text}')
    assert line.startswith("3: runtime: no app was found")


PROCFILE = """
# as on Heroku
web: gunicorn shop:app --bind $HOST:$PORT
release: python manage.py migrate && echo done
worker_mail: celery -A shop worker
other: cd there && ./serve
"""


def test_a_procfile_says_what_edge_toml_leaves_out(tmp_path: Path) -> None:
    spec = app(tmp_path, 'name = "a"\n', Procfile=PROCFILE, **{"requirements.txt": ""})
    assert spec.start == ("gunicorn", "shop:app", "--bind", "$HOST:$PORT")
    assert spec.release == ("sh", "-c", "python manage.py migrate && echo done")
    assert [(one.name, one.argv) for one in spec.processes] == [
        ("worker-mail", ("celery", "-A", "shop", "worker")),
        ("other", ("sh", "-c", "cd there && exec ./serve")),
    ]
    assert ("start", "found Procfile: web") in spec.found


def test_edge_toml_comes_before_a_procfile(tmp_path: Path) -> None:
    text = f'{START}release = "true"\n[process.other]\ncommand = "./other"\n'
    spec = app(tmp_path, text, Procfile=PROCFILE)
    assert (spec.start, spec.release) == (("./api",), ("true",))
    assert {one.name: one.argv for one in spec.processes}["other"] == ("./other",)


def test_a_line_that_is_none_of_a_procfile_is_told(tmp_path: Path) -> None:
    [line] = told(tmp_path, 'name = "a"\n', Procfile="web: ./a\nnonsense\n")
    assert line == 'Procfile:2: is no line of it: write "web: COMMAND"'


NONSENSE = [
    ("package.json", "[]"),
    ("package.json", '{"scripts": 5, "main": 5}'),
    ("package.json", '{"packageManager": 5, "dependencies": 5}'),
    ("deno.json", '{"tasks": 5}'),
    ("requirements.txt", "\0"),
    ("poetry.lock", "package = [5]"),
    ("uv.lock", 'package = "x"'),
    ("Pipfile.lock", '{"default": {"a": {"version": 5}}}'),
    ("pyproject.toml", "project = 5"),
    ("pyproject.toml", "[project]\ndependencies = [5]"),
    ("app.py", "from ...x import app\n"),
    ("app.py", "a = b = app = lambda: app\n"),
    ("app.py", "app = f()()()[0].x\n"),
    ("Procfile", "web:"),
    (".python-version", "x"),
]


@pytest.mark.parametrize(("name", "text"), NONSENSE)
@pytest.mark.parametrize("runtime", ["", 'runtime = "python"\n', 'runtime = "node"\n'])
def test_nonsense_in_a_folder_is_refused(
    name: str, text: str, runtime: str, tmp_path: Path
) -> None:
    told(tmp_path, f'name = "a"\n{runtime}', **{name: text})
