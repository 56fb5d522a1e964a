"""`edgectl dev`: an app in its own folder, with an edged of its own.

What is other than on a server: one instance that does not sleep, no stability window,
NAME.localhost for the routes, the PATH of who started it. While a new one does not start, the old
one serves. A file that the app itself writes belongs into DATA_DIR or into .edgeignore: it would
be a change.
"""

import os
import signal
from collections.abc import Iterator
from typing import Final

import click

from control.cli.client import EXIT_REFUSED, Failure
from control.cli.dev_changes import changes
from control.cli.dev_keys import each_key, pressed
from control.cli.dev_logs import Logs
from control.cli.dev_place import Place
from control.cli.dev_server import Server
from control.cli.show import printable

LIKED_ENV: Final = "development"
KEYS: Final = "o: open a browser   r: restart   q: quit"
SHOWN: Final = 3


@click.command(short_help="Run the app of a folder on this machine.")
@click.argument("folder", default=".", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--env", default="", metavar="NAME",
    help="Which [envs.NAME]; else development if there is one, or the only one.",
)  # fmt: skip
def dev(folder: str, env: str) -> None:
    """Run the app of a folder where it is, at https://NAME.localhost:PORT, and again after changes.

    It has an edged of its own, as this user, with state in ~/.local/state/edged/dev. Packages are
    fetched when their lists change; other steps of the build run at each change.

    \b
    Example: edgectl dev apps/api
    """
    from control.apps.identity import identity
    from control.refusal import Refused

    folder = os.path.realpath(folder)
    try:
        name, env = identity(folder, env, LIKED_ENV)
    except Refused as refusal:
        raise Failure(refusal.code, refusal.message, EXIT_REFUSED) from None
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    for wants_usual in (True, False):
        if _run(folder, name, env, wants_usual=wants_usual):
            return


# Private


def _run(folder: str, name: str, env: str, *, wants_usual: bool) -> bool:
    """Serve until the end; False when somebody else has just taken a port. Raises `Failure`."""
    try:
        place = Place.make(folder, name, env, wants_usual=wants_usual)
    except OSError as error:
        text = f"{error.filename or folder}: {error.strerror or error}."
        raise Failure("no-place", text, EXIT_REFUSED) from None
    try:
        _serve(place)
    except KeyboardInterrupt:
        _note("ended")
    except Failure as failure:
        if wants_usual and "cannot listen" in str(failure):
            return False
        raise
    finally:
        place.leave()
    return True


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _serve(place: Place) -> None:
    server, logs = Server(place), Logs(place)
    try:
        server.wait()
        apps = server.client.get("/v1/apps")["apps"]
        if any(each["app"] == place.app for each in apps):
            logs.follow(from_start=False)
        with each_key():
            changed = changes(place.folder)
            next(changed)  # it watches from here on, and tells later
            _bring_up(place, server, logs)
            _note(f"{place.url}   {place.plain_url}")
            _note(KEYS)
            _go_on(place, server, logs, changed)
    finally:
        # A second Ctrl-C must not leave half of it running.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        logs.end()
        server.end()
        signal.signal(signal.SIGINT, before)


def _go_on(place: Place, server: Server, logs: Logs, changed: Iterator[list[str]]) -> None:
    for names in changed:
        key = pressed()
        if key == "q":
            _note("ended")
            return
        if key == "o":
            click.launch(place.url)
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            _note(f"changed: {', '.join(names[:SHOWN])}{more}")
        if (names or key == "r") and _bring_up(place, server, logs):
            next(changed)  # what the build has made is no change


def _bring_up(place: Place, server: Server, logs: Logs) -> bool:
    """Have the app run as it is written now; what ran before goes on if it cannot. Whether
    something was built."""
    has_built = False
    query = [("name", place.name), ("env", place.env), ("folder", place.folder)]
    for document in server.client.upload("/v1/deploy/in-place", query, iter(()), 0):
        if "line" in document:
            is_command = document["line"].startswith("$ ")
            has_built = has_built or is_command
            if is_command or not logs.is_followed:
                _note(document["line"])
        elif "error" in document:
            output = [f"  | {line}" for line in document.get("output", ())]
            _note("\n".join([document["message"], *output]), "red")
        elif "release" in document:
            _note("serves", "green")
            logs.follow(from_start=True)
    return has_built


def _note(text: str, colour: str = "cyan") -> None:
    for line in text.splitlines():
        click.echo(f"{click.style('edged', fg=colour, bold=True)} {printable(line)}", err=True)
