"""A real edged: config in a folder of its own, a process tree in a session of its own.

    with Edged(route("*", origin.address)) as edged:
        assert fetch(edged.address, "/").status == 200
        edged.write(route("*", other.address))
        edged.reload()

The folder is readable by everybody, since workers drop root's privileges.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from tests.support.eventually import eventually
from tests.support.ports import free_address, split_address

ROOT: Final = Path(__file__).resolve().parents[2]
READY_S: Final = 20.0
STOP_S: Final = 15.0


@dataclass
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    def __bool__(self) -> bool:
        return self.code == 0

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """Stdout by lines."""
        return self.out.splitlines()


def route(match: str | Iterable[str], upstreams: str | Iterable[str] = (), extra: str = "") -> str:
    """The text of one route; `extra` is more of its keys."""
    matches = [match] if isinstance(match, str) else list(match)
    peers = [upstreams] if isinstance(upstreams, str) else list(upstreams)
    lines = ["[[route]]", f"match = {json.dumps(matches)}"]
    if peers:
        lines.append(f"upstreams = {json.dumps(peers)}")
    return "\n".join([*lines, extra, ""])


class Edged:
    """One process tree. `body` is the config behind [server]; `server` is more keys of [server]."""

    running: ClassVar[list["Edged"]] = []

    def __init__(
        self,
        body: str = "",
        *,
        server: str = "",
        workers: int = 1,
        addresses: Iterable[str] = (),
        files: dict[str, str] | None = None,
        environ: dict[str, str] | None = None,
        state_dir: Path | str = "state",
        ready_s: float = READY_S,
    ) -> None:
        """`files` (such as hook modules) are written beside the config."""
        self.folder = Path(tempfile.mkdtemp(prefix="edged-"))
        self.folder.chmod(0o755)
        self.config = self.folder / "edged.toml"
        self.addresses = list(addresses) or [free_address()]
        self.address = self.addresses[0]
        self.workers_wanted = workers
        self.run_dir = self.folder / "run"
        self.socket_path = self.run_dir / "edged.sock"
        self.access_log_path = self.run_dir / "access.log"
        self.log_path = self.folder / "stderr.log"
        self._body, self._server, self._state_dir = body, server, state_dir
        self._environ = {**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_before = 0
        self._ready_s = ready_s
        self.command = [sys.executable, "-m", "control.serve", "--config", str(self.config)]
        for name, text in (files or {}).items():
            self.write_file(name, text)
        self.write()

    def __enter__(self) -> Self:
        return self if self.is_running else self.start()

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self.stop()
        finally:
            if kind is not None:
                sys.stdout.write(f"--- edged's log ({self.folder})\n{self.log}\n")
            self.remove()

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<Edged {state} {self.address} {self.folder}>"

    # The config

    def write(
        self, body: str | None = None, *, server: str | None = None, workers: int | None = None
    ) -> None:
        """Write the config anew; what is not given stays as it was. `reload` makes it hold."""
        self._body = self._body if body is None else body
        self._server = self._server if server is None else server
        self.workers_wanted = workers or self.workers_wanted
        text = (
            f"[server]\nhttp = {json.dumps(self.addresses)}\nworkers = {self.workers_wanted}\n"
            f'state_dir = "{self._state_dir}"\nrun_dir = "run"\n{self._server}\n\n{self._body}\n'
        )
        self.write_file(self.config.name, text)

    def write_file(self, name: str, text: str) -> Path:
        """A file beside the config, replaced in one step."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(text)
        fresh.chmod(0o644)
        fresh.rename(path)
        return path

    # Life

    def start(self, *, wait: bool = True, command: Iterable[str] = ()) -> Self:
        """Start it, and wait until every worker serves."""
        self._ready_before = self.log.count(" ready: slot ")
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                list(command) or self.command,
                cwd=ROOT,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if self not in Edged.running:
            Edged.running.append(self)
        if wait:
            try:
                eventually(self.is_ready, self._ready_s)
            except AssertionError as error:
                log_text = self.log
                self.stop()
                self.remove()
                raise AssertionError(f"{error}\n--- edged's log\n{log_text}") from None
        return self

    def is_ready(self) -> bool:
        """Whether control answers, all workers are there and each address gives an answer."""
        process = self._process
        assert process is not None
        if process.poll() is not None:
            raise RuntimeError(f"edged exited with {process.returncode}:\n{self.log}")
        if len(self.workers()) < self.workers_wanted or not _answers(f"unix:{self.socket_path}"):
            return False
        if self.log.count(" ready: slot ") - self._ready_before < self.workers_wanted:
            return False
        return all(_answers(address) for address in self.addresses)

    def run_again(self, within_s: float = 20.0) -> Outcome:
        """Run the same command once more, to its end: one that must not start."""
        done = subprocess.run(
            self.command, cwd=ROOT, env=self._environ, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=within_s, check=False, text=True,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr)

    def stop(self, *, expect: int | None = None) -> int:
        """SIGTERM and wait; SIGKILL for the whole session when that does not end it.

        With `expect`, any other exit code is an error, and so is having to kill it.
        """
        process = self._process
        if process is None:
            return 0
        session = process.pid
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        self._process = None
        if self in Edged.running:
            Edged.running.remove(self)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(session, signal.SIGKILL)
        code = process.returncode
        if expect is not None and code != expect:
            raise AssertionError(f"edged exited with {code}, not {expect}:\n{self.log}")
        return code

    def wait(self, within_s: float = STOP_S) -> int:
        """Wait for an end that something else asked for."""
        assert self._process is not None
        return self._process.wait(within_s)

    def kill(self, pid: int) -> None:
        """SIGKILL for one of its processes."""
        assert pid in self.processes()
        os.kill(pid, signal.SIGKILL)

    def end(self, pid: int) -> None:
        """SIGKILL for one of its processes, and wait until it accepts nothing any more."""
        self.kill(pid)
        eventually(lambda: pid not in self.processes())

    def signal(self, number: int) -> None:
        """Send a signal to the master."""
        os.kill(self.master_pid, number)

    def give_away(self, name: str, uid: int) -> None:
        """Make a user the owner of a folder beside the config, and of what is in it."""
        folder = self.folder / name
        for path in (folder, *folder.rglob("*")):
            os.chown(path, uid, uid)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # What it is made of

    @property
    def is_running(self) -> bool:
        """Whether the master lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def state_path(self) -> Path:
        """Its state_dir."""
        return self.folder / self._state_dir

    @property
    def master_pid(self) -> int:
        """Constant over reloads and upgrades."""
        assert self._process is not None
        return self._process.pid

    def workers(self) -> list[int]:
        """The pids of all worker processes, draining ones too, in the order of their slots."""
        titled = [(title, pid) for pid, title in self._titles() if title.startswith("worker")]
        return [pid for _, pid in sorted(titled)]

    def control_pid(self) -> int:
        """The control process's pid, or 0."""
        return next((pid for pid, title in self._titles() if title.startswith("control")), 0)

    def uid_of(self, pid: int) -> int:
        """The effective user id of a process."""
        text = Path(f"/proc/{pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("Uid:")).split()[2])

    def title_of(self, pid: int) -> str:
        """The title of a process."""
        return title_of(pid)

    def processes(self) -> list[int]:
        """The master and all its descendants."""
        found = [self.master_pid]
        for pid in found:
            found.extend(children_of(pid))
        return found

    # Steering

    def ctl(self, *arguments: str, timeout_s: float = 60.0, feed: str = "") -> Outcome:
        """Run edgectl against it; `feed` is on its standard input."""
        return self._finish(self._begin(arguments, bool(feed)), timeout_s, feed)

    def python(self, text: str) -> Outcome:
        """Run a program beside it, with the code of this edged."""
        return self._finish(self._run([sys.executable, "-c", text]), 60.0)

    def begin_ctl(self, *arguments: str) -> subprocess.Popen[str]:
        """Start edgectl against it; the caller's to wait for."""
        return self._begin(arguments)

    def ctl_many(self, arguments: Iterable[str], count: int) -> list[Outcome]:
        """The same command several times at once."""
        begun = [self._begin(tuple(arguments)) for _ in range(count)]
        return [self._finish(process, 60.0) for process in begun]

    def ctl_json(self, *arguments: str) -> Any:
        """Run edgectl with --json; it must succeed."""
        outcome = self.ctl("--json", *arguments)
        assert outcome, f"edgectl {arguments}: {outcome}"
        return outcome.json

    def reload(self) -> Outcome:
        """`edgectl reload`; it must succeed."""
        outcome = self.ctl("reload")
        assert outcome, f"edgectl reload: {outcome}\n{self.log}"
        return outcome

    # What it says

    @property
    def log(self) -> str:
        """Stderr (and stdout) of the whole tree so far."""
        with contextlib.suppress(FileNotFoundError):
            return self.log_path.read_text(errors="replace")
        return ""

    def access_log(self) -> list[dict[str, Any]]:
        """The lines of the access log so far. A line that is no JSON is an error."""
        try:
            text = self.access_log_path.read_text()
        except FileNotFoundError:
            return []
        whole, _, _ = text.rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def logged(self, **wanted: object) -> dict[str, Any]:
        """Wait for a line of the access log with these values."""

        def find() -> dict[str, Any] | None:
            for line in reversed(self.access_log()):
                if all(line.get(key) == value for key, value in wanted.items()):
                    return line
            return None

        found = eventually(find, message=f"no access log line with {wanted}")
        assert found is not None
        return found

    # Private

    def _begin(self, arguments: tuple[str, ...], feeds: bool = False) -> subprocess.Popen[str]:
        code = "import sys; from control.cli.main import main; sys.exit(main())"
        ctl = [sys.executable, "-c", code, "--socket", str(self.socket_path)]
        return self._run([*ctl, *arguments], feeds)

    def _run(self, command: list[str], feeds: bool = False) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self._environ, "COLUMNS": "200"},
            stdin=subprocess.PIPE if feeds else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _finish(self, process: subprocess.Popen[str], timeout_s: float, feed: str = "") -> Outcome:
        try:
            out, err = process.communicate(feed or None, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return Outcome(process.returncode, out, err)

    def _titles(self) -> list[tuple[int, str]]:
        if not self.is_running:
            return []
        titles = [(pid, title_of(pid)) for pid in children_of(self.master_pid)]
        prefix = "edged: "
        return [(pid, t.removeprefix(prefix)) for pid, t in titles if t.startswith(prefix)]


def children_of(pid: int) -> list[int]:
    """The live children of a process (of its only thread)."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def title_of(pid: int) -> str:
    """The title of a process; "" when it is gone or a zombie."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def memory_of(pid: int, field: str = "Pss") -> int:
    """Bytes of memory of a process: "Pss", "Rss", "Private_Dirty" …"""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(
        int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(f"{field}:")
    )


# Private


def _answers(address: str) -> bool:
    """Whether something on that address speaks HTTP."""
    if address.startswith("unix:"):
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        target: Any = address.removeprefix("unix:")
    else:
        family = socket.AF_INET6 if address.startswith("[") else socket.AF_INET
        link = socket.socket(family, socket.SOCK_STREAM)
        target = split_address(address)
    with link:
        link.settimeout(2.0)
        try:
            link.connect(target)
            link.sendall(
                b"GET /are-you-there HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            return link.recv(9).startswith(b"HTTP/1.1 ")
        except OSError:
            return False
