"""Bad apps: each is refused for a reason that is told, leaves nothing, and harms no other app."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.app_trouble import QUICK, SERVE, Platform, Shop
from tests.support.edged import Outcome
from tests.support.programs import PYTHON

SHORT = QUICK.replace('start = "10s"', 'start = "1500ms"')

FORKING = (
    SERVE
    + """
if os.fork():
    print("I go to the background", flush=True)
    os._exit(0)
os.setsid()
listen()
"""
)

DYING = (
    SERVE
    + """
def die():
    time.sleep(0.5)
    print("the queue is gone", flush=True)
    os._exit(7)
threading.Thread(target=die).start()
listen()
"""
)

UNWELL = (
    SERVE
    + """
print("no database", flush=True)
def answer(path):
    return 500, "sorry"
listen()
"""
)

LEAKING = """
print("I take it all", flush=True)
taken = []
while True:
    taken.append(b"x" * (1 << 20))
"""


@dataclass
class Bad:
    """An app, and what must be told of it."""

    program: str = SERVE + "listen()\n"
    says: tuple[str, ...] = ()  # in this order
    limits: str = SHORT
    head: str = ""
    build: str = "commands = []"
    files: dict[str, str] = field(default_factory=dict)

    def write(self, shop: Shop) -> Shop:
        return shop.write(
            "bad",
            self.program,
            limits=self.limits,
            head=self.head,
            build=self.build,
            files=self.files,
        )


def command(text: str) -> list[str]:
    return [PYTHON, "-I", "-S", "-c", text]


FAILING = command("import sys; print('no table orders'); sys.exit(3)")
HANGING = command("import time; print('waiting for a lock', flush=True); time.sleep(600)")

CASES = {
    "never listens": Bad(
        "import time; print('I only compute', flush=True); time.sleep(600)",
        ("does not start", "within 1.5 s", "listens on no port", "PORT=", "| I only compute"),
    ),
    "wrong port": Bad(
        SERVE + "print('here I am', flush=True)\nlisten(0)\n",
        ("does not start", "it listens on ", "not on PORT=2", "| here I am"),
    ),
    "exits at once": Bad(
        "import sys; sys.exit('SECRET_KEY is not set')",
        ("does not start", "exited with code 1", "| SECRET_KEY is not set"),
        limits=QUICK,
    ),
    "forks away": Bad(
        FORKING,
        # Its child may listen a moment before it goes, and then it was ready for that moment.
        ("exited with code 0", "foreground", "| I go to the background"),
    ),
    "is unwell": Bad(UNWELL, ("its health path / gives status 500", "| no database")),
    "dies in the stability window": Bad(
        DYING,
        ("does not stay well", "exited with code 7", "| the queue is gone"),
        limits='start = "10s"\nstability = "5s"\n',
    ),
    "leaks": Bad(
        LEAKING,
        ("does not start", "| I take it all"),
        limits='start = "20s"\nmemory = "32MiB"\n',
    ),
    "release command fails": Bad(
        head=f"release = {FAILING}",
        says=("has failed: it exited with code 3", "| no table orders"),
    ),
    "release command hangs": Bad(
        head=f"release = {HANGING}",
        says=("takes longer than 0.5 s", "was ended", "waiting for a lock"),
        limits=SHORT + 'release = "500ms"\n',
    ),
    "build fails": Bad(
        build=f"commands = [{FAILING}]",
        says=("has failed: it exited with code 3", "| no table orders"),
    ),
    "build hangs": Bad(
        build=f'commands = [{HANGING}]\ntimeout = "1s"',
        says=("takes longer than 1 s", "was ended", "waiting for a lock"),
    ),
    "program is not there": Bad(
        build=f"commands = [{['no-such-tool', 'install']}]",
        says=("no-such-tool", "there is no such program in PATH"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_app_is_refused_with_a_reason_and_leaves_nothing(
    platform: Platform, tmp_path: Path, case: str
) -> None:
    shop, bad = Shop(tmp_path / f"bad-{[*CASES].index(case)}"), CASES[case]
    assert_told(platform.edged.ctl("deploy", str(bad.write(shop).folder)), bad.says)
    assert not platform.app(shop)
    assert not platform.home(shop).exists()
    assert_nothing_runs(platform, shop)
    platform.deploy(shop.write("good"))
    pids = platform.pids(shop)
    assert_told(platform.edged.ctl("deploy", str(bad.write(shop).folder)), bad.says)
    assert platform.release_of(shop) == "good"
    assert platform.pids(shop) == pids == platform.processes(shop)
    assert platform.releases(shop) == ["1"]
    assert platform.edged.ctl("delete", shop.id, "--yes")
    assert_nothing_runs(platform, shop)


def test_what_is_wrong_in_edge_toml_is_told_with_its_line_and_no_folder_of_edgeds(
    platform: Platform, tmp_path: Path
) -> None:
    shop = Shop(tmp_path / "misspelt").write(head='colour = "red"')
    outcome = platform.edged.ctl("deploy", str(shop.folder))
    assert_told(outcome, ("edge.toml:4: ", "colour"))
    assert str(platform.edged.state_path) not in outcome.err
    assert not platform.home(shop).exists()


def assert_told(outcome: Outcome, says: tuple[str, ...]) -> None:
    assert outcome.code == 1, outcome
    rest = outcome.err
    for text in says:
        _, mark, rest = rest.partition(text)
        assert mark, f"{text!r} is not in {outcome.err}"


def assert_nothing_runs(platform: Platform, shop: Shop) -> None:
    assert platform.processes(shop) == []
    assert not [name for name in platform.pipes() if name.startswith(f"{shop.name}.")]
