"""The `edged` command as a user meets it: one line for what went wrong, and no traceback."""

import errno
import logging
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import setproctitle

from control import serve

GOOD = '[[route]]\nmatch = ["example.com"]\nupstreams = ["127.0.0.1:9000"]\n'


@pytest.fixture(autouse=True)
def _logging_as_before():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def folder():
    """Open to all: started as root, edged gives its workers to another user."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture
def file(folder) -> str:
    path = folder / "edged.toml"
    path.write_text(GOOD, encoding="utf-8")
    return str(path)


def edged(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "control.serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_check_says_that_a_file_is_good(file, capsys) -> None:
    assert serve.main(["--check", "--config", file]) == 0
    assert capsys.readouterr().out == f"{file}: good, 1 route\n"


def test_a_missing_file_is_one_line_that_says_what_to_do(folder) -> None:
    path = f"{folder}/none.toml"
    done = edged("--config", path)
    assert done.returncode == 1
    assert done.stderr == f"{path}: there is no such file: name the server file with --config\n"
    assert done.stdout == ""


def test_a_bad_file_is_not_served(folder) -> None:
    path = folder / "edged.toml"
    path.write_text("[server]\nworkers = 0\nhttp = 1\n", encoding="utf-8")
    done = edged("--config", str(path))
    assert done.returncode == 1
    assert [line.split(":")[1] for line in done.stderr.splitlines()] == ["2", "3"]


def test_wrong_usage_is_exit_code_2() -> None:
    done = edged("--conf", "x")
    assert done.returncode == 2
    assert "unrecognized arguments: --conf" in done.stderr


def test_help_shows_a_whole_server_file_that_is_good(folder) -> None:
    done = edged("--help")
    assert done.returncode == 0
    shown = done.stdout.split("a whole server file:\n")[1].split("\n\n")[0]
    path = folder / "edged.toml"
    path.write_text(shown, encoding="utf-8")
    assert edged("--check", "--config", str(path)).returncode == 0


def test_version(capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        serve.main(["--version"])
    assert capsys.readouterr().out.startswith("edged ")


def test_the_file_in_this_folder_is_the_default(file, folder, monkeypatch, capsys) -> None:
    monkeypatch.chdir(folder)
    assert serve.main(["--check"]) == 0
    assert capsys.readouterr().out == "edged.toml: good, 1 route\n"


def test_checking_loads_no_master_and_makes_no_hub(file) -> None:
    program = (
        "import sys; from control.serve import main; code = main(sys.argv[1:]);"
        "assert 'supervisor.master' not in sys.modules;"
        "assert 'control.main' not in sys.modules;"
        "local = sys.modules.get('gevent._hub_local');"
        "assert local is None or local.get_hub_if_exists() is None; sys.exit(code)"
    )
    command = [sys.executable, "-c", program, "--check", "--config", file]
    assert subprocess.run(command, timeout=30, check=False).returncode == 0


def raising(error: BaseException):
    def become_master(spec) -> int:
        raise error

    return become_master


def test_what_the_system_refuses_is_one_line(file, monkeypatch, capsys) -> None:
    refusal = OSError(errno.EADDRINUSE, "Address already in use")
    monkeypatch.setattr(serve, "_become_master", raising(refusal))
    assert serve.main(["--config", file]) == 1
    assert capsys.readouterr().err == "edged: Address already in use.\n"


def test_a_refusal_names_the_file(file, monkeypatch, capsys) -> None:
    refusal = PermissionError(errno.EACCES, "Permission denied", "/var/lib/edged")
    monkeypatch.setattr(serve, "_become_master", raising(refusal))
    assert serve.main(["--config", file]) == 1
    assert capsys.readouterr().err == "edged: /var/lib/edged: Permission denied.\n"


def test_a_bug_of_ours_keeps_its_traceback(file, monkeypatch) -> None:
    monkeypatch.setattr(serve, "_become_master", raising(OSError(errno.EBADF, "Bad descriptor")))
    with pytest.raises(OSError, match="Bad descriptor"):
        serve.main(["--config", file])


def test_ctrl_c_before_the_master_is_up(file, monkeypatch, capsys) -> None:
    monkeypatch.setattr(serve, "_become_master", raising(KeyboardInterrupt()))
    assert serve.main(["--config", file]) == 130
    assert capsys.readouterr().err == ""


def test_log_lines_have_time_level_process_and_message() -> None:
    record = logging.LogRecord("x", logging.WARNING, __file__, 1, "worker %d died", (3,), None)
    before = setproctitle.getproctitle()
    setproctitle.setproctitle("edged: master")
    try:
        line = serve.LogFormatter().format(record)
    finally:
        setproctitle.setproctitle(before)
    assert re.fullmatch(
        r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}\.\d{3}Z warning master: worker 3 died", line
    )


def test_check_loads_the_hooks(folder) -> None:
    path = folder / "edged.toml"
    path.write_text('[server]\nhooks = ["hooks.py"]\n' + GOOD, encoding="utf-8")
    (folder / "hooks.py").write_text("import no_such_module_here\n", encoding="utf-8")
    done = edged("--check", "--config", str(path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"{path}: server.hooks: ")
    assert "No module named 'no_such_module_here'" in done.stderr
    (folder / "hooks.py").write_text(
        "from edge import Hook\n\nclass Nothing(Hook): ...\n", encoding="utf-8"
    )
    assert edged("--check", "--config", str(path)).returncode == 0
