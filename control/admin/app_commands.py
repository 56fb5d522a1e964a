"""What the admin API can be asked of apps: one method per verb, from plain values to a document."""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from typing import IO, Final

from control.admin.values import Document, Query, Upload, flag, number, one, text, texts
from control.apps import inplace
from control.apps.deploys import Deploys
from control.apps.folders import Folders
from control.apps.hold import LONGEST_HOLD_S
from control.apps.logline import Line
from control.refusal import Refused

UPLOAD_BYTES: Final = 1 << 30
CHUNK_BYTES: Final = 1 << 16
FOLLOW_IDLE_S: Final = 10.0
LINES: Final = 100
MOST_LINES: Final = 10_000

Lines = Iterator[Document | None]


class AppCommands:
    """The verbs about apps. Each raises `Refused` for what cannot be done; those that give lines
    say so in the last one."""

    def __init__(self, deploys: Deploys, folders: Folders) -> None:
        self._deploys = deploys
        self._desk = deploys.desk
        self._folders = folders

    def __repr__(self) -> str:
        return f"<AppCommands {len(self._desk.apps)} apps>"

    # Questions

    def apps(self, query: Query) -> Document:
        """All apps, with their instances; and what became of the `[[app]]`s of the server file."""
        return {"apps": self._desk.listed(), "folders": self._folders.listed()}

    def releases(self, query: Query) -> Document:
        """The releases of `app`."""
        return {"releases": self._desk.releases(one(query, "app"))}

    def secrets(self, query: Query) -> Document:
        """The names of the secrets of `app`; never their values."""
        return {"names": [*self._desk.tools.secrets.names(self._id(one(query, "app")))]}

    def logs(self, query: Query, _: Upload) -> Lines:
        """The latest `lines` of `app`, and with `follow` each as it comes."""
        app = self._desk.find(one(query, "app"))
        count = number(query, "lines", LINES, MOST_LINES)
        instance = one(query, "instance")
        if one(query, "follow") in ("", "0"):
            yield from map(_line, app.log.tail(count, instance))
            return
        for line in app.log.follow(FOLLOW_IDLE_S, count, instance):
            yield _line(line) if line is not None else None

    # Orders

    def deploy(self, query: Query, body: Upload) -> Lines:
        """A release of `name`/`env` from the archive in the body: what happens, then the
        outcome. With `hold` it waits so many seconds for `commit` before it serves."""
        name, env, hold_s = one(query, "name"), one(query, "env"), number(query, "hold", 0)
        if hold_s > LONGEST_HOLD_S:
            raise Refused("bad-request", f"'hold' is at most {LONGEST_HOLD_S:g} seconds.")
        by = f"by uid {body.uid}"
        with _spooled(body.file, self._desk.tools.folder) as archive:
            yield from self._deploys.deploy(archive, name, env, by, hold_s)

    def deploy_in_place(self, query: Query, body: Upload) -> Lines:
        """The app `name`/`env` as it is written in `folder`: for `edgectl dev` alone."""
        if not inplace.is_on():
            raise Refused("forbidden", "This edged was not started by 'edgectl dev'.")
        name, env, folder = (one(query, each) for each in ("name", "env", "folder"))
        if not os.path.isabs(folder):
            raise Refused("bad-request", "'folder' is absolute.")
        by = f"by uid {body.uid}"
        yield from self._deploys.deploy(io.BytesIO(), name, env, by, in_place=folder)

    def commit_deploy(self, body: Document) -> Document:
        """Have the deploy that is `held` serve."""
        return self._deploys.commit(text(body, "held"))

    def abandon_deploy(self, body: Document) -> Document:
        """Have the deploy that is `held` undone."""
        return self._deploys.abandon(text(body, "held"))

    def run(self, query: Query, _: Upload) -> Lines:
        """The command `argv` in the environment of `app`: its lines, then its exit code."""
        argv = tuple(query.get("argv", ()))
        if not argv:
            raise Refused("bad-request", "'argv' is the command.")
        yield from self._desk.run(one(query, "app"), argv)

    def rollback(self, body: Document) -> Document:
        """Have `release` of `app` serve again; 0 is the one before."""
        wanted = body.get("release", 0)
        if not isinstance(wanted, int):
            raise Refused("bad-request", "'release' is a number.")
        return self._desk.rollback(self._id(text(body, "app")), wanted)

    def restart_app(self, body: Document) -> Document:
        """Other instances of `app`, without a gap."""
        return self._desk.restart(self._id(text(body, "app")))

    def scale_app(self, body: Document) -> Document:
        """How many instances `app` has: `least` to `most`."""
        least, most = body.get("least", 0), body.get("most", 1)
        if not isinstance(least, int) or not isinstance(most, int):
            raise Refused("bad-request", "'least' and 'most' are numbers.")
        return self._desk.scale(self._id(text(body, "app")), least, most)

    def stop_app(self, body: Document) -> Document:
        """`app` serves no more, until it is started."""
        return self._desk.stop(self._id(text(body, "app")))

    def start_app(self, body: Document) -> Document:
        """`app` serves again."""
        return self._desk.begin(self._id(text(body, "app")))

    def delete_app(self, body: Document) -> Document:
        """Remove `app` with all that it has; `sure` must be true."""
        if not flag(body, "sure"):
            raise Refused("bad-request", "'sure' is true: releases, data and secrets are removed.")
        return self._desk.delete(self._id(text(body, "app")))

    def set_secrets(self, body: Document) -> Document:
        """Set the secrets of `app`: `values` by name."""
        values = body.get("values", {})
        if not isinstance(values, dict) or not all(
            isinstance(each, str) for each in values.values()
        ):
            raise Refused("bad-request", "'values' are texts by their names.")
        app = self._secret_id(text(body, "app"))
        self._desk.tools.secrets.set(app, {name: each.encode() for name, each in values.items()})
        return {"app": app, "names": [*self._desk.tools.secrets.names(app)]}

    def unset_secrets(self, body: Document) -> Document:
        """Remove the secrets `names` of `app`."""
        app = self._secret_id(text(body, "app"))
        self._desk.tools.secrets.unset(app, texts(body, "names"))
        return {"app": app, "names": [*self._desk.tools.secrets.names(app)]}

    def rotate_secrets(self, body: Document) -> Document:
        """Seal all secrets with another key."""
        return {"sealed": self._desk.tools.secrets.rotate()}

    def wake_app(self, body: Document) -> Document:
        """Have the app `name` awake; a worker asks when a request comes."""
        return self._desk.wake(text(body, "name"))

    # Private

    def _id(self, name: str) -> str:
        return self._desk.whole_id(name)

    def _secret_id(self, name: str) -> str:
        """Secrets come before the first deploy."""
        return name if name.count("/") == 1 and all(name.split("/")) else self._id(name)


# Private


def _line(line: Line) -> Document:
    return {
        "time": line.time,
        "stream": str(line.stream),
        "instance": line.instance,
        "text": line.text,
        "goes_on": line.goes_on,
    }


def _spooled(body: IO[bytes], folder: str) -> IO[bytes]:
    """The body in a file without a name. Raises `Refused`."""
    try:
        with contextlib.ExitStack() as opened:
            os.makedirs(folder, 0o711, exist_ok=True)
            file = opened.enter_context(tempfile.TemporaryFile(dir=folder))
            size = 0
            while chunk := body.read(CHUNK_BYTES):
                size += len(chunk)
                if size > UPLOAD_BYTES:
                    text = f"The archive has more than {UPLOAD_BYTES} bytes."
                    raise Refused("too-large", text)
                file.write(chunk)
            file.flush()
            file.seek(0)
            opened.pop_all()  # it is whole: the deploy closes it
    except OSError as error:
        text = f"the archive is not kept in {folder}: {error.strerror or error}."
        raise Refused("disk-full", text) from None
    return file
