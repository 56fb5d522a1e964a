"""What a launched process has, and that it has nothing else."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from control.instances.cgroup import Limits
from control.instances.launch import listening_socket
from control.instances.spawn import SpawnFailed
from tests.support.programs import APP_USER, PATH, Bench

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root has other users")

TELL = """
import json, os, resource
fds = {}
for fd in sorted(map(int, os.listdir("/proc/self/fd"))):
    try:
        fds[fd] = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        pass
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
mask = os.umask(0)
print(json.dumps({
    "pid": os.getpid(), "env": dict(os.environ), "fds": fds, "mask": mask, "cwd": os.getcwd(),
    "session": os.getsid(0), "ids": [*os.getresuid(), *os.getresgid()], "groups": os.getgroups(),
    "oom": int(open("/proc/self/oom_score_adj").read()),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "data": resource.getrlimit(resource.RLIMIT_DATA),
    "no_new_privs": int(status["NoNewPrivs"]), "cgroup": open("/proc/self/cgroup").read(),
    "parent": os.getppid(),
}))
"""


def told(bench: Bench, **more) -> dict:
    process = bench.run(TELL, **more)
    assert process.ended.wait(10)
    assert process.exit.text == "exited with code 0", bench.lines
    return json.loads(bench.out()[-1])


def test_nothing_of_ours_reaches_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "secret")
    listening = [socket.socket() for _ in range(30)]
    with open("/dev/null") as kept:
        os.set_inheritable(kept.fileno(), True)
        found = told(bench, env={"A": "ä=1"}, port=4711)
    assert found["env"].pop("LC_CTYPE", "") in ("", "C.UTF-8")  # Python sets it for itself
    assert found["env"] == {
        "A": "ä=1", "PATH": PATH, "HOST": "127.0.0.1", "PORT": "4711",
        "EDGED_INSTANCE": f"{bench.folder}/pipes/blog.1",
    }  # fmt: skip
    fds = {int(fd): target for fd, target in found["fds"].items()}
    assert fds.pop(0) == "/dev/null"
    pipes = str(bench.folder / "pipes" / "blog.1")
    assert fds == {1: f"{pipes}.out", 2: f"{pipes}.err", 4: f"{pipes}.ready"}
    for each in listening:
        each.close()


def test_it_leads_a_session_and_is_our_child(bench: Bench) -> None:
    found = told(bench)
    assert found["session"] == found["pid"]
    assert found["parent"] == os.getpid()
    assert found["cwd"] == str(bench.folder)


def test_it_has_no_new_rights_a_narrow_mask_and_goes_before_edged(bench: Bench) -> None:
    found = told(bench)
    assert found["no_new_privs"] == 1
    assert found["mask"] == 0o027
    assert found["oom"] > int(Path("/proc/self/oom_score_adj").read_text())
    assert found["core"] == [0, 0]


def test_no_signal_is_blocked_and_none_ignored(bench: Bench) -> None:
    process = bench.launch("/bin/sh", "-c", "grep -E 'SigBlk|SigIgn' /proc/self/status")
    process.ended.wait(10)
    blocked, ignored = (int(line.split()[1], 16) for line in bench.out())
    # Signals 32 and 33 are the C library's own: who was started by posix_spawn, as `make` does it,
    # ignores them, and so does all that it starts.
    assert (blocked, ignored & ~(0b11 << 31)) == (0, 0)


def test_a_listening_socket_is_descriptor_3(bench: Bench) -> None:
    with listening_socket("127.0.0.1") as listening:
        found = told(bench, socket_fd=listening.fileno())
    assert found["env"]["LISTEN_FDS"] == "1"
    assert found["env"]["LISTEN_PID"] == str(found["pid"])
    assert found["fds"]["3"].startswith("socket:")


def test_secrets_are_read_from_descriptor_5(bench: Bench) -> None:
    out, into = os.pipe()
    os.write(into, b"hush\n")
    os.close(into)
    process = bench.launch("/bin/sh", "-c", "cat <&5", secrets_fd=out)
    os.close(out)
    process.ended.wait(10)
    assert bench.out() == [b"hush"]


def test_descriptors_in_each_others_places_are_not_mixed_up(bench: Bench) -> None:
    ours = [os.open("/dev/zero", os.O_RDONLY) for _ in range(12)]
    with listening_socket("127.0.0.1") as listening:
        low = [os.dup(listening.fileno()) for _ in range(3)]
        found = told(bench, socket_fd=low[-1], secrets_fd=ours[0])
    assert found["fds"]["5"] == "/dev/zero"
    assert found["fds"]["3"].startswith("socket:")
    assert "6" not in found["fds"]
    for fd in (*ours, *low):
        os.close(fd)


def test_it_can_open_its_stdout_by_name(bench: Bench) -> None:
    owner = APP_USER if os.geteuid() == 0 else None
    process = bench.launch("/bin/sh", "-c", "echo hello > /dev/stdout", owner=owner)
    process.ended.wait(10)
    assert (bench.out(), process.exit.status) == ([b"hello"], 0)


@ROOT_ONLY
def test_it_has_a_user_of_its_own_and_no_groups(bench: Bench) -> None:
    found = told(bench, owner=APP_USER)
    assert found["ids"] == [APP_USER.uid] * 3 + [APP_USER.gid] * 3
    assert found["groups"] == []
    mode = stat.S_IMODE(os.stat(bench.folder / "pipes").st_mode)
    assert mode & 0o077 == 0o011, "others pass, and list nothing"


@ROOT_ONLY
def test_it_is_born_into_its_cgroup(bench: Bench) -> None:
    if not bench.cgroups.root:
        pytest.skip("no cgroup (v2) that may be written to")
    found = told(bench)
    assert found["cgroup"].rstrip().endswith("/blog.1")
    assert not os.path.exists(os.path.join(bench.cgroups.root, "blog.1")), "removed at its end"


def test_what_no_cgroup_limits_is_limited_per_process(bench: Bench) -> None:
    found = told(bench, limits=Limits(memory_bytes=64 << 20))
    if "memory" in bench.cgroups.controllers:
        assert found["data"] == [-1, -1]
    else:
        assert found["data"] == [320 << 20] * 2
        limits = Limits(memory_bytes=64 << 20, reserved_bytes=512 << 20)
        assert told(bench, limits=limits)["data"] == [832 << 20] * 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs apps as others")
def test_a_program_in_a_home_that_is_closed_to_the_app_is_told_with_the_way_to_it(
    bench: Bench,
) -> None:
    home = bench.folder / "home"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "bun").write_text("#!/bin/sh\n")
    (home / "bin" / "bun").chmod(0o755)
    home.chmod(0o700)
    (bench.folder / "bin").mkdir()
    (bench.folder / "bin" / "bun").symlink_to(home / "bin" / "bun")
    with pytest.raises(SpawnFailed) as raised:
        bench.launch("bun", owner=APP_USER, env={"PATH": str(bench.folder / "bin")})
    assert str(raised.value) == (
        f"cannot start bun: {bench.folder}/bin/bun, which is {home}/bin/bun, is in {home}, which"
        " the app's user may not enter: install it where all users may, such as /usr/local"
    )


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (("/nowhere/server",), "cannot start /nowhere/server: no such file or directory"),
        (("./server",), "cannot start {folder}/./server: no such file or directory"),
        (("no-such-program",), "cannot start no-such-program: there is no such program in PATH="),
        (("./data",), "cannot start {folder}/./data: permission denied"),
        (("./noline",), "cannot start {folder}/./noline: it is no program for this machine"),
        (("./lost",), "cannot start {folder}/./lost: /nowhere/sh, which its first line names,"),
    ],
)
def test_a_program_that_cannot_be_executed_is_named_with_the_reason(
    bench: Bench, argv: tuple[str, ...], text: str
) -> None:
    (bench.folder / "data").write_text("x")
    for name, content in (("noline", "echo x\n"), ("lost", "#!/nowhere/sh\n")):
        (bench.folder / name).write_text(content)
        (bench.folder / name).chmod(0o755)
    with pytest.raises(SpawnFailed) as raised:
        bench.launch(*argv, owner=APP_USER if os.geteuid() == 0 else None)
    assert str(raised.value).startswith(text.format(folder=bench.folder))
    assert list((bench.folder / "pipes").iterdir()) == [], "no trace is left"


def test_a_folder_that_is_not_there_is_named(bench: Bench) -> None:
    with pytest.raises(SpawnFailed, match="cannot enter its folder /nowhere: no such file"):
        bench.launch("true", cwd="/nowhere")
