"""Hooks: the class that users subclass, how modules are loaded, and how a chain is compiled.

Order is a list: the hooks of a phase run in the order of the configuration, once, first to last.
A phase that no hook overrides compiles to an empty tuple and costs nothing. A hook that raises
fails closed (500 `hook-error`) unless it declares `on_error = "continue"`.
"""

import difflib
import importlib
import importlib.util
import inspect
import itertools
import logging
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from edge.errors import EdgeError, Reason
from edge.message import Peer, Response
from edge.phases import BUILTIN_FIRST, Phase, Verdict
from edge.shared import SharedCounter, counter
from edge.table.model import Route

if TYPE_CHECKING:
    from edge.exchange import Exchange

log = logging.getLogger("edge.hooks")

Call = Callable[..., Any]

BLOCKED_NS: Final = 100_000_000
"""A hook that runs that long without the loop turning is named in the log."""


class Hook:
    """Override the phases that you need; each gets the exchange. See `edge.phases.Phase`.

    A phase that returns None goes on. Request phases may return a `Response` (answer now),
    `exchange.reroute(...)` or `exchange.abort()`. Waiting is fine (each request has a greenlet of
    its own; sockets and `time.sleep` are cooperative), blocking the processor is not.
    """

    on_error: str = "fail"
    """"fail": a hook that raises is a 500, reason `hook-error`. "continue": it is logged only."""

    def applies_to(self, route: Route | None) -> bool:
        """For the edge's own hooks: whether requests of that route (None: not known yet) need it.

        A hook of the configuration is in every chain.
        """
        return True

    def early_request_filter(self, exchange: "Exchange") -> Verdict | None:
        """Before a route is chosen: bans, limits, answers that need no route."""

    def request_filter(self, exchange: "Exchange") -> Verdict | None:
        """After the route is chosen: authentication, redirects, changes of the request's fields."""

    def request_body_filter(self, exchange: "Exchange", data: bytes, end: bool) -> bytes | None:
        """Each piece of the request's body; what is returned goes upstream (None: `data`)."""

    def upstream_peer(self, exchange: "Exchange") -> Peer | None:
        """The peer of the next attempt; None leaves it to the next hook, then to the route."""

    def fail_to_connect(self, exchange: "Exchange", error: EdgeError) -> Peer | None:
        """A peer could not be reached; a returned peer is tried next, if attempts are left."""

    def upstream_request_filter(self, exchange: "Exchange") -> None:
        """Change `exchange.upstream_headers`, the fields that this peer gets."""

    def error_while_proxy(self, exchange: "Exchange", error: EdgeError) -> bool | None:
        """An attempt failed after connecting. False forbids a retry that would be safe."""

    def upstream_response_filter(self, exchange: "Exchange") -> Response | None:
        """The peer's answer as it came; a returned response takes its place."""

    def fail_to_proxy(self, exchange: "Exchange", error: EdgeError) -> Response | None:
        """The edge must answer by itself; the first returned response is sent."""

    def response_filter(self, exchange: "Exchange") -> Response | None:
        """The answer as the client will get it: change `exchange.response.headers`."""

    def response_body_filter(self, exchange: "Exchange", data: bytes, end: bool) -> bytes | None:
        """Each piece of the answer's body; what is returned goes down (None: `data`).

        The length is not known then, so the answer goes out chunked. A hook that does not want
        this answer's body calls `exchange.pass_body(self)` in `response_filter`.
        """

    def logging(self, exchange: "Exchange") -> None:
        """Once for every answer, also for a head that never parsed. Must not wait."""


class HookLoadError(Exception):
    """A hook module could not be loaded. `trace` is the traceback, for the operator."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class HookFailed(EdgeError):
    """A hook raised and fails closed."""

    def __init__(self, name: str, phase: Phase) -> None:
        super().__init__(Reason.HOOK_ERROR, f"{name}.{phase}")


class HookOverran(EdgeError):
    """A hook kept a request waiting for longer than `timeouts.hook_s`."""

    def __init__(self, name: str, limit_s: float) -> None:
        super().__init__(Reason.HOOK_ERROR, f"{name} waited for more than {limit_s:g} s")


class Chain:
    """The calls of each phase, in order. Empty tuples where nobody listens."""

    __slots__ = tuple(phase.value for phase in Phase)

    early_request_filter: tuple[Call, ...]
    request_filter: tuple[Call, ...]
    request_body_filter: tuple[Call, ...]
    upstream_peer: tuple[Call, ...]
    fail_to_connect: tuple[Call, ...]
    upstream_request_filter: tuple[Call, ...]
    error_while_proxy: tuple[Call, ...]
    upstream_response_filter: tuple[Call, ...]
    fail_to_proxy: tuple[Call, ...]
    response_filter: tuple[Call, ...]
    response_body_filter: tuple[tuple[Hook, Call], ...]
    logging: tuple[Call, ...]

    def __init__(self, builtin: Sequence[Hook], hooks: Sequence[Hook], watch: "Watch") -> None:
        for phase in Phase:
            own = [getattr(hook, phase) for hook in builtin if phase in phases_of(hook)]
            theirs: list[Any] = [
                watch.guard(hook, phase) for hook in hooks if phase in phases_of(hook)
            ]
            if phase is Phase.RESPONSE_BODY_FILTER:
                listening = [hook for hook in hooks if phase in phases_of(hook)]
                theirs = list(zip(listening, theirs, strict=True))
            calls = [*own, *theirs] if phase in BUILTIN_FIRST else [*theirs, *own]
            setattr(self, phase.value, tuple(calls))


class Chains:
    """The chains of a worker: one for each combination of the edge's own hooks that routes need."""

    def __init__(
        self, builtin: Sequence[Hook], hooks: Sequence[Hook], watch: "Watch | None" = None
    ) -> None:
        self._builtin = builtin
        self._hooks = hooks
        self._watch = watch or Watch()
        self._made: dict[tuple[Hook, ...], Chain] = {}

    def base(self) -> Chain:
        """The chain for requests whose route is not known yet."""
        return self._of(tuple(hook for hook in self._builtin if hook.applies_to(None)))

    def of(self, route: Route) -> Chain:
        """The chain for requests of that route."""
        return self._of(tuple(hook for hook in self._builtin if hook.applies_to(route)))

    # Private

    def _of(self, builtin: tuple[Hook, ...]) -> Chain:
        chain = self._made.get(builtin)
        if chain is None:
            chain = self._made[builtin] = Chain(builtin, self._hooks, self._watch)
        return chain


class Watch:
    """Wraps a user's phase: counts its calls, failures and time, and names it when it blocks.

    Its numbers are shared counters: `hook.NAME.calls`, `.errors` and `.us` (microseconds).
    """

    def __init__(self, turns: Callable[[], int] | None = None) -> None:
        # How often the loop has turned: tells waiting, which is fine, from blocking.
        clock = itertools.count()
        self.turns = turns or (lambda: next(clock))
        self.failed: Callable[[], None] = lambda: None

    def guard(self, hook: Hook, phase: Phase) -> Call:
        """The phase of that hook as a call that raises nothing but `EdgeError`."""
        method = getattr(hook, phase)
        name = type(hook).__name__
        calls, spent_us, errors = _numbers(name)
        turns = self.turns
        now = time.perf_counter_ns
        count_call, count_us = calls.adder(), spent_us.adder()

        def call(exchange: "Exchange", *args: object) -> object:
            exchange.hook = name
            turn = turns()
            start = now()
            try:
                return method(exchange, *args)
            except EdgeError:
                raise
            except Exception as error:  # noqa: BLE001  a hook may raise anything
                errors.add()
                self._report(hook, name, phase, error)
                return None
            finally:
                elapsed = now() - start
                exchange.hook = ""
                count_call(1)
                count_us(elapsed // 1000)
                if elapsed > BLOCKED_NS and turns() == turn:
                    log.warning("hook %s.%s blocked the loop for %d ms", name, phase,
                                elapsed // 1_000_000)  # fmt: skip

        return call

    def _report(self, hook: Hook, name: str, phase: Phase, error: Exception) -> None:
        self.failed()
        trace = "".join(traceback.format_exception(error))
        log.error("hook %s.%s failed (on_error=%s)\n%s", name, phase, hook.on_error, trace)
        if hook.on_error != "continue":
            raise HookFailed(name, phase) from None


def phases_of(hook: Hook) -> tuple[Phase, ...]:
    """The phases that a hook overrides."""
    kind = type(hook)
    return tuple(phase for phase in Phase if getattr(kind, phase) is not getattr(Hook, phase))


def load(names: Sequence[str], hook_path: str) -> list[Hook]:
    """Import modules (dotted names, or files ending in .py) and make their hooks, in order.

    Every class of a module that subclasses `Hook`, is defined there and has no leading underscore
    becomes one hook. Raises
    `HookLoadError` for a module that does not import, defines no hook, or whose hook cannot be
    made; nothing is half loaded then.
    """
    if hook_path and hook_path not in sys.path:
        sys.path.insert(0, hook_path)
    return [hook for name in names for hook in _hooks_of(name)]


# Private


def _numbers(name: str) -> tuple[SharedCounter, SharedCounter, SharedCounter]:
    short = name[:40]
    return (
        counter(f"hook.{short}.calls"),
        counter(f"hook.{short}.us"),
        counter(f"hook.{short}.errors"),
    )


def _hooks_of(name: str) -> list[Hook]:
    try:
        module = _import(name)
    except HookLoadError:
        raise
    except BaseException as error:  # noqa: BLE001  importing runs the user's code: anything
        raise _load_error(name, error) from None
    kinds = [
        kind
        for kind in vars(module).values()
        if inspect.isclass(kind)
        and issubclass(kind, Hook)
        and kind.__module__ == module.__name__
        and not kind.__name__.startswith("_")  # a base for others
    ]
    if not kinds:
        raise HookLoadError(f"hook module {name} defines no subclass of edge.Hook")
    return [_make(name, kind) for kind in kinds]


def _make(name: str, kind: type[Hook]) -> Hook:
    _check_kind(name, kind)
    try:
        return kind()
    except BaseException as error:  # noqa: BLE001  a constructor is the user's code: anything
        raise _load_error(f"{name}: {kind.__name__}()", error) from None


def _check_kind(name: str, kind: type[Hook]) -> None:
    """Refuse what could only fail at the first request."""
    where = f"hook module {name}: {kind.__name__}"
    if kind.on_error not in ("fail", "continue"):
        raise HookLoadError(f'{where}.on_error is {kind.on_error!r}, not "fail" or "continue"')
    for name_ in vars(kind):
        close = difflib.get_close_matches(name_, [*Phase], n=1, cutoff=0.85)
        if close and name_ not in vars(Hook) and callable(vars(kind)[name_]):
            raise HookLoadError(f"{where}.{name_} is no phase; did you mean {close[0]}?")
    for phase in Phase:
        method = getattr(kind, phase)
        if method is getattr(Hook, phase):
            continue
        if not callable(method) or inspect.iscoroutinefunction(method):
            raise HookLoadError(f"{where}.{phase} must be a plain function, not a coroutine")
        wanted = len(inspect.signature(getattr(Hook, phase)).parameters)
        try:
            inspect.signature(method).bind(*range(wanted))
        except TypeError:
            names = ", ".join(inspect.signature(getattr(Hook, phase)).parameters)
            raise HookLoadError(f"{where}.{phase} must take ({names})") from None


def _import(name: str) -> ModuleType:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name)
    if not path.is_file():
        raise HookLoadError(f"hook module {name}: no such file")
    unique = f"edged_hooks_{path.stem}_{abs(hash(str(path.resolve()))):x}"
    spec = importlib.util.spec_from_file_location(unique, path)
    if spec is None or spec.loader is None:
        raise HookLoadError(f"hook module {name}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module


def _load_error(name: str, error: BaseException) -> HookLoadError:
    trace = "".join(traceback.format_exception(error))
    text = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    return HookLoadError(f"hook module {name} does not load: {text}", trace)
