"""`python -m tests.guest [--seconds N] COMMAND…`: run it as root of another kernel, in this folder.

The kernel is User Mode Linux: an ordinary program, for which this machine needs neither KVM nor
rights. It has this machine's files, which it only reads; what the command writes goes to memory,
where TMPDIR and HOME are. The exit code is the command's; 2, with a line that says why, when there
is no such kernel or the command took too long.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
KERNEL: Final = "linux.uml"
FOLDERS: Final = ("edge", "supervisor", "control", "tests/support", "tests/spec")
MEMORY_MB: Final = 2048
CANNOT: Final = 2


def main() -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="it may take so long")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    kernel = shutil.which(KERNEL)
    if kernel is None:
        return _cannot("try 'apt install --no-install-recommends user-mode-linux'")
    _compile()
    with tempfile.TemporaryDirectory(prefix="guest-") as name:
        folder = Path(name)
        shutil.copy(Path(__file__).parent / "init.sh", folder / "init")
        (folder / "command").write_text(_script(options.command), encoding="utf-8")
        in_time = _boot(kernel, folder, options.seconds)
        code = folder / "code"
        if code.exists():
            return int(code.read_text())
        sys.stderr.write((folder / "kernel.log").read_text(errors="replace"))
    if in_time:
        return _cannot("the kernel ended before the command did")
    return _cannot(f"not done within {options.seconds:g} s")


# Private


def _cannot(why: str) -> int:
    sys.stderr.write(f"guest: {why}\n")
    return CANNOT


def _compile() -> None:
    """The guest writes no file of this machine, and would compile the code for each process."""
    command = [sys.executable, "-m", "compileall", "-q", *FOLDERS]
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)


def _script(command: list[str]) -> str:
    path = shlex.quote(os.environ.get("PATH", os.defpath))
    return (
        f"cd {shlex.quote(str(ROOT))}\n"
        f"export PATH={path} LANG=C.UTF-8 TERM=dumb PYTHONDONTWRITEBYTECODE=1\n"
        f"exec {shlex.join(command)}\n"
    )


def _boot(kernel: str, folder: Path, seconds: float) -> bool:
    """Until it has ended; whether that was in time."""
    words = [
        "rootfstype=hostfs", "rootflags=/", "ro", f"init={folder}/init", f"mem={MEMORY_MB}M",
        f"uml_dir={folder}", "con=null", "con0=null,fd:2", "con1=null,fd:1", "ssl=null", "quiet",
    ]  # fmt: skip
    with (
        (folder / "kernel.log").open("wb") as log,
        subprocess.Popen(
            [kernel, *words],
            env=_place_of_memory(folder),
            stdin=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        ) as guest,
    ):
        try:
            guest.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        finally:
            if guest.poll() is None:
                os.killpg(guest.pid, signal.SIGKILL)
    return True


def _place_of_memory(folder: Path) -> dict[str, str]:
    """It is a file: in memory, unless there is too little room for it, as in many containers."""
    shared = Path("/dev/shm")
    has_room = shared.is_dir() and shutil.disk_usage(shared).free > MEMORY_MB << 20
    return {} if has_room else {"TMPDIR": str(folder)}


if __name__ == "__main__":
    sys.exit(main())
