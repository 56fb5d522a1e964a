"""`edgectl trust` and `edgectl untrust`: the internal CA's root in the stores of this machine."""

import os
from typing import Final

import click

from control.cli import show
from control.cli.anchors import NAME, Root, plan_of, root_of
from control.cli.client import EXIT_REFUSED, Failure, strange
from control.cli.context import Context
from control.cli.steps import who_asks

LARGEST_BYTES: Final = 1 << 20

_ROOT = click.option(
    "--root", "file", metavar="FILE", help="A root's PEM file: of an edged elsewhere."
)
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done.")


@click.command(short_help="Have this machine trust the internal CA.")
@_ROOT
@_DRY_RUN
@click.pass_obj
def trust(context: Context, file: str | None, *, dry_run: bool) -> None:
    """Install the internal CA's root in the system's store and in browsers; run it with sudo.

    Programs that look there then believe https://localhost and the other internal names. The
    browsers are those of who calls it, behind sudo too.

    \b
    Example: edgectl trust --dry-run
    """
    _change(context, _root_of(context, file), remove=False, dry_run=dry_run)


@click.command(short_help="Have it trusted no more.")
@_ROOT
@click.option("--name", metavar="NAME", help="What a root is called that is not at hand any more.")
@_DRY_RUN
@click.pass_obj
def untrust(context: Context, file: str | None, name: str | None, *, dry_run: bool) -> None:
    """Remove what `trust` has installed, and nothing else.

    \b
    Examples: edgectl untrust --dry-run
              edgectl untrust --dry-run --name edged-0123456789ab
    """
    if name is not None and (file is not None or not NAME.fullmatch(name)):
        raise click.UsageError("--name is one as edged-0123456789ab, and there is no --root then")
    root = _root_of(context, file) if name is None else Root(name=name)
    _change(context, root, remove=True, dry_run=dry_run)


# Private


def _root_of(context: Context, file: str | None) -> Root:
    """The root in a file, or else that of the edged that runs. Raises `Failure`."""
    if file is None:
        document = context.client.get("/v1/authority")
        try:
            return root_of(str(document["root_pem"]))
        except (KeyError, ValueError):
            raise strange(document) from None
    try:
        with open(file, "rb") as opened:
            return root_of(opened.read(LARGEST_BYTES).decode("ascii", "replace"))
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
    except ValueError as error:
        why = str(error)
    raise Failure("bad-root", f"{file} {why}.", EXIT_REFUSED)


def _change(context: Context, root: Root, *, remove: bool, dry_run: bool) -> None:
    """Do all that can be done, and say what could not. Raises `Failure`."""
    prefix = os.environ.get("EDGED_ROOT_DIR", "/")  # for tests
    plan = plan_of(root, who_asks(os.environ), prefix=prefix, remove=remove)
    done: list[str] = []
    failed = list(plan.problems)
    for step in plan.steps:
        why = "" if dry_run else step.run()
        if why:
            failed.append(f"{step.what}: {why}")
        else:
            done.append(step.what)
    document = {
        "name": root.name,
        "done": done,
        "failed": failed,
        "notes": list(plan.notes),
        "dry_run": dry_run,
    }
    if not failed:
        context.say(document, show.trusted)
        return
    if not context.as_json:  # there it is one document with the failure
        context.say(document, show.trusted)
    verb = "untrust" if remove else "trust"
    raise Failure(
        "not-everywhere",
        f"Not everywhere, for the reasons above. The system's store needs root ('sudo edgectl"
        f" {verb}'); a browser's database with a password is changed in that browser.",
        EXIT_REFUSED,
        document,
    )
