"""The admin API as a WSGI application: paths to commands, refusals to JSON errors."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

import gevent

from control.admin.app_commands import AppCommands
from control.admin.commands import Commands
from control.admin.protocol import BODY_BYTES, UID, WORKER, status_of
from control.admin.values import Document, Query, Upload
from control.refusal import Refused

log = logging.getLogger("control.admin")

BODY_WAIT_S: Final = 10.0

EVENTS: Final = "/v1/events"
WISHES: Final = "/v1/wishes"
"""Where workers ask for what is not in the table yet."""

Environ = Mapping[str, Any]
Lines = Iterator[Document | None]
Start = Callable[[str, list[tuple[str, str]]], object]


class Api:
    """Callable as a WSGI application. `under_way` counts the answers that are being made."""

    def __init__(self, commands: Commands, apps: AppCommands) -> None:
        self.under_way = 0
        self._asked: dict[str, Callable[[Query], Document]] = {
            "/v1/status": commands.status,
            "/v1/workers": commands.workers,
            "/v1/routes": commands.routes,
            "/v1/explain": commands.explain,
            "/v1/events": commands.events,
            "/v1/hooks": commands.hooks,
            "/v1/peers": commands.peers,
            "/v1/bans": commands.bans,
            "/v1/modes": commands.modes,
            "/v1/certs": commands.certs,
            "/v1/authority": commands.authority,
            "/v1/apps": apps.apps,
            "/v1/releases": apps.releases,
            "/v1/secrets": apps.secrets,
        }
        self._ordered = _orders(commands, apps)
        self._streamed: dict[tuple[str, str], Callable[[Query, Upload], Lines]] = {
            ("GET", EVENTS): lambda query, _: commands.follow(query),
            ("GET", "/v1/logs"): apps.logs,
            ("POST", "/v1/deploy"): apps.deploy,
            ("POST", "/v1/deploy/in-place"): apps.deploy_in_place,
            ("POST", "/v1/run"): apps.run,
        }

    def __repr__(self) -> str:
        return f"<Api under_way={self.under_way}>"

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Answer one request."""
        self.under_way += 1
        try:
            return self._answer(environ, start)
        except Refused as refusal:
            return _send(start, status_of(refusal.code), _document_of(refusal))
        except Exception:
            log.exception("the admin API failed at %s", environ.get("PATH_INFO"))
            bug = Refused("internal", "edged has a bug: its log has the traceback.")
            return _send(start, status_of(bug.code), _document_of(bug))
        finally:
            self.under_way -= 1

    # Private

    def _answer(self, environ: Environ, start: Start) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        streamed = self._streamed.get((method, path))
        if path not in self._asked and path not in self._ordered and streamed is None:
            known = ", ".join([*self._asked, *self._ordered])
            raise Refused("not-found", f"There is no {path[:200]!r} here, but {known}.")
        if environ.get(WORKER) and not path.startswith(f"{WISHES}/"):
            raise Refused("forbidden", "The workers' user may ask for wishes only.")
        query = _query(environ)
        if streamed is not None and (path != EVENTS or _is_followed(query)):
            lines = streamed(query, Upload(environ["wsgi.input"], environ[UID]))
            start("200 OK", [("Content-Type", "application/x-ndjson")])
            return _lines(lines)
        allowed = "GET" if path in self._asked else "POST"
        if method != allowed:
            raise Refused("method", f"{path} is asked with {allowed}, not {method[:32]}.")
        if method == "POST":
            return _send(start, "200 OK", self._order(path, environ))
        return _send(start, "200 OK", self._asked[path](query))

    def _order(self, path: str, environ: Environ) -> Document:
        """What people order is told to the log; wishes of workers are as many as requests."""
        is_wish, began_s = path.startswith(f"{WISHES}/"), time.monotonic()
        how = "failed"
        try:
            document = self._ordered[path](_body(environ))
            how = "done"
            return document
        except Refused as refusal:
            how = f"refused ({refusal.code})"
            raise
        finally:
            took_s = time.monotonic() - began_s
            level = logging.DEBUG if is_wish else logging.INFO
            name = path.removeprefix("/v1/")
            log.log(level, "order %s by uid %d: %s in %.1f s", name, environ[UID], how, took_s)


# Private


def _orders(commands: Commands, apps: AppCommands) -> dict[str, Callable[[Document], Document]]:
    return {
        "/v1/reload": commands.reload,
        "/v1/check": commands.check,
        "/v1/stop": commands.stop,
        "/v1/upgrade": commands.upgrade,
        "/v1/logs/reopen": commands.reopen_logs,
        "/v1/peers/drain": commands.drain_peer,
        "/v1/peers/resume": commands.resume_peer,
        "/v1/bans/add": commands.ban,
        "/v1/bans/lift": commands.lift_ban,
        "/v1/maintenance/on": commands.enter_maintenance,
        "/v1/maintenance/off": commands.leave_maintenance,
        "/v1/pause": commands.pause,
        "/v1/certs/renew": commands.renew_certificate,
        "/v1/certs/revoke": commands.revoke_certificate,
        "/v1/resume": commands.resume,
        "/v1/apps/restart": apps.restart_app,
        "/v1/apps/scale": apps.scale_app,
        "/v1/apps/stop": apps.stop_app,
        "/v1/apps/start": apps.start_app,
        "/v1/apps/delete": apps.delete_app,
        "/v1/rollback": apps.rollback,
        "/v1/deploy/commit": apps.commit_deploy,
        "/v1/deploy/abandon": apps.abandon_deploy,
        "/v1/secrets/set": apps.set_secrets,
        "/v1/secrets/unset": apps.unset_secrets,
        "/v1/secrets/rotate": apps.rotate_secrets,
        f"{WISHES}/certificate": commands.obtain_certificate,
        f"{WISHES}/app": apps.wake_app,
    }


def _is_followed(query: Query) -> bool:
    return query.get("follow", ["0"])[-1] not in ("", "0")


def _query(environ: Environ) -> Query:
    try:
        return parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True, max_num_fields=500)
    except ValueError as error:
        raise Refused("bad-request", f"The query is malformed: {error}.") from None


def _body(environ: Environ) -> Document:
    try:
        with gevent.Timeout(BODY_WAIT_S, TimeoutError("it did not come in time")):
            data: bytes = environ["wsgi.input"].read(BODY_BYTES + 1)
    except (OSError, ValueError) as error:
        raise Refused("bad-request", f"The body cannot be read: {error}.") from None
    if len(data) > BODY_BYTES:
        raise Refused("too-large", f"The body has more than {BODY_BYTES} bytes.")
    if not data.strip():
        return {}
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused("bad-request", "The body is not JSON.") from None
    if not isinstance(document, dict):
        raise Refused("bad-request", "The body is not a JSON object.")
    return document


def _document_of(refusal: Refused) -> Document:
    return {"error": refusal.code, "message": refusal.message, **refusal.more}


def _send(start: Start, status: str, document: Document) -> Iterable[bytes]:
    body = json.dumps(document).encode() + b"\n"
    fields = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start(status, fields)
    return [body]


def _lines(entries: Iterator[Document | None]) -> Iterator[bytes]:
    """One line each. An empty line when nothing happened tells whether the client still listens."""
    try:
        for entry in entries:
            yield b"\n" if entry is None else json.dumps(entry).encode() + b"\n"
    except Refused as refusal:  # the head is out: the last line says it
        yield json.dumps(_document_of(refusal)).encode() + b"\n"
