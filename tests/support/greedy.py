"""An app that takes more than it may: memory, processes, cores, and what it forks away.

shop = greedy(tmp_path / "leaking", MEMORY)
platform.deploy(shop)
platform.ask(shop, "/leak")
"""

from pathlib import Path
from typing import Any, Final

from tests.support.app_stories import asked
from tests.support.app_trouble import QUICK, SERVE, Shop
from tests.support.edged import Edged

GREEDY: Final = (
    SERVE
    + """
data = os.environ["DATA_DIR"]
taken = []
def leak():
    try:
        while True:
            taken.append(b"x" * (4 << 20))
            time.sleep(0.001)
    except MemoryError:
        os._exit(1)
def spin():
    while True:
        pass
def bomb():
    while True:
        try:
            if os.fork() == 0:
                os.setsid()
                time.sleep(600)
        except OSError:
            time.sleep(0.01)
def orphan():
    if os.fork() == 0:
        os.setsid()
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"], {})
        open(data + "/orphan", "w").write(str(pid))
        os._exit(0)
    os.wait()
def answer(path):
    deed = {"/leak": leak, "/spin": spin, "/bomb": bomb, "/orphan": orphan}.get(path)
    if deed:
        threading.Thread(target=deed, daemon=True).start()
    return 200, f"{release} {os.getpid()}"
if os.path.exists(data + "/leaks"):
    leak()
listen()
"""
)
"""Answers, and does in the background what it is told to."""

MEMORY: Final = QUICK + 'memory = "24MiB"\n'
OUT_OF_MEMORY: Final = "it was killed by SIGKILL since it used more memory than its limit of 24MiB"


def greedy(folder: Path, limits: str, instances: int = 1) -> Shop:
    """Such an app."""
    return Shop(folder).write("one", GREEDY, limits=limits, instances=instances)


def edgeds(edged: Edged) -> list[int]:
    """The processes that edged itself is."""
    return [edged.master_pid, edged.control_pid(), *edged.workers()]


def events(edged: Edged, kind: str) -> list[dict[str, Any]]:
    """What has happened, of one kind."""
    found = asked(edged, "/v1/events")["events"]
    return [each for each in found if each["event"] == kind]
