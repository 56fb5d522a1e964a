"""What OpenSSL can and the `ssl` module has no call for: a few calls of libssl, found beside it.

Tickets (RFC 5077, RFC 8446 section 4.6.1): OpenSSL looks for their keys in the context that a
connection began with, whatever context serves the name, so that one gets the keys that all workers
have. Certificates of clients: a context that is changed during the handshake does not bring its
`verify_mode` along. Ends: `_SSLSocket.shutdown` waits for the other side's. Reading ahead: without,
each record costs two system calls, one for its five first bytes.

Where libssl is not to be found, tickets open only on the worker that made them, and no name can ask
clients for certificates.
"""

import _ssl
import ctypes
import logging
import ssl
from collections.abc import Callable
from typing import Any, Final

log = logging.getLogger("edge.tls")

TICKET_KEY_BYTES: Final = 80
"""Name, HMAC key and AES key of OpenSSL 1.1 and later."""

_SET_TICKET_KEYS: Final = 59  # SSL_CTRL_SET_TLSEXT_TICKET_KEYS
_SET_READ_AHEAD: Final = 41  # SSL_CTRL_SET_READ_AHEAD
_SET_CACHE_MODE: Final = 44  # SSL_CTRL_SET_SESS_CACHE_MODE
_CACHE_OFF: Final = 0
_VERIFY_PEER: Final = 1
_FAIL_IF_NO_PEER_CERT: Final = 2


class Unavailable(Exception):
    """libssl is not to be found."""


def share_tickets(context: object, keys: bytes) -> bool:
    """Have the context make and open tickets with these keys; whether that worked."""
    if len(keys) != TICKET_KEY_BYTES:
        raise ValueError(f"ticket keys have {TICKET_KEY_BYTES} bytes, not {len(keys)}")
    return _control(context, _SET_TICKET_KEYS, TICKET_KEY_BYTES, keys)


def keep_no_sessions(context: object) -> None:
    """Turn the cache of sessions off: it would hold thousands for each name, and tickets do."""
    _control(context, _SET_CACHE_MODE, _CACHE_OFF, None)


def read_ahead(context: object) -> None:
    """Have connections take from their sockets what there is, not a record's head and then the
    rest: then `holds_more` says what a socket does not."""
    _control(context, _SET_READ_AHEAD, 1, None)


def handle_of(tls: object) -> int:
    """The `SSL *` of an `_ssl._SSLSocket`, as long as that lives."""
    return _ssl_of(tls) or 0


def ask_for_certificate(tls: Any, *, required: bool) -> None:  # noqa: ANN401  an `_ssl._SSLSocket`
    """Ask the client of a handshake under way for a certificate. Raises `Unavailable`."""
    if _set_verify is None or _set_options is None:
        raise Unavailable("libssl is not to be found")
    mode = _VERIFY_PEER | (_FAIL_IF_NO_PEER_CERT if required else 0)
    _set_verify(_ssl_of(tls), mode, None)
    # Keys of tickets are the same for all names: one that was got with a certificate of one name's
    # CA would go on at another name, where nobody has looked at the certificate.
    _set_options(_ssl_of(tls), int(ssl.OP_NO_TICKET))


def say_goodbye(tls: Any) -> None:  # noqa: ANN401  an `_ssl._SSLSocket`
    """Send a close_notify, once, and read nothing: the other side may still be sending (RFC 8446
    section 6.1). Raises `OSError`."""
    if _shutdown is None or _clear_errors is None:
        tls.shutdown()  # which reads, too
        return
    _shutdown(_ssl_of(tls))
    _clear_errors()  # what was left there would be taken for the next call's


# Private


def _never(handle: int) -> int:
    return 0


def _library() -> Any:  # noqa: ANN401  libssl as ctypes has it, or None
    try:
        library = ctypes.CDLL(getattr(_ssl, "__file__", None))
        control, verify = library.SSL_CTX_ctrl, library.SSL_set_verify
        options, shutdown = library.SSL_set_options, library.SSL_shutdown
        library.ERR_clear_error.argtypes = ()
        library.SSL_has_pending.restype = ctypes.c_int
    except (OSError, AttributeError) as error:
        log.warning("libssl is not to be found, workers share no session tickets: %s", error)
        return None
    control.restype = ctypes.c_long
    control.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)
    verify.restype = None
    verify.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    options.restype = ctypes.c_uint64
    options.argtypes = (ctypes.c_void_p, ctypes.c_uint64)
    shutdown.argtypes = (ctypes.c_void_p,)
    library.SSL_has_pending.argtypes = (ctypes.c_void_p,)
    return library


_lib: Final = _library()
_ctrl: Final = None if _lib is None else _lib.SSL_CTX_ctrl
_set_verify: Final = None if _lib is None else _lib.SSL_set_verify
_set_options: Final = None if _lib is None else _lib.SSL_set_options
_shutdown: Final = None if _lib is None else _lib.SSL_shutdown
_clear_errors: Final = None if _lib is None else _lib.ERR_clear_error

holds_more: Final[Callable[[int], int]] = _never if _lib is None else _lib.SSL_has_pending
"""Whether bytes were taken from the socket of a `handle_of` that nobody has read: perhaps a part
of a record only."""


def _control(context: object, command: int, number: int, data: bytes | None) -> bool:
    if _ctrl is None:
        return False
    # PySSLContext begins with PyObject_HEAD, then SSL_CTX *.
    return bool(_ctrl(_pointer(context, object.__basicsize__), command, number, data))


def _ssl_of(tls: object) -> int | None:
    # PySSLSocket begins with PyObject_HEAD, then a weak reference, then SSL *.
    return _pointer(tls, object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p))


def _pointer(thing: object, offset: int) -> int | None:
    return ctypes.c_void_p.from_address(id(thing) + offset).value
