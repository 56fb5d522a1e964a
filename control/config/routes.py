"""What the settings of one `[[route]]` must agree on."""

import os
import re
from typing import Any, Final

from control.config.address import is_name
from control.config.machine import Machine
from control.config.positions import Node, inside, line_of
from control.config.problem import Report
from control.config.route_schema import ROUTE

ANSWERS: Final = ("upstreams", "root", "redirect", "respond")
BODILESS: Final = (204, 205, 304)
RESPOND_BODY_BYTES: Final = 1 << 20


def check_route(raw: dict[str, Any], values: dict[str, Any], place: Node, report: Report) -> None:
    """Check a route whose single values were read into `values` (refused ones are missing)."""
    written = [key for key in ANSWERS if key in raw]
    if not written:
        report.add(line_of(place), "route", "has none of upstreams, root, redirect and respond")
    elif len(written) > 1:
        message = f"has {' and '.join(written)}: a route has just one of them"
        report.add(line_of(inside(place, written[1])), "route", message)
    elif written[0] != "upstreams":
        _check_useless(raw, place, report, written[0])
    if "files" in raw and "root" not in raw:
        message = 'means nothing without "root"'
        report.add(line_of(inside(place, "files")), "route.files", message)
    for key in ("match", "upstreams"):
        if values.get(key) == ():
            report.add(line_of(inside(place, key)), f"route.{key}", "is empty: name at least one")
    _check_rewrite(values.get("rewrite", {}), inside(place, "rewrite"), report)
    _check_respond(values.get("respond", {}), inside(place, "respond"), report)
    _check_host_field(values, place, report)
    _check_weights(values, place, report)
    _check_traffic(values, place, report)
    _check_access(values, place, report)


def check_files(values: dict[str, Any], place: Node, report: Report, machine: Machine) -> None:
    """Check that the files that a route names are there."""
    folder = os.path.dirname(os.path.abspath(report.file))
    named = [
        ("error_pages", path, inside(inside(place, "error_pages"), status))
        for status, path in values.get("error_pages", ())
    ]
    keys = values.get("jwt", {}).get("jwks", "")
    if keys and "://" not in keys:
        named.append(("jwt.jwks", keys, inside(inside(place, "jwt"), "jwks")))
    for key, path, here in named:
        whole = os.path.normpath(os.path.join(folder, path))
        if not machine.is_file(whole):
            report.add(line_of(here), f"route.{key}", f'there is no file "{whole}"')


# Private


def _check_useless(raw: dict[str, Any], place: Node, report: Report, answer: str) -> None:
    for setting in ROUTE.settings:
        if answer == "root" and setting.key == "strip_prefix":
            continue
        if setting.needs_upstreams and setting.key in raw:
            line = line_of(inside(place, setting.key))
            message = f'means nothing on a route with "{answer}": nothing goes upstream'
            report.add(line, f"route.{setting.key}", message)


def _check_rewrite(values: dict[str, Any], place: Node, report: Report) -> None:
    if "pattern" not in values or "to" not in values:
        return
    # Always matches, with the same groups: the newline ends a comment of a verbose pattern.
    match = re.compile(values["pattern"] + "\n|").match("")
    assert match is not None
    try:
        match.expand(values["to"])
    except (re.error, IndexError) as error:
        message = f'"{values["to"]}" does not fit the pattern: {error}'
        report.add(line_of(inside(place, "to")), "route.rewrite.to", message)


def _check_respond(values: dict[str, Any], place: Node, report: Report) -> None:
    body = values.get("body", "")
    if values.get("status") in BODILESS and body:
        message = f"an answer with status {values['status']} has no body: leave it out"
        report.add(line_of(inside(place, "body")), "route.respond.body", message)
    size = len(body.encode("utf-8", "surrogatepass"))
    if size > RESPOND_BODY_BYTES:
        message = f"has {size} bytes: at most 1MiB, serve larger ones from an upstream"
        report.add(line_of(inside(place, "body")), "route.respond.body", message)


def _check_host_field(values: dict[str, Any], place: Node, report: Report) -> None:
    rules = values.get("request_headers", {})
    here = inside(place, "request_headers")
    names = [name for name, _ in rules.get("set", ())]
    for key, found in (("set", names), ("remove", rules.get("remove", ()))):
        if "host" in [name.lower() for name in found if name]:
            message = 'the Host that goes upstream is set by "upstream_host"'
            report.add(line_of(inside(here, key)), f"route.request_headers.{key}", message)


def _check_weights(values: dict[str, Any], place: Node, report: Report) -> None:
    weights, peers = values.get("weights"), values.get("upstreams", ())
    if weights is None:
        return
    line = line_of(inside(place, "weights"))
    if len(weights) != len(peers):
        message = f"has {len(weights)} values for {len(peers)} upstreams: one for each"
        report.add(line, "route.weights", message)
    if values.get("balance", "round_robin") == "round_robin":
        message = 'means nothing with round_robin: write balance = "weighted"'
        report.add(line, "route.weights", message)


def _check_traffic(values: dict[str, Any], place: Node, report: Report) -> None:
    for table, key in _NOT_EMPTY:
        if values.get(table, {}).get(key) == ():
            line = line_of(inside(inside(place, table), key))
            report.add(line, f"route.{table}.{key}", "is empty: name at least one")
    peers = values.get("upstreams", ())
    if values.get("hedge") and len(peers) == 1 and not is_name(peers[0] or ""):
        message = "means nothing with one upstream: there is no second one to ask"
        report.add(line_of(inside(place, "hedge")), "route.hedge", message)


def _check_access(values: dict[str, Any], place: Node, report: Report) -> None:
    cors = values.get("cors", {})
    if cors.get("credentials") and "*" in cors.get("origins", ()):
        message = 'browsers refuse it with the origin "*": name the origins'
        line = line_of(inside(inside(place, "cors"), "credentials"))
        report.add(line, "route.cors.credentials", message)
    if "basic_auth" in values and "jwt" in values and not values["jwt"].get("cookie"):
        message = 'needs the Authorization field, as "basic_auth" does: set "cookie", or drop one'
        report.add(line_of(inside(place, "jwt")), "route.jwt", message)


_NOT_EMPTY: Final = (
    ("canary", "upstreams"),
    ("cors", "origins"),
    ("jwt", "algorithms"),
    ("basic_auth", "users"),
)
