"""A connection that speaks TLS: the same interface as a plain one, on either side.

The TLS object reads and writes the raw descriptor itself (`SSLContext._wrap_socket`, the call that
`ssl.SSLSocket` is made of), so waiting stays what it is for a plain connection: wait first, then
read. `ssl.SSLError` does not leave this file.
"""

import _socket
import contextlib
import os
import ssl
from typing import Any, Final

from edge.connection import NEVER, Connection, Expired, Gone, monotonic
from edge.table.model import Certificate
from edge.tls.openssl import ask_for_certificate, handle_of, holds_more, say_goodbye

RECORD_BYTES: Final = 16384
"""What one record holds at most (RFC 8446 section 5.1)."""

FIRST_BYTES: Final = 2048
"""A read asks for no more until one was that large: most requests are smaller."""

FILE_BYTES: Final = 1 << 18
READS: Final = 4

FAIR_READS: Final = 8
"""Reads of what is here already that follow one another: then others have their turn. With half as
many the turns cost a tenth of the processor where records are small."""

_WANT_READ = ssl.SSLWantReadError
_WANT_WRITE = ssl.SSLWantWriteError
_CLOSED = ssl.SSLZeroReturnError


class Socket(_socket.socket):
    """A raw socket that TLS can be put on: it must be possible to refer to it weakly."""

    __slots__ = ("__weakref__",)


class HandshakeFailed(Exception):
    """There is no TLS session. `spoke_http` when the client spoke HTTP without TLS."""

    def __init__(self, message: str, *, spoke_http: bool = False) -> None:
        super().__init__(message)
        self.spoke_http = spoke_http


class TlsConnection(Connection):
    """One socket with TLS. Nothing may be read or written before `shake_hands` has returned."""

    __slots__ = ("__weakref__", "_early", "_handle", "_is_up", "_size", "_tls", "_unwaited",
                 "certificate", "server_name")  # fmt: skip

    def __init__(self, sock: Socket, registry: "set[Connection]") -> None:
        super().__init__(sock, registry)
        self.server_name = ""  # that the client asks for
        self.certificate: Certificate | None = None  # that the client got
        self._handle = 0
        self._early = b""  # read before somebody asked for it
        self._is_up = False
        self._size = FIRST_BYTES
        self._unwaited = 0  # reads since it has last waited
        self._tls: Any = None

    def __repr__(self) -> str:
        state = "closed" if self.closed else "up" if self._is_up else "shaking hands"
        return f"<TlsConnection {state} {self.server_name}>"

    # Beginning

    def peek(self, count: int) -> bytes | None:
        """What the client has sent and nobody took, without taking it; None when that is nothing,
        b"" at the end of the stream. Raises `Gone`."""
        try:
            return self.sock.recv(count, _socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError as error:
            raise Gone(error.strerror) from None

    def wait_for_more(self, count: int) -> None:
        """Wait until more than `count` bytes can be peeked at, or until no more come. Raises `Gone`
        and, at `read_deadline`, `Expired`."""
        self.wake_at(count + 1)
        self.wait_readable()
        self.wake_at(1)

    def wake_at(self, count: int) -> None:
        """Be readable only with so many bytes, or when no more come. Raises `Gone`."""
        try:
            self.sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVLOWAT, count)
        except OSError as error:
            raise Gone(error.strerror) from None

    def skip(self, count: int) -> None:
        """Take bytes that were peeked at and come before TLS. Raises `Gone`."""
        try:
            self.sock.recv(count)
        except OSError as error:
            raise Gone(error.strerror) from None

    def begin(
        self,
        context: Any,  # noqa: ANN401  `_ssl` has no types
        *,
        server_side: bool,
        server_name: str = "",
    ) -> None:
        """Be a side of a session. `server_name` is whom a client asks for, and verifies."""
        self.server_name = server_name
        self._tls = context._wrap_socket(self.sock, server_side, server_name or None, owner=self)
        self._handle = handle_of(self._tls)

    def shake_hands(self, deadline: float) -> None:
        """Raises `HandshakeFailed`, `Expired` at that time, and `Gone`."""
        tls = self._tls
        try:
            while True:
                try:
                    tls.do_handshake()
                    break
                except _WANT_READ:
                    self.read_deadline = deadline
                    self.wait_readable()
                except _WANT_WRITE:
                    self.wait_writable(max(deadline - monotonic(), 0.001))
        except ssl.SSLError as error:
            spoke_http = error.reason in ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST")
            raise HandshakeFailed(_text(error), spoke_http=spoke_http) from None
        except OSError as error:
            raise Gone(error.strerror) from None
        self._is_up = True
        self.read_deadline = NEVER

    def local_address(self) -> str:
        """The address that the client has dialled, as a host."""
        try:
            address = str(self.sock.getsockname()[0])
        except OSError:
            return ""
        return address.removeprefix("::ffff:")

    def use(self, context: Any) -> None:  # noqa: ANN401  `_ssl` has no types
        """Go on with another context: in the callback for the server's name."""
        self._tls.context = context
        if context.verify_mode != ssl.CERT_NONE:
            ask_for_certificate(self._tls, required=context.verify_mode == ssl.CERT_REQUIRED)

    @property
    def version(self) -> str:
        """ "TLSv1.3" or "TLSv1.2"."""
        return str(self._tls.version() or "")

    @property
    def cipher(self) -> str:
        """The name of the cipher suite."""
        found = self._tls.cipher()
        return str(found[0]) if found else ""

    @property
    def was_resumed(self) -> bool:
        """Whether an earlier session goes on."""
        return bool(self._tls.session_reused)

    def peer_certificate(self) -> bytes:
        """The other side's certificate (DER), verified if the context asks for that; or b""."""
        return self._tls.getpeercert(True) or b""

    # Reading

    def read(self, limit_bytes: int = RECORD_BYTES) -> bytes:
        """As `Connection.read`, a record at most."""
        if self._early:
            return self._take_early()
        tls = self._tls
        self._wait_or_give_way()
        while True:
            size = self._size
            try:
                data: bytes = tls.read(size)
            except _WANT_READ:
                self.wait_readable()
                continue
            except _WANT_WRITE:
                self.wait_writable(self._idle_s)
                continue
            except _CLOSED:
                return b""
            except OSError as error:
                raise Gone(_text(error)) from None
            if len(data) == size:
                self.has_more, self._size = True, RECORD_BYTES
            else:
                self.has_more = holds_more(self._handle) != 0
            return data

    def read_now(self, limit_bytes: int = RECORD_BYTES) -> bytes | None:
        """As `Connection.read_now`."""
        if self._early:
            return self._take_early()
        size = self._size
        try:
            data: bytes = self._tls.read(size)
        except (_WANT_READ, _WANT_WRITE):
            self.has_more = False
            return None
        except _CLOSED:
            return b""
        except OSError as error:
            raise Gone(_text(error)) from None
        if len(data) == size:
            self.has_more, self._size = True, RECORD_BYTES
        else:
            self.has_more = holds_more(self._handle) != 0
        return data

    def has_part(self) -> bool:
        """As `Connection.has_part`: a record that has not come whole."""
        return holds_more(self._handle) != 0

    def has_begun(self) -> bool:
        """As `Connection.has_begun`: tickets, or a part of a record, are nothing to read yet."""
        return self.closed or self.has_ended() or bool(self._early)

    def is_stale(self) -> bool:
        """As `Connection.is_stale`: tickets that come late are no bytes that nobody asked for."""
        return self.closed or self.has_ended() or bool(self._early)

    def has_ended(self) -> bool:
        """As `Connection.has_ended`. What it finds instead of an end is kept for the next read."""
        if self._early:
            return False
        try:
            self._early = self._tls.read(RECORD_BYTES)
        except (_WANT_READ, _WANT_WRITE):
            return False
        except OSError:
            self._early = b""
        self.has_more = True  # also an end: the socket need not tell of it again
        return not self._early

    # Writing

    def send_file(self, fd: int, offset: int, count: int, idle_s: float) -> int:
        """As `Connection.send_file`, but the file passes through this process."""
        done = 0
        while done < count:
            data = os.pread(fd, min(FILE_BYTES, count - done), offset + done)
            if not data:
                break
            self.write(data, idle_s)
            done += len(data)
            if done < count:
                self.wait_writable(idle_s)  # others have their turn between
        return done

    def finish_writing(self) -> None:
        """Tell the other side that no more bytes come: close_notify, then the socket's own end."""
        with contextlib.suppress(Gone, Expired):
            self.push(self._idle_s)
        self._say_goodbye()
        super().finish_writing()

    # Ending

    def close(self) -> None:
        """Close with a close_notify, so that the other side knows that nothing was cut off."""
        if not self.closed:
            self.send_out()
            self._say_goodbye()
        super().close()

    def reset(self) -> None:
        """As `Connection.reset`: no close_notify, what was sent must not look whole."""
        self._is_up = False
        super().reset()

    def answer_plainly(self, data: bytes) -> None:
        """Send bytes without TLS: for a client that spoke HTTP to this port."""
        try:
            self.sock.send(data)
            self.sock.shutdown(_socket.SHUT_WR)
            for _ in range(READS):  # what is not read makes a reset of the end, which may overtake
                if not self.sock.recv(FILE_BYTES):
                    break
        except BlockingIOError:
            return
        except OSError as error:
            raise Gone(error.strerror) from None

    # Private

    def _give_way(self) -> None:
        """Let the loop turn once, as one that waits to read: whoever interrupts it, or ends its
        wait when its time is over, finds it waiting."""
        self.pause()  # else what the loop has found in this turn would end it at once
        turn = self._loop.timer(0.0)
        turn.start(self._readable)
        try:
            self.wait_readable()
        finally:
            turn.stop()
            turn.close()

    def _transmit(self, data: bytes | memoryview) -> int:
        try:
            sent: int = self._tls.write(data)
        except (_WANT_WRITE, _WANT_READ):
            raise BlockingIOError from None
        except ssl.SSLError as error:
            raise OSError(0, _text(error)) from None
        return sent

    def _wait_or_give_way(self) -> None:
        """Until there may be something to read; with a lot of it, until others had their turn."""
        if not self.has_more:
            self._unwaited = 0
            self.wait_readable()
        elif self._unwaited < FAIR_READS:
            self._unwaited += 1
        else:
            self._unwaited = 0
            self._give_way()

    def _take_early(self) -> bytes:
        data, self._early = self._early, b""
        self.has_more = holds_more(self._handle) != 0
        return data

    def _say_goodbye(self) -> None:
        if not self._is_up:
            return
        self._is_up = False
        try:
            say_goodbye(self._tls)
        except OSError:
            return  # whoever is gone needs no farewell; one that is slow gets none


# Private


def _text(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else str(error.strerror or error)
