"""The verbs of `edgectl` about apps: deploy them, look at them, steer them, keep their secrets."""

import os
import sys
from collections.abc import Iterator
from typing import IO, Any, Final

import click

from control.cli import show, show_apps
from control.cli.client import Failure
from control.cli.context import Context
from control.cli.hosts import deploy_to
from control.cli.ssh import remote_of

REOPEN: Final = "reopen"
EXIT_REFUSED: Final = 1


@click.command(short_help="Deploy an app from its folder.")
@click.argument("folder", default=".", type=click.Path(exists=True, file_okay=False))
@click.option("--env", default="", metavar="NAME", help="Which [envs.NAME]; else the only one.")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="ssh://[USER@]HOST[:PORT][/SOCKET]",
    help="Deploy there; several times: all of them switch, or none.",
)
@click.pass_obj
def deploy(context: Context, folder: str, env: str, hosts: tuple[str, ...]) -> None:
    """Deploy the app of a folder with an edge.toml: pack it, build it, prove it, have it serve.

    What served before goes on until the new release is proven; when anything fails it is not
    touched, and the exit code is 1.

    With --host the edged of another machine does it, reached by ssh (EDGED_SSH is another command
    for that); its admin socket is /run/edged/edged.sock, or SOCKET. HOST may be a name of
    ~/.ssh/config. Names in `servers` of an edge.toml are no addresses: --host gives them.

    \b
    Examples: edgectl deploy apps/api --env staging
              edgectl deploy --host ssh://me@one.example.com --host ssh://two
    """
    from control.apps.archive import pack
    from control.apps.identity import identity
    from control.refusal import Refused

    remotes = [remote_of(each) for each in dict.fromkeys(hosts)]
    try:
        name, env = identity(folder, env)
        archive = pack(folder)
    except Refused as refusal:
        raise Failure(refusal.code, refusal.message, EXIT_REFUSED) from None
    with archive:
        size = os.fstat(archive.fileno()).st_size
        if remotes:
            with _bar(size * len(remotes)) as bar:
                done = deploy_to(remotes, archive, name, env, bar.update)
            context.say({"hosts": done}, show_apps.deployed_to)
            return
        lines = context.client.upload(
            "/v1/deploy", [("name", name), ("env", env)], _sent(archive, size), size
        )
        context.say(_told(lines), show_apps.deployed)


@click.command(short_help="The apps: what runs, and where.")
@click.pass_obj
def apps(context: Context) -> None:
    """The apps: how awake each is, its release, its instances, and what is wrong.

    \b
    Example: edgectl apps
    """
    context.say(context.client.get("/v1/apps"), show_apps.apps)


@click.command(short_help="The releases of an app.")
@click.argument("app")
@click.pass_obj
def releases(context: Context, app: str) -> None:
    """The releases of an app that are still there, and which one serves.

    \b
    Example: edgectl releases blog
    """
    context.say(context.client.get("/v1/releases", [("app", app)]), show_apps.releases)


@click.command(short_help="Have an earlier release serve again.")
@click.argument("app")
@click.argument("release", default=0)
@click.pass_obj
def rollback(context: Context, app: str, release: int) -> None:
    """Have an earlier release serve again: RELEASE, or the one before. It is proven first.

    \b
    Example: edgectl rollback blog
    """
    document = context.client.post("/v1/rollback", timeout_s=None, app=app, release=release)
    context.say(document, show_apps.deployed)


@click.command(short_help="Restart an app without a gap.")
@click.argument("app")
@click.pass_obj
def restart(context: Context, app: str) -> None:
    """Start other instances of the same release, and end the old ones when those serve.

    \b
    Example: edgectl restart blog
    """
    document = context.client.post("/v1/apps/restart", timeout_s=None, app=app)
    context.say(document, show_apps.deployed)


@click.command(short_help="How many instances an app has.")
@click.argument("app")
@click.argument("least", type=int)
@click.argument("most", type=int, required=False)
@click.pass_obj
def scale(context: Context, app: str, least: int, most: int | None) -> None:
    """Have LEAST to MOST instances (default: as many as LEAST). With 0 it may sleep.

    \b
    Example: edgectl scale blog 2 4
    """
    most = max(1, least) if most is None else most
    document = context.client.post(
        "/v1/apps/scale", timeout_s=None, app=app, least=least, most=most
    )
    context.say(document, lambda d: f"{d['app']} has {d['least']} to {d['most']} instances")


@click.command(short_help="Start an app that was stopped, or has failed.")
@click.argument("app")
@click.pass_obj
def start(context: Context, app: str) -> None:
    """Start an app that was stopped, or that has failed; returns when it serves.

    \b
    Example: edgectl start blog
    """
    document = context.client.post("/v1/apps/start", timeout_s=None, app=app)
    context.say(document, lambda d: f"{d['app']} serves")


@click.command(short_help="Remove an app.")
@click.argument("app")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(context: Context, app: str, *, yes: bool) -> None:
    """Remove an app with its releases, its data, its secrets and its log.

    \b
    Example: edgectl delete blog --yes
    """
    if not yes:
        click.confirm(f"Remove {app}, with its data and secrets?", abort=True, err=True)
    document = context.client.post("/v1/apps/delete", timeout_s=None, app=app, sure=True)
    context.say(document, lambda d: f"{d['app']} is removed")


@click.command(
    short_help="Run a command in an app's environment.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("app")
@click.argument("argv", nargs=-1, required=True, metavar="-- COMMAND…")
@click.pass_obj
def run(context: Context, app: str, argv: tuple[str, ...]) -> None:
    """Run a command in the folder and the environment of an app's release, as its user.

    The exit code is the command's.

    \b
    Example: edgectl run blog -- python3 manage.py createsuperuser --noinput
    """
    query = [("app", app), *(("argv", each) for each in argv)]
    lines = context.client.upload("/v1/run", query, iter(()), 0)
    outcome = _told(lines, context)
    if context.as_json:
        context.say(outcome, str)
    sys.exit(int(outcome.get("exit_code", EXIT_REFUSED)))


@click.command(short_help="What an app prints; or open the access log anew.")
@click.argument("app")
@click.option("-f", "--follow", is_flag=True, help="Go on as it comes.")
@click.option("-n", "--lines", default=100, help="So many of the latest.", show_default=True)
@click.option("--instance", default="", help="Of that instance alone.")
@click.pass_obj
def logs(context: Context, app: str, instance: str, lines: int, *, follow: bool) -> None:
    """What an app prints, with what edged says of it.

    With the word `reopen` for APP, edged writes its access log to a new file, after the old one
    was moved away.

    \b
    Examples: edgectl logs blog -f
              mv access.log access.log.1 && edgectl logs reopen
    """
    if app == REOPEN:
        document = context.client.post("/v1/logs/reopen")
        context.say(document, lambda _: "the access log is open anew")
        return
    query = [
        ("app", app), ("lines", str(lines)), ("instance", instance),
        ("follow", "1" if follow else "0"),
    ]  # fmt: skip
    for document in context.client.lines("/v1/logs", query):
        if "error" in document:
            raise Failure(document["error"], document["message"], EXIT_REFUSED)
        context.say(document, show_apps.log_line)


@click.group(short_help="The secrets of an app.")
def secrets() -> None:
    """The secrets of an app: set, listed by name, removed. Its instances have them as environment.

    \b
    Example: edgectl secrets set blog/production DATABASE_URL < url.txt
    """


@secrets.command(name="set")
@click.argument("app")
@click.argument("name")
@click.pass_obj
def set_secret(context: Context, app: str, name: str) -> None:
    """Set a secret; its value comes from standard input, never from the command line.

    Instances get it at their next start: see 'edgectl restart'.

    \b
    Example: edgectl secrets set blog/production DATABASE_URL < url.txt
    """
    if sys.stdin.isatty():
        value = click.prompt(f"value of {name}", hide_input=True, err=True)
    else:
        value = sys.stdin.read().removesuffix("\n")
    document = context.client.post("/v1/secrets/set", app=app, values={name: value})
    context.say(document, show_apps.secrets)


@secrets.command(name="list")
@click.argument("app")
@click.pass_obj
def list_secrets(context: Context, app: str) -> None:
    """The names of the secrets of an app.

    \b
    Example: edgectl secrets list blog
    """
    context.say(context.client.get("/v1/secrets", [("app", app)]), show_apps.secrets)


@secrets.command(name="unset")
@click.argument("app")
@click.argument("names", nargs=-1, required=True)
@click.pass_obj
def unset_secrets(context: Context, app: str, names: tuple[str, ...]) -> None:
    """Remove secrets of an app.

    \b
    Example: edgectl secrets unset blog DATABASE_URL
    """
    document = context.client.post("/v1/secrets/unset", app=app, names=[*names])
    context.say(document, show_apps.secrets)


@secrets.command(name="rotate")
@click.pass_obj
def rotate_secrets(context: Context) -> None:
    """Make another key, and seal the secrets of all apps with it.

    \b
    Example: edgectl secrets rotate
    """
    document = context.client.post("/v1/secrets/rotate")
    context.say(document, lambda d: f"{d['sealed']} secrets are sealed anew")


VERBS: Final = (
    deploy, apps, releases, rollback, restart, scale, start, delete, run, logs, secrets,
)  # fmt: skip


# Private


def _bar(size_bytes: int) -> Any:  # noqa: ANN401  click does not name its type
    return click.progressbar(
        length=size_bytes, label="sending", file=sys.stderr, hidden=not sys.stderr.isatty()
    )


def _sent(archive: IO[bytes], size: int) -> Iterator[bytes]:
    """The archive in pieces; a bar where somebody looks."""
    archive.seek(0)
    with _bar(size) as bar:
        while piece := archive.read(1 << 16):
            yield piece
            bar.update(len(piece))


def _told(lines: Iterator[dict[str, Any]], context: Context | None = None) -> dict[str, Any]:
    """Show what happens, as it happens; the last document is the outcome. Raises `Failure`."""
    outcome: dict[str, Any] = {"error": "no-answer", "message": "edged broke off."}
    for document in lines:
        if "line" not in document:
            outcome = document
        elif context is not None and not context.as_json:
            click.echo(show.printable(document["line"]))
        else:
            click.echo(show.printable(document["line"]), err=True)
    if "error" in outcome:
        output = outcome.get("output", [])
        text = "\n".join([outcome["message"], *(f"  | {line}" for line in output)])
        raise Failure(outcome["error"], text, EXIT_REFUSED)
    return outcome
