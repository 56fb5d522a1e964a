"""The command `edgectl`: asks and steers a running edged over its admin socket."""

import importlib.metadata
import json
import os
import select
import sys
from typing import Any, Final

import click
from click.shell_completion import get_completion_class

from control.cli import show
from control.cli.apps import VERBS as APP_VERBS
from control.cli.client import Failure
from control.cli.context import Context
from control.cli.dev import dev
from control.cli.traffic import VERBS
from control.cli.trust import trust, untrust

EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
GONE_S: Final = 10.0

COMMAND: Final = "edgectl"
SHELLS: Final = ("bash", "zsh", "fish")

EPILOG: Final = """\b
Examples:
  edgectl status                            what runs, and what is wrong
  edgectl explain GET http://example.com/   which route, hooks and peers it takes
  edgectl check && edgectl reload           apply the edited file, drop nothing
  edgectl events -f                         what happens, as it happens

\b
Exit codes:
  0 done   1 refused   2 usage   3 edged is not running   4 no permission
"""


def main() -> int:
    """Run edgectl; the exit code."""
    arguments = sys.argv[1:]
    as_json = "--json" in arguments
    if as_json:  # before the verb or behind it
        arguments = ["--json", *(each for each in arguments if each != "--json")]
    try:
        code = edgectl.main(arguments, prog_name=COMMAND, standalone_mode=False)
    except Failure as failure:
        if as_json:
            click.echo(json.dumps(failure.document))
        click.echo(f"{COMMAND}: {show.refusal(failure.document)}", err=True)
        return failure.exit_code
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


def _version() -> str:
    try:
        return importlib.metadata.version("edged")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--socket",
    "path",
    default="",
    envvar="EDGED_SOCKET",
    metavar="PATH",
    help="The admin socket; else EDGED_SOCKET, run/edged.sock, /run/edged/edged.sock.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
@click.option("--no-color", is_flag=True, help="No colours, as with NO_COLOR.")
@click.version_option(_version(), prog_name="edged")
@click.pass_context
def edgectl(context: click.Context, path: str, *, as_json: bool, no_color: bool) -> None:
    """Ask and steer a running edged.

    It listens on a unix socket only, for root, its own user and the members of its group.
    """  # fmt: skip
    if no_color or os.environ.get("NO_COLOR"):
        context.color = False
    context.obj = Context(path, as_json=as_json)


# Questions


@edgectl.command(short_help="What runs, and what is wrong.")
@click.pass_obj
def status(context: Context) -> None:
    """What runs, since when, and what is wrong.

    \b
    Example: edgectl --json status | jq .problems
    """
    context.say(context.client.get("/v1/status"), show.status)


@edgectl.command(short_help="The worker processes.")
@click.pass_obj
def workers(context: Context) -> None:
    """The worker processes, and what each has to do.

    \b
    Example: edgectl workers
    """
    context.say(
        context.client.get("/v1/workers"), lambda document: show.workers(document["workers"])
    )


@edgectl.command(short_help="The routes that are published.")
@click.argument("contains", default="")
@click.option("--limit", default=100, help="At most so many.", show_default=True)
@click.option("--offset", default=0, help="Leave out so many first.", show_default=True)
@click.pass_obj
def routes(context: Context, contains: str, limit: int, offset: int) -> None:
    """The routes that are published; CONTAINS finds some by pattern, peer or file.

    \b
    Examples: edgectl routes
              edgectl routes example.com
    """
    query = [("contains", contains), ("limit", str(limit)), ("offset", str(offset))]
    context.say(context.client.get("/v1/routes", query), show.routes)


@edgectl.command(short_help="Which route, hooks and peers a request would take.")
@click.argument("method")
@click.argument("url")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A field.")
@click.option("--client", default="", metavar="ADDRESS", help="Where the request comes from.")
@click.pass_obj
def explain(context: Context, method: str, url: str, headers: tuple[str, ...], client: str) -> None:
    """Which route, hooks and peers a request would take, and why others lost; nothing is sent.

    \b
    Examples: edgectl explain GET http://example.com/api/users
              edgectl explain POST http://example.com/ -H 'Content-Length: 5'
    """
    query = [("method", method), ("url", url), *(("header", each) for each in headers)]
    if client:
        query.append(("client", client))
    context.say(context.client.get("/v1/explain", query), show.explain)


@edgectl.command(short_help="The hooks, how often they ran, and how long.")
@click.pass_obj
def hooks(context: Context) -> None:
    """The hooks in their order, how often they ran, failed, and how long they took.

    \b
    Example: edgectl hooks
    """
    context.say(context.client.get("/v1/hooks"), show.hooks)


@edgectl.command(short_help="What happened, and with -f what happens.")
@click.option("-f", "--follow", is_flag=True, help="Go on with each as it happens.")
@click.option("--limit", default=100, help="At most so many old ones.", show_default=True)
@click.pass_obj
def events(context: Context, limit: int, *, follow: bool) -> None:
    """What happened: starts, deaths with their stacks, reloads, upgrades.

    \b
    Examples: edgectl events
              edgectl --json events -f     (a document per line)
    """
    query = [("limit", str(limit))]
    if follow:
        for entry in context.client.lines("/v1/events", [*query, ("follow", "1")]):
            context.say(entry, show.event)
        return
    for entry in context.client.get("/v1/events", query).get("events", ()):
        context.say(entry, show.event)


# Orders


@edgectl.command(short_help="Apply the file on disk; drops no request.")
@click.option("--roll", is_flag=True, help="Replace every worker, even if nothing asks for it.")
@click.pass_obj
def reload(context: Context, *, roll: bool) -> None:
    """Apply the file on disk. Drops no request; refused as a whole if anything is wrong.

    Routes, limits and timeouts reach running workers. New code of hooks, another address or
    number of workers replaces the workers one by one.

    \b
    Example: edgectl reload
    """
    context.say(context.client.post("/v1/reload", roll=roll), show.reloaded)


@edgectl.command(short_help="What a reload would do, without doing it.")
@click.pass_obj
def check(context: Context) -> None:
    """What a reload would do, or why it would be refused, without doing it.

    \b
    Example: edgectl check && edgectl reload
    """
    context.say(context.client.post("/v1/check"), show.checked)


@edgectl.command(short_help="End edged, drained or at once; or stop one app.")
@click.argument("app", default="")
@click.option("--now", is_flag=True, help="Cut off what is under way.")
@click.pass_obj
def stop(context: Context, app: str, *, now: bool) -> None:
    """End edged, when what is under way is answered; returns when it is gone.

    With APP, that app alone serves no more until it is started, also over a restart of edged.

    \b
    Examples: edgectl stop
              edgectl stop --now
              edgectl stop blog
    """
    if app:
        document = context.client.post("/v1/apps/stop", timeout_s=None, app=app)
        context.say(document, lambda d: f"{d['app']} is stopped")
        return
    master_pid = int(context.client.get("/v1/status").get("master_pid", 0))
    try:
        master = os.pidfd_open(master_pid)
    except ProcessLookupError:
        master = -1
    try:
        context.client.post("/v1/stop", timeout_s=None, now=now)
    except Failure as failure:
        if failure.document["error"] != "no-answer" or not _is_gone(master):
            raise
    if not _is_gone(master):
        raise Failure("still-there", f"edged (pid {master_pid}) has not ended yet: see its log.", 1)
    context.say({"stopped": True, "master_pid": master_pid}, lambda _: "edged has stopped")


@edgectl.command(short_help="Run the code on disk; drops no request.")
@click.option("--executable", default="", metavar="PATH", help="Another edged than the one it is.")
@click.pass_obj
def upgrade(context: Context, executable: str) -> None:
    """Run the code that is on disk now: same pid, same sockets, no request lost.

    The new code is tried first, and must serve before the old workers go. If it cannot, the old
    goes on and this says why.

    \b
    Examples: pip install --upgrade edged && edgectl upgrade
              edgectl upgrade --executable /opt/edged-2/bin/edged
    """
    path = os.path.abspath(executable) if executable else ""
    context.say(
        context.client.post("/v1/upgrade", executable=path),
        lambda document: show.printable(document["text"]),
    )


@edgectl.command(short_help="Lines that make a shell complete edgectl.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """The lines that make a shell complete edgectl's verbs and options.

    \b
    Example: edgectl completion bash > /etc/bash_completion.d/edgectl
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(edgectl, {}, COMMAND, "_EDGECTL_COMPLETE").source())


for _verb in (*VERBS, *APP_VERBS, dev, trust, untrust):
    edgectl.add_command(_verb)


# Private


def _is_gone(pidfd: int) -> bool:
    """Whether that process ends within its time."""
    if pidfd < 0:
        return True
    poll: Any = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(GONE_S * 1000))


if __name__ == "__main__":
    sys.exit(main())
