"""Blocking calls, each in a thread: control itself waits for nothing."""

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar, cast

import gevent
from gevent.threadpool import ThreadPool

from control.acme.clock import Clock
from control.acme.failure import TIMED_OUT, IssueFailed

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE: Final = 16
LONGEST_S: Final = 300.0
"""A step has limits of its own; this one is for a disk or a resolver that hangs."""

TRIES: Final = 3
"""So often a question is asked that costs nothing, when the answer is that the CA has a problem."""


class Steps:
    """The threads: some for what waits for others, some for the disk, so that a CA that hangs holds
    up nobody who wants a file."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads = ThreadPool(AT_ONCE)
        self._disk = ThreadPool(AT_ONCE)

    def __repr__(self) -> str:
        return f"<Steps {len(self._threads)} under way, {len(self._disk)} at the disk>"

    def join(self) -> None:
        """Wait until no call is under way, also none that nobody waits for."""
        self._threads.join()
        self._disk.join()

    def take(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `act` returns, which may ask a CA or make a key. Raises `IssueFailed`, as it
        does."""
        return _outcome(self._threads, lambda: act(*args, **kwargs))

    def file(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same of what only reads and writes files, such as the vault."""
        return _outcome(self._disk, lambda: act(*args, **kwargs))

    def insist(self, question: Callable[[], T]) -> T:
        """What a question returns that costs a CA nothing: it is asked again when the CA has a
        problem that may pass. Raises `IssueFailed`."""
        for number in range(1, TRIES):
            try:
                return self.take(question)
            except IssueFailed as failure:
                if not failure.is_passing:
                    raise
            self._clock.pause(float(number))
        return self.take(question)


# Private


def _outcome(threads: ThreadPool, act: Callable[[], T]) -> T:
    def outcome() -> tuple[T | None, IssueFailed | None]:
        try:
            return act(), None
        except IssueFailed as failure:  # gevent would take it for a bug, and print it
            return None, failure

    with gevent.Timeout(LONGEST_S, False):
        result, failure = threads.spawn(outcome).get()
        if failure is not None:
            raise failure
        return cast("T", result)  # without a failure there is one
    raise IssueFailed(TIMED_OUT, f"a step has taken more than {LONGEST_S:g} s", elsewhere=False)
