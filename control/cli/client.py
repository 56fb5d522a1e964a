"""Asking edged over its admin socket, and what it means when there is no answer."""

import grp
import http.client
import json
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlencode

ANSWER_S: Final = 30.0
ORDER_S: Final = 900.0
"""A roll waits for every worker in turn."""
FOLLOW_S: Final = 60.0
"""The stream of events says something every ten seconds, if only an empty line."""

ANSWER_BYTES: Final = 64 << 20

PLACES: Final = ("run/edged.sock", "/run/edged/edged.sock")
"""Where the socket is looked for: beside the configuration, and where the systemd unit has it."""

EXIT_REFUSED: Final = 1
EXIT_NOT_RUNNING: Final = 3
EXIT_NOT_ALLOWED: Final = 4

Document = dict[str, Any]


class Failure(Exception):
    """No answer, or a refusal: the message says what to do, `document` is for --json."""

    def __init__(
        self, code: str, message: str, exit_code: int, more: Document | None = None
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.document: Document = {"error": code, "message": message, **(more or {})}


class Client:
    """Edged's admin API, at the other end of a unix socket."""

    def __init__(self, path: str) -> None:
        """Without a path, the usual places are tried."""
        self.path = path or next((place for place in PLACES if os.path.exists(place)), "")

    def __repr__(self) -> str:
        return f"<Client {self.path}>"

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Document:
        """The answer to a question. Raises `Failure`."""
        return self._exchange(
            "GET", f"{path}?{urlencode(query)}" if query else path, None, ANSWER_S
        )

    def post(self, path: str, timeout_s: float | None = ORDER_S, **body: object) -> Document:
        """The answer to an order. Raises `Failure`."""
        return self._exchange("POST", path, body, timeout_s)

    def lines(self, path: str, query: Sequence[tuple[str, str]]) -> Iterator[Document]:
        """The documents of a stream, as they come. Raises `Failure`."""
        yield from self._stream("GET", path, query, FOLLOW_S)

    def upload(
        self,
        path: str,
        query: Sequence[tuple[str, str]],
        pieces: Iterator[bytes],
        size_bytes: int,
    ) -> Iterator[Document]:
        """Send a body; the documents of the answer, as they come. Raises `Failure`."""
        yield from self._stream("POST", path, query, None, pieces, size_bytes)

    # Private

    def _stream(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        timeout_s: float | None,
        pieces: Iterator[bytes] | None = None,
        size_bytes: int = 0,
    ) -> Iterator[Document]:
        connection = self._connect(timeout_s)
        fields = {} if pieces is None else {"Content-Length": str(size_bytes)}
        try:
            connection.request(method, f"{path}?{urlencode(query)}", pieces, fields)
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise _refusal(_document(_whole(answer)))
            for line in answer:
                if line.strip():
                    yield _document(line)
        except (OSError, http.client.HTTPException) as error:
            raise _broken(error) from None
        finally:
            connection.close()

    def _exchange(
        self, method: str, path: str, body: Document | None, timeout_s: float | None
    ) -> Document:
        connection = self._connect(timeout_s)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            document = _document(_whole(answer))
        except (OSError, http.client.HTTPException) as error:
            raise _broken(error) from None
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise _refusal(document)
        return document

    def _connect(self, timeout_s: float | None) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("edged")
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(timeout_s)
        try:
            link.connect(self.path or PLACES[0])
        except PermissionError:
            link.close()
            raise self._not_allowed() from None
        except OSError:
            link.close()
            raise self._not_running() from None
        connection.sock = link
        return connection

    def _not_running(self) -> Failure:
        where = (
            f"Nothing answers on {self.path}"
            if self.path
            else f"No socket at {' or '.join(PLACES)}"
        )
        return Failure(
            "not-running",
            f"edged is not running. {where}.\nStart it with 'systemctl start edged' or"
            " 'edged --config FILE'. If it runs with another run_dir, name its socket:"
            " edgectl --socket RUN_DIR/edged.sock",
            EXIT_NOT_RUNNING,
        )

    def _not_allowed(self) -> Failure:
        return Failure(
            "not-allowed",
            f"You may not use {self.path}: it is for root, for edged's own user and for group"
            f" {_group_of(self.path)}. Use sudo, or add yourself to that group.",
            EXIT_NOT_ALLOWED,
        )


def strange(what: object) -> Failure:
    """Something answers that this edgectl does not understand."""
    return Failure(
        "no-answer",
        f"What answers on that socket is not edged, or not this version of it: {what!r:.80}."
        " Check the path that --socket names.",
        EXIT_REFUSED,
    )


# Private


def _whole(answer: http.client.HTTPResponse) -> bytes:
    data = answer.read(ANSWER_BYTES)
    if answer.length:
        raise http.client.IncompleteRead(data, answer.length)
    return data


def _document(data: bytes) -> Document:
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise strange(data)
    return document


def _refusal(document: Document) -> Failure:
    code = str(document.pop("error", "refused"))
    message = str(document.pop("message", "edged refused without a reason"))
    exit_code = EXIT_NOT_ALLOWED if code == "forbidden" else EXIT_REFUSED
    return Failure(code, message, exit_code, document)


def _broken(error: Exception) -> Failure:
    why = "no answer in time" if isinstance(error, TimeoutError) else str(error) or repr(error)
    return Failure(
        "no-answer",
        f"edged broke off before its answer was whole ({why}). What it did is in its log and in"
        " 'edgectl events'.",
        EXIT_REFUSED,
    )


def _group_of(path: str) -> str:
    try:
        number = os.stat(path).st_gid
        return grp.getgrgid(number).gr_name
    except (OSError, KeyError):
        return "of the socket"
