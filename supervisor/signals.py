"""The master's signals: queued by the kernel's handler, read by the loop, nothing else."""

import contextlib
import selectors
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Final

HANDLED: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGCHLD,
)


class Signals:
    """Turns signals into calls of `on_signal` from the loop."""

    def __init__(
        self, selector: selectors.BaseSelector, on_signal: Callable[[signal.Signals], None]
    ) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._on_signal = on_signal
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in HANDLED:
            signal.signal(number, _nothing)
        # An upgrade's signal that an old version does not know would kill it.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        selector.register(self._reader, selectors.EVENT_READ, self.read)
        # An exec in place blocks them, so that none meets the new code before it listens.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())

    def __repr__(self) -> str:
        return f"<Signals fd={self._reader.fileno()}>"

    def read(self) -> None:
        """Pass on what has come."""
        numbers: list[int] = []
        with contextlib.suppress(BlockingIOError):
            while received := self._reader.recv(4096):
                numbers.extend(received)
        for number in dict.fromkeys(numbers):
            self._on_signal(signal.Signals(number))


# Private


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """The wakeup descriptor says it all; without a handler there would be no byte in it."""
