"""Commands that run to their end: builds, releases, crons, and what an operator runs."""

from collections.abc import Callable
from typing import Final

from control.instances.launch import Launch, Launcher
from control.instances.process import Exit, Process
from control.instances.spawn import SpawnFailed
from control.refusal import Refused

Say = Callable[[str], None]
"""Hears each line of a command's output."""

LINES: Final = 20
"""So many of a command's last lines say why it failed."""


def run(launcher: Launcher, launch: Launch, timeout_s: float, say: Say) -> Exit:
    """Run a command; how it ended. Raises `Refused` if it cannot run, or takes longer."""
    shown = " ".join(launch.argv)

    def take(stream: str, line: bytes) -> None:
        say(line.decode(errors="replace"))

    try:
        process = launcher.launch(launch, take)
    except SpawnFailed as failure:
        raise Refused("command-failed", f"{shown!r} does not run: {failure}.") from None
    try:
        if not process.ended.wait(timeout_s):
            text = f"{shown!r} takes longer than {timeout_s:g} s. It was ended. {_last(process)}"
            raise Refused("command-failed", text)
    finally:
        if process.exit is None:
            process.kill()
            process.ended.wait()
    assert process.exit is not None
    return process.exit


def run_well(launcher: Launcher, launch: Launch, timeout_s: float, say: Say) -> None:
    """Run a command that must succeed. Raises `Refused`, with its last lines."""
    kept: list[str] = []

    def keep(line: str) -> None:
        kept.append(line)
        del kept[:-LINES]
        say(line)

    ended = run(launcher, launch, timeout_s, keep)
    if ended.status:
        shown = " ".join(launch.argv)
        text = f"{shown!r} has failed: it {ended.text}."
        raise Refused("command-failed", text, {"output": kept})


# Private


def _last(process: Process) -> str:
    lines = [line.decode(errors="replace") for line in process.last_lines]
    return "Its last line: " + lines[-1] if lines else "It printed nothing."
