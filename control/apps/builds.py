"""Builds beside each other: a few at once, and none waits long for a slow one.

A build takes a core, so two at once use what a small machine has. One that takes long may as well
wait for a download: after a while it counts no more, and another one begins beside it.
"""

import contextlib
from collections.abc import Iterator

import gevent
from gevent.lock import Semaphore


class Builds:
    """Gives places to builds, in the order in which they ask."""

    def __init__(self, at_once: int, at_most: int, slow_s: float) -> None:
        """`at_once` that are not slow, `at_most` in all."""
        self._slow_s = slow_s
        self._quick = Semaphore(at_once)
        self._all = Semaphore(at_most)

    def __repr__(self) -> str:
        return f"<Builds {self._quick.counter} begin at once, {self._all.counter} in all>"

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Wait for a place, and have it."""
        with self._all:
            self._quick.acquire()
            slow = gevent.get_hub().loop.timer(self._slow_s)
            slow.start(self._quick.release)
            try:
                yield
            finally:
                if slow.active:
                    self._quick.release()
                slow.stop()
                slow.close()
