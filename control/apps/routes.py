"""What an app serves, as routes: its instances, the files of its release, or that it is stopped."""

import os
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from typing import Final

from control.apps.app import App
from control.apps.slumber import State
from control.config.hosts import HostTls, host_of
from control.manifest.spec import AppSpec
from edge.table.model import AppRoute, Balancing, Files, PathRewrite, Route

STATIC_FORMER: Final = 2
"""Hashed files of so many releases before are served yet: pages of theirs may be open."""

MISSING: Final = "404.html"


def owner_of(app: App) -> str:
    """Whose its routes are."""
    return f"app {app.record.id}"


def routes_of(app: App) -> Iterator[Route]:
    """The routes of an app, as it is now."""
    spec = app.record.spec
    if spec is None:
        return
    is_stopped = app.state is State.STOPPED
    files = None if is_stopped else _files(app, spec)
    served = _served(app, spec) if spec.start or is_stopped else None
    beside = files if spec.assets.path == "/" or served is None else None
    for pattern in spec.routes:
        if served is not None:
            yield replace(served, pattern=pattern, files=beside)
        else:
            pages = _pages(app, files) if files is not None else ()
            yield Route(pattern=pattern, owner=owner_of(app), files=files, error_pages=pages)
    if files is not None and beside is None:
        prefix = PathRewrite(strip_prefix=spec.assets.path)
        alone = replace(files, beside=False)
        for pattern in _below(spec):
            yield Route(pattern=pattern, owner=owner_of(app), files=alone, path=prefix)


def hosts_of(routes: Iterable[Route], known: Container[str]) -> tuple[HostTls, ...]:
    """The hosts of apps' routes that are not known otherwise, each once."""
    found: dict[str, HostTls] = {}
    for route in routes:
        host = host_of(route.pattern)
        if host != "*" and host not in known:
            found.setdefault(host, HostTls(host=host, owner=route.owner, place=route.owner))
    return tuple(found.values())


# Private


def _files(app: App, spec: AppSpec) -> Files | None:
    """What is served of the release itself, and of those before."""
    folder = spec.root or spec.assets.folder
    if not folder:
        return None
    record, home = app.record, app.tools.home(app.record)
    before = [each.number for each in record.releases if each.number != record.current]
    former = [
        path
        for number in before[-STATIC_FORMER:]
        if os.path.isdir(path := os.path.join(home.release(number), folder))
    ]
    return Files(
        root=os.path.normpath(os.path.join(home.release(record.current), folder)),
        former=tuple(os.path.normpath(path) for path in former),
        beside=bool(spec.start),
    )


def _pages(app: App, files: Files) -> tuple[tuple[str, str], ...]:
    """What a site itself says of a page that is not there. Nothing outside its release is read."""
    release = app.tools.home(app.record).release(app.record.current)
    path = os.path.join(files.root, MISSING)
    is_inside = os.path.realpath(path).startswith(os.path.realpath(release) + os.sep)
    return (("404", path),) if is_inside and os.path.isfile(path) else ()


def _served(app: App, spec: AppSpec) -> Route:
    """The route to its instances, but for its pattern; without any, a request wakes it."""
    waking = AppRoute(
        id=app.record.id,
        start_s=spec.times.start_s,
        queue=spec.waiting.room,
        page=spec.waiting.page,
    )
    return Route(
        pattern="",
        owner=owner_of(app),
        upstreams=app.addresses,
        balancing=Balancing(policy="least_conn"),
        app=waking,
    )


def _below(spec: AppSpec) -> list[str]:
    """The patterns of files that are served at a path of their own."""
    hosts = dict.fromkeys(host_of(pattern) for pattern in spec.routes)
    patterns = [f"{host}{spec.assets.path.rstrip('/')}/*" for host in hosts]
    return [pattern for pattern in patterns if pattern not in spec.routes]
