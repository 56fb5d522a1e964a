"""The command `edgectl`: what it prints, and what it exits with, against a real edged or none."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from control.cli.main import edgectl
from tests.support.edged import ROOT, Edged, Outcome, route
from tests.support.eventually import eventually

CALL = "import sys; from control.cli.main import main; sys.exit(main())"
AS_NOBODY = (
    f"import os, control.cli.main; os.setgroups([]); os.setgid(65534); os.setuid(65534); {CALL}"
)

ANSWERING = """
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(5)
print("listening", flush=True)
while True:
    link = server.accept()[0]
    link.recv(65536)
    link.sendall(sys.argv[2].encode().decode("unicode_escape").encode("latin-1"))
    link.close()
"""

VERBS = sorted(edgectl.commands)


def run(*arguments: str, call: str = CALL, **environ: str) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-c", call, *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
        text=True,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def served() -> Iterator[Edged]:
    with Edged(route("*", "127.0.0.1:1") + route("red.test", extra='redirect = "/x"')) as edged:
        yield edged


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Starts something on a unix socket that answers with fixed bytes."""
    started: list[subprocess.Popen[str]] = []

    def start(answer: str) -> str:
        path = str(tmp_path / f"{len(started)}.sock")
        process = subprocess.Popen(
            [sys.executable, "-c", ANSWERING, path, answer], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        return path

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_without_edged_it_says_so_and_how_to_start_it(tmp_path: Path) -> None:
    outcome = run("--socket", str(tmp_path / "edged.sock"), "status")
    assert outcome.code == 3
    assert "not running" in outcome.err
    assert "edged --config FILE" in outcome.err
    assert outcome.out == ""


def test_a_socket_that_nobody_listens_on_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    assert run("--socket", str(path), "status").code == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_who_may_not_is_told_who_may(served: Edged) -> None:
    outcome = run("--socket", str(served.socket_path), "status", call=AS_NOBODY)
    assert outcome.code in (0, 4)  # 0 where nobody's group is the workers' own
    os.chmod(served.socket_path, 0o600)
    outcome = run("--socket", str(served.socket_path), "status", call=AS_NOBODY)
    os.chmod(served.socket_path, 0o660)
    assert outcome.code == 4
    assert "sudo" in outcome.err


@pytest.mark.parametrize(
    "answer",
    ["garbage\\r\\n\\r\\n", "HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nabc", "",
     "HTTP/1.1 200 OK\\r\\nContent-Length: 99\\r\\n\\r\\n{}", "HTTP/1.1 200 OK\\r\\n\\r\\n[]",
     'HTTP/1.1 200 OK\\r\\nContent-Length: 15\\r\\n\\r\\n{"routes": [1]}'],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["status", "reload", "routes"])
def test_an_answer_that_is_none_is_no_traceback(
    answering: Callable[[str], str], answer: str, verb: str
) -> None:
    outcome = run("--socket", answering(answer), verb)
    assert outcome.code == 1
    assert outcome.err.startswith("edgectl: ")
    assert "Traceback" not in outcome.err


def test_what_is_printed_cannot_steer_the_terminal(answering: Callable[[str], str]) -> None:
    document = json.dumps({"error": "x", "message": "red \x1b[31m bell \x07"}).replace("\\", "\\\\")
    length = len(document.replace("\\\\", "\\"))
    answer = f"HTTP/1.1 400 Bad\\r\\nContent-Length: {length}\\r\\n\\r\\n{document}"
    outcome = run("--socket", answering(answer), "status")
    assert outcome.code == 1
    assert "\\x1b[31m" in outcome.err
    assert "\x1b" not in outcome.err


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help_with_an_example(verb: str) -> None:
    outcome = run(verb, "--help")
    assert outcome.code == 0
    assert "Example" in outcome.out or verb == "logs"


def test_the_help_lists_all_verbs_whole_and_the_exit_codes() -> None:
    outcome = run("--help")
    assert outcome.code == 0
    assert "..." not in outcome.out.partition("Commands:")[2]
    assert "3 edged is not running" in outcome.out


@pytest.mark.parametrize("arguments", [("nope",), ("explain",), ("status", "--nope")])
def test_a_wrong_command_line_exits_with_2(arguments: tuple[str, ...]) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert "--help" in outcome.err


@pytest.mark.parametrize("verb", ["status", "workers", "routes", "hooks", "check", "reload"])
def test_json_is_one_document_wherever_the_flag_stands(served: Edged, verb: str) -> None:
    for arguments in (("--json", verb), (verb, "--json")):
        outcome = served.ctl(*arguments)
        assert outcome.code == 0
        assert isinstance(outcome.json, dict)
        assert len(outcome.lines) == 1


def test_a_refusal_with_json_is_a_document_too(served: Edged) -> None:
    outcome = served.ctl("--json", "explain", "GET", "ftp://x/")
    assert outcome.code == 1
    assert outcome.json["error"] == "bad-url"


def test_status_names_what_runs(served: Edged) -> None:
    outcome = served.ctl("status")
    assert outcome.code == 0
    assert served.address in outcome.out
    assert f"master {served.master_pid}" in outcome.out
    assert "no problems" in outcome.out


def test_explain_says_what_wins_and_what_a_peer_would_get(served: Edged) -> None:
    outcome = served.ctl("explain", "GET", "http://red.test/a?b=c")
    assert "→ red.test" in outcome.out
    assert "308, to /x" in outcome.out
    outcome = served.ctl("explain", "POST", "http://any.test/", "-H", "X-A: 1")
    assert "127.0.0.1:1" in outcome.out
    assert "+ X-Forwarded-Host: any.test" in outcome.out


def test_explain_says_why_a_request_would_be_refused(served: Edged) -> None:
    outcome = served.ctl("explain", "GET", "http://a/", "-H", "Bad Name: x")
    assert outcome.code == 0
    assert "400 bad-request" in outcome.out


def test_events_follow_until_they_are_interrupted(served: Edged) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CALL, "--socket", str(served.socket_path), "events", "-f"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "worker-ready" in process.stdout.readline()
    served.reload()
    assert any("reload-done" in line for line in iter(process.stdout.readline, ""))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_a_pipe_that_closes_is_no_traceback(served: Edged) -> None:
    command = f"{sys.executable} -c '{CALL}' --socket {served.socket_path} events -f | head -1"
    process = subprocess.Popen(
        ["sh", "-c", command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    eventually(lambda: served.ctl("reload"))
    _, err = process.communicate(timeout=20)
    assert "Traceback" not in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_that_calls_edgectl_back(shell: str) -> None:
    outcome = run("completion", shell)
    assert outcome.code == 0
    assert "_EDGECTL_COMPLETE" in outcome.out


def test_completion_knows_the_verbs() -> None:
    outcome = run(_EDGECTL_COMPLETE="bash_complete", COMP_WORDS="edgectl re", COMP_CWORD="1")
    assert "reload" in outcome.out
