"""Upgraded connections: bytes both ways until both sides are done or idle for too long."""

from typing import Final

import gevent

from edge.connection import Connection, Expired, Gone, monotonic

HALF_CLOSED_S: Final = 60.0
"""A tunnel of which one side has ended may be quiet that long, where its idle time is longer."""


class Tunnel:
    """Two pumps over two connections. One that ends passes its end on; a reset ends both."""

    def __init__(self, downstream: Connection, upstream: Connection, idle_s: float) -> None:
        self._downstream = downstream
        self._upstream = upstream
        self._idle_s = idle_s
        self._active = monotonic()
        self.down_bytes = 0
        self.up_bytes = 0

    def __repr__(self) -> str:
        return f"<Tunnel up={self.up_bytes} down={self.down_bytes}>"

    def run(self) -> bool:
        """Pump until the end; False when it was cut for being idle."""
        upward = gevent.spawn(self._pump, self._downstream, self._upstream, up=True)
        in_time = self._pump(self._upstream, self._downstream, up=False)
        upward.join()
        return in_time and bool(upward.value)

    # Private

    def _pump(self, source: Connection, sink: Connection, *, up: bool) -> bool:
        try:
            while data := self._read(source):
                self._active = monotonic()
                sink.write(data, self._idle_s)
                if up:
                    self.up_bytes += len(data)
                else:
                    self.down_bytes += len(data)
        except (Gone, Expired) as error:
            source.close()
            sink.close()
            return isinstance(error, Gone)
        source.pause()
        sink.finish_writing()
        self._idle_s = min(self._idle_s, HALF_CLOSED_S)
        sink.read_deadline = min(sink.read_deadline, monotonic() + self._idle_s)
        return True

    def _read(self, source: Connection) -> bytes:
        """The next bytes. Both directions share one idle clock: either one keeps both alive."""
        while True:
            source.read_deadline = self._active + self._idle_s
            try:
                return source.read()
            except Expired:
                if self._active + self._idle_s <= monotonic():
                    raise
