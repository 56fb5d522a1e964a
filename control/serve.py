"""The `edged` command: load the server file, then become the master.

Whatever a user can get wrong ends in one line per problem on stderr, never in a traceback.
The supervisor, and with it gevent, is imported only when something is to be served, so that
`edged --check` and `edged --help` are quick. No hub is made here.

Exit codes: 0 done, 1 the configuration or the start was refused, 2 wrong usage, 130 Ctrl-C
before the master was up.
"""

import argparse
import datetime
import errno
import importlib.metadata
import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import setproctitle

from control.config import Loaded, Problem, load
from control.config.reach import check_reach

if TYPE_CHECKING:
    from supervisor.spec import Spec

DONE: Final = 0
REFUSED: Final = 1
INTERRUPTED: Final = 130

USERS_TO_MEND: Final = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.ENAMETOOLONG,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.EADDRINUSE,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.EPIPE,
    }
)
"""What the system refuses for reasons outside edged."""

DEFAULT_FILES: Final = ("edged.toml", "/etc/edged/edged.toml")

EPILOG: Final = """\
examples:
  edged --config edged.toml            serve in the foreground
  edged --check --config edged.toml    say what is wrong with the file

a whole server file:
  [[route]]
  match = ["example.com"]
  upstreams = ["127.0.0.1:9000"]

A running edged is steered with edgectl: edgectl status, edgectl reload, edgectl --help.
SIGTERM drains and stops, SIGHUP reloads, SIGUSR1 reopens the access log.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the result is its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _check(options.config) if options.check else _serve(options.config)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if error.errno not in USERS_TO_MEND:
            raise  # a bug of ours, which a traceback helps to find
        return _refuse(_sentence(error))


class LogFormatter(logging.Formatter):
    """`2026-11-23T17:13:00.123Z info master: listening on …`, in every process of the tree.

    The process is the one that its title names ("edged: worker 1"), so children need no logging
    setup of their own.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(level)s %(role)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One record; a traceback follows on lines of its own."""
        record.level = record.levelname.lower()
        record.role = _role()
        return super().format(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """The time in UTC, with milliseconds."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


# Private

_TITLE: Final = "edged: "


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edged",
        description="A programmable edge server. Serves what the server file says.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help=f"the server file (default: {DEFAULT_FILES[0]}, else {DEFAULT_FILES[1]})",
    )
    parser.add_argument(
        "--check", action="store_true", help="check the file and exit with 0 (good) or 1"
    )
    parser.add_argument("--version", action="version", version=f"edged {_version()}")
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("edged")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _check(config: str | None) -> int:
    file = _chosen(config)
    loaded = load(file)
    problems = loaded.problems or check_reach(loaded.spec, file)
    if problems:
        return _list_problems(problems)
    if loaded.spec.worker.hooks and (refusal := _hooks_refusal(loaded.spec)):
        return _list_problems([Problem(file=file, line=0, key="server.hooks", message=refusal)])
    count = len(loaded.routes)
    sys.stdout.write(f"{file}: good, {count} {'route' if count == 1 else 'routes'}\n")
    return DONE


def _hooks_refusal(spec: "Spec") -> str:
    """Why the hooks do not load, with their traceback, or ""."""
    from control import hookcheck
    from control.refusal import Refused

    try:
        hookcheck.check(spec)
    except Refused as refusal:
        trace = str(refusal.more.get("traceback", "")).rstrip()
        return f"{refusal}\n{trace}" if trace else str(refusal)
    return ""


def _serve(config: str | None) -> int:
    file = _chosen(config)
    loaded = load(file)
    problems = loaded.problems or check_reach(loaded.spec, file)
    if problems:
        return _list_problems(problems)
    _log_to_stderr()
    return _become_master(loaded)


def _become_master(loaded: Loaded) -> int:
    from control.main import Main
    from supervisor.errors import StartError
    from supervisor.master import serve

    try:
        return serve(loaded.spec, Main(loaded))
    except StartError as error:
        return _refuse(str(error))


def _chosen(config: str | None) -> str:
    if config is not None:
        return config
    return next((file for file in DEFAULT_FILES if os.path.exists(file)), DEFAULT_FILES[0])


def _list_problems(problems: Sequence[Problem]) -> int:
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return REFUSED


def _refuse(message: str) -> int:
    sys.stderr.write(f"edged: {message}\n")
    return REFUSED


def _sentence(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}." if error.filename else f"{reason}."


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _role() -> str:
    title: str = setproctitle.getproctitle()
    return title.removeprefix(_TITLE) if title.startswith(_TITLE) else "edged"


if __name__ == "__main__":
    sys.exit(main())
