"""Good server files: what they resolve to."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from control.config import load, loads
from edge.setup import WorkerOptions
from edge.table.model import (
    FieldRules,
    Fixed,
    Limits,
    PathRewrite,
    Redirect,
    Route,
    Settings,
    Timeouts,
)
from supervisor.spec import Spec, from_json, to_json
from tests.control.config.fake_machine import FakeMachine

PATH = "/etc/edged/edged.toml"
THREE_LINES = """
[[route]]
match = ["example.com"]
upstreams = ["127.0.0.1:9000"]
"""


def sound(text: str, machine: FakeMachine | None = None, path: str = PATH):
    loaded = loads(text, path, machine or FakeMachine())
    assert loaded.problems == ()
    return loaded


def server(lines: str, machine: FakeMachine | None = None) -> Spec:
    return sound(f"[server]\n{lines}", machine).spec


def route(lines: str) -> Route:
    [found] = sound(f'[[route]]\nmatch = "example.com"\n{lines}').routes
    return found


def test_nameservers_are_for_control_alone() -> None:
    loaded = sound('[server]\nresolver = ["127.0.0.53", "192.0.2.53:5353"]')
    assert loaded.nameservers == ("127.0.0.53:53", "192.0.2.53:5353")
    assert loaded.spec == sound("").spec


def test_names_stay_names() -> None:
    peers = ("app:80", "srv:_http._tcp.app.internal")
    assert route(f"upstreams = {json.dumps(peers)}").upstreams == peers


def test_three_lines_are_enough() -> None:
    loaded = sound(THREE_LINES)
    assert loaded.spec == Spec(
        config_path=PATH,
        http=("[::]:8080",),
        workers=4,
        state_dir="/etc/edged/state",
        run_dir="/etc/edged/run",
        worker=WorkerOptions(
            hook_path="/etc/edged",
            access_log="/etc/edged/run/access.log",
            table_path="/etc/edged/state/table.db",
            control_path="/etc/edged/run/edged.sock",
        ),
    )
    assert loaded.routes == (
        Route(pattern="example.com", owner="edged.toml:example.com", upstreams=("127.0.0.1:9000",)),
    )
    assert loaded.settings == Settings()


def test_an_empty_file_is_a_server_without_routes() -> None:
    assert sound("").routes == ()


def test_a_spec_survives_the_channel() -> None:
    spec = server('hooks = ["a.b"]\nhttp = [":80", "127.0.0.1:81"]')
    assert from_json(to_json(spec)) == spec


def test_the_text_is_kept_to_be_applied_again(tmp_path: Path) -> None:
    path = tmp_path / "edged.toml"
    path.write_text(THREE_LINES, encoding="utf-8")
    loaded = load(path, FakeMachine())
    assert loaded.text == THREE_LINES
    assert loads(loaded.text, path, FakeMachine()) == loaded


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edged.toml").write_text(THREE_LINES, encoding="utf-8")
    assert load("edged.toml", FakeMachine()).spec.config_path == f"{tmp_path}/edged.toml"


def test_this_machine_answers_too() -> None:
    assert loads(THREE_LINES, PATH).spec.workers <= (os.cpu_count() or 1)


# The server table


@pytest.mark.parametrize(
    ("written", "http"),
    [
        ('[":80"]', ("[::]:80",)),
        ('":8080"', ("[::]:8080",)),
        ('["0.0.0.0:80", "[::1]:80"]', ("0.0.0.0:80", "[::1]:80")),
    ],
)
def test_listeners(written: str, http: tuple[str, ...]) -> None:
    assert server(f"http = {written}").http == http


def test_port_80_is_the_default_where_it_may_be_bound() -> None:
    root = FakeMachine(may_bind_80=True)
    assert server("", root).http == ("[::]:80",)
    assert server("", root).https == ("[::]:443",)
    assert server("https = []", root).https == ()
    assert server('http = [":8080"]', root).https == ()
    assert server('https = [":8443"]', root).http == ("[::]:80",)


def test_a_machine_without_ipv6_listens_on_ipv4() -> None:
    spec = server('metrics = ":9100"', FakeMachine(has_ipv6=False))
    assert (spec.http, spec.metrics) == (("0.0.0.0:8080",), "0.0.0.0:9100")


def test_workers_are_a_number_or_the_cores() -> None:
    assert server("workers = 3").workers == 3
    assert server('workers = "auto"', FakeMachine(cores=7)).workers == 7
    assert server("", FakeMachine(cores=500)).workers == 64


def test_folders_are_relative_to_the_file() -> None:
    spec = server('state_dir = "../lib"\nrun_dir = "/run/edged"')
    assert (spec.state_dir, spec.run_dir) == ("/etc/lib", "/run/edged")
    assert spec.worker.table_path == "/etc/lib/table.db"
    assert spec.worker.access_log == "/run/edged/access.log"


@pytest.mark.parametrize(
    ("written", "path"), [("-", "-"), ("", ""), ("log/a.log", "/etc/edged/log/a.log")]
)
def test_the_access_log(written: str, path: str) -> None:
    assert server(f'access_log = "{written}"').worker.access_log == path


def test_hooks_are_files_by_path_and_modules_by_name(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").touch()
    text = '[server]\nhooks = ["hooks.py", "acme.edge_hooks"]'
    worker = sound(text, path=f"{tmp_path}/edged.toml").spec.worker
    assert worker.hooks == (f"{tmp_path}/hooks.py", "acme.edge_hooks")
    assert worker.hook_path == str(tmp_path)


def test_root_drops_workers_to_a_user() -> None:
    root = FakeMachine(user="root")
    assert server("", root).user == "nobody"
    assert server("", replace(root, users=root.users | {"edged"})).user == "edged"
    assert server('user = "bob"\ngroup = "wheel"', root).user == "bob"
    assert server('user = "bob"\ngroup = "wheel"', root).group == "wheel"


def test_workers_stay_root_only_where_that_is_written() -> None:
    assert server('user = "root"', FakeMachine(user="root")).user == ""


def test_an_ordinary_user_keeps_its_own() -> None:
    assert server("").user == ""
    assert server('user = "alice"\ngroup = "web"').user == ""
    assert server('group = "web"').group == "web"


def test_other_server_settings() -> None:
    text = (
        '[server]\nmetrics = "127.0.0.1:9100"\nhang = "2500ms"\nunderscore_headers = true\n'
        'trusted_proxies = ["10.0.0.0/8", "::1"]\nproxy_protocol = "192.0.2.1"'
    )
    loaded = sound(text)
    assert loaded.spec.metrics == "127.0.0.1:9100"
    assert loaded.spec.hang_s == 2.5
    assert loaded.settings == Settings(
        underscore_headers=True,
        trusted_proxies=("10.0.0.0/8", "::1/128"),
        proxy_protocol=("192.0.2.1/32",),
    )


# Limits and timeouts


def test_limits() -> None:
    text = (
        '[limits]\nhead = "32KiB"\nrequest_line = "4k"\nfields = 50\nbody = "1MB"\nreplay = 0\n'
        "attempts = 2\npool_idle = 10\nconnections = 500"
    )
    assert sound(text).settings.limits == Limits(
        head_bytes=32768,
        request_line_bytes=4096,
        fields=50,
        body_bytes=1000000,
        replay_bytes=0,
        attempts=2,
        pool_idle=10,
        connections=500,
    )


def test_timeouts() -> None:
    text = (
        '[timeouts]\nhead = "5s"\nbody_idle = "6s"\nbody_rate = "1k"\nwrite_idle = "7s"\n'
        'keep_alive = "8s"\nconnect = "500ms"\nfirst_byte = "2m"\nstream_idle = "1d"\n'
        'upgraded_idle = "2h"\npool_idle = "9s"\nhook = "1s"\nattempts = "3s"\n'
        'drain = 0\ndrain_upgraded = "1m"'
    )
    loaded = sound(text)
    assert loaded.settings.timeouts == Timeouts(
        head_s=5.0,
        body_idle_s=6.0,
        body_rate=1024,
        write_idle_s=7.0,
        keep_alive_s=8.0,
        connect_s=0.5,
        first_byte_s=120.0,
        stream_idle_s=86400.0,
        upgraded_idle_s=7200.0,
        pool_idle_s=9.0,
        hook_s=1.0,
    )
    assert loaded.settings.limits == Limits(attempts_s=3.0)
    assert loaded.spec.worker.drain_s == 0.0
    assert loaded.spec.worker.drain_upgraded_s == 60.0


# Routes


def test_a_route_per_pattern_all_of_one_owner_whichever_lines_they_are_on() -> None:
    text = '[[route]]\nmatch = [\n  "Example.COM.",\n  "*.example.com/api/*",\n]\nrespond = "x"'
    assert [(one.pattern, one.owner) for one in sound(text).routes] == [
        ("example.com", "edged.toml:example.com"),
        ("*.example.com/api/*", "edged.toml:example.com"),
    ]


def test_lines_that_move_make_no_other_routes() -> None:
    text = '[[route]]\nmatch = ["example.com"]\nrespond = "x"\n'
    assert sound(text).routes == sound("# a comment\n" + text).routes


def test_upstreams() -> None:
    found = route('upstreams = ["APP:80", "[::1]:9000", "unix:app.sock", "unix:/run/app.sock"]')
    assert found.upstreams == (
        "app:80",
        "[::1]:9000",
        "unix:/etc/edged/app.sock",
        "unix:/run/app.sock",
    )
    assert found.balancing is None


def test_redirects() -> None:
    assert route('redirect = "https://www.example.com{uri}"').redirect == Redirect(
        to="https://www.example.com{uri}"
    )
    assert route('redirect = { to = "/new", status = 302 }').redirect == Redirect(
        to="/new", status=302
    )


def test_fixed_answers() -> None:
    assert route('respond = "hello"').respond == Fixed(body="hello")
    assert route("respond = { status = 404 }").respond == Fixed(status=404)
    found = route('respond = { status = 503, body = "<p>", content_type = "text/html" }')
    assert found.respond == Fixed(status=503, body="<p>", content_type="text/html")


def test_header_rules() -> None:
    found = route(
        'upstreams = "app:80"\n'
        'request_headers = { set = { "X-Tenant" = " blue " }, remove = ["Cookie"] }\n'
        'response_headers.set.Cache-Control = "no-store"\n'
    )
    assert found.request_headers == FieldRules(set=(("X-Tenant", "blue"),), remove=("cookie",))
    assert found.response_headers == FieldRules(set=(("Cache-Control", "no-store"),))


def test_path_rewrites() -> None:
    found = route(
        'upstreams = "app:80"\nstrip_prefix = "/api"\nadd_prefix = "/v1"\n'
        "rewrite = { pattern = '(?x)^/(\\d+) # number', to = '/item/\\1' }"
    )
    assert found.path == PathRewrite(
        strip_prefix="/api",
        pattern=r"(?x)^/(\d+) # number",
        replacement=r"/item/\1",
        add_prefix="/v1",
    )


def test_limits_of_a_route() -> None:
    found = route(
        'upstreams = "app:80"\nupstream_host = "app.internal:80"\nbody = 0\nfirst_byte = "5m"'
    )
    assert found.upstream_host == "app.internal:80"
    assert found.body_bytes == 0
    assert found.first_byte_s == 300.0


def test_many_routes_load_in_reasonable_time() -> None:
    text = "".join(
        f'[[route]]\nmatch = ["h{number}.example.com"]\nupstreams = ["127.0.0.1:9000"]\n'
        for number in range(5000)
    )
    began = time.monotonic()
    assert len(sound(text).routes) == 5000
    assert time.monotonic() - began < 2  # it takes 0.2 s; 100,000 take 4 s
