"""The commands that the pages name: which are tried, and how."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.docs.pages import ROOT, blocks
from tests.support.edged import Outcome

STARTS: Final = {"edged --config edged.toml"}
"""What starts an edged: each test against a real one does."""

UNTRIED: Final = {
    "curl http://127.0.0.1:8080/": "it needs a fixed port; test_demo.py asks the same of another",
}
"""What no test runs, and why."""

WITHIN_S: Final = 60.0


def commands() -> list[str]:
    """Every command of every page, without prompts and comments."""
    lines = [line for block in blocks("sh", "console", "bash") for line in _lines(block.text)]
    return sorted(set(lines))


def first_deploy() -> list[str]:
    """Those of the README's first deploy, in their order."""
    pieces = blocks("sh", page=ROOT / "README.md", below="Apps")
    return [line for block in pieces for line in _lines(block.text)]


def installation() -> list[str]:
    """Those of the README that install it."""
    first, *_ = blocks("sh", page=ROOT / "README.md", below="In front of your own server")
    return _lines(first.text)


def is_served(command: str) -> bool:
    """Whether it asks or steers an edged: it is run in the folder of one that serves."""
    asks = command.startswith(("edgectl ", "edged --check", "curl --unix-socket"))
    return asks and command not in first_deploy()


def is_target(command: str) -> bool:
    """Whether it is a target of the Makefile."""
    return command.startswith("make ")


def run(command: str, folder: Path) -> Outcome:
    """Run it as a shell would, with the checkout's own `edged` and `edgectl`."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name, module in (("edged", "control.serve"), ("edgectl", "control.cli.main")):
        program = programs / name
        call = f"import sys; from {module} import main; sys.exit(main())"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -c {shlex.quote(call)} "$@"\n')
        program.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "200",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


# Private


def _lines(text: str) -> list[str]:
    joined = text.replace("\\\n", " ")
    lines = [line.removeprefix("$ ").split("  #")[0].strip() for line in joined.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]
