"""Errors: where everything may be caught, and where the system's errors end."""

import ast
from collections.abc import Iterator

from tests.architecture.sources import sources

LAST_LINES = {
    "edge/hooks.py": "a hook, its import and its constructor are a user's code",
    "edge/handshake.py": "a bug in a handshake costs one connection",
    "edge/session.py": "the session's last line: a bug costs one connection",
    "edge/walk.py": "an exchange is logged whatever ends it",
    "supervisor/fork.py": "the child's last line: it becomes the exit code",
    "supervisor/master.py": "the loop's dispatch: a bug must not end the master",
    "control/health.py": "one peer's check: a bug there must not leave it unchecked",
    "control/certificates.py": "a bug there must not end the renewals of all",
    "control/acme/keeper.py": "one certificate's bug must not end the others",
    "control/names.py": "the watch of a name must not end silently",
    "control/apps/desk.py": "one app's bug must not end the watch of the others",
    "control/admin/api.py": "the API's last line: a bug costs one answer",
}
"""Where any exception may end, and why. Elsewhere bugs are let out."""

SHELLS = {
    "edge/access_log.py",
    "edge/builtin/pages.py",
    "edge/builtin/token.py",
    "edge/connection.py",
    "edge/dial.py",
    "edge/hookcheck.py",
    "edge/listener.py",
    "edge/pool.py",
    "edge/shared/segment.py",
    "edge/static/cache.py",
    "edge/static/resolve.py",
    "edge/tls/clients.py",
    "edge/tls/connection.py",
    "edge/tls/contexts.py",
    "edge/tls/openssl.py",
    "edge/worker.py",
}
"""The files of `edge` that talk to the system: its errors are translated there, one line each."""

SYSTEM_ERRORS = {"OSError", "ConnectionError", "TimeoutError", "BlockingIOError", "BrokenPipeError"}


def test_everything_is_caught_only_where_a_bug_must_end() -> None:
    caught = {
        f"{source}:{line}"
        for source in sources()
        for line, names, handler in handlers(source.tree)
        if not {"Exception", "BaseException"}.isdisjoint(names)
        and not raises_again(handler)
        and str(source) not in LAST_LINES
    }
    assert caught == set()


def test_errors_of_the_system_do_not_leave_the_shells() -> None:
    caught = {
        f"{source}:{line}"
        for source in sources("edge")
        for line, names, _ in handlers(source.tree)
        if not SYSTEM_ERRORS.isdisjoint(names) and str(source) not in SHELLS
    }
    assert caught == set()


def handlers(tree: ast.Module) -> Iterator[tuple[int, set[str], ast.ExceptHandler]]:
    """Line, names and body of each `except`; a bare one counts as BaseException."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            names = {ast.unparse(kind) if kind else "BaseException" for kind in kinds}
            yield node.lineno, names, node


def raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether the handler ends by passing the error on."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise)
