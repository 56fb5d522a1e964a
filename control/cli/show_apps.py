"""Documents about apps as text for a person."""

import datetime
from typing import Any

import click

from control.cli.show import printable, table

Document = dict[str, Any]

_COLOURS = {"awake": "green", "failed": "red", "stopped": "yellow", "waking": "yellow"}


def apps(document: Document) -> str:
    """`edgectl apps`."""
    folders = [line for each in document["folders"] if (line := _folder(each))]
    if not document["apps"]:
        return "\n\n".join(["no apps: deploy one with 'edgectl deploy FOLDER'", *folders])
    rows = [
        [
            app["app"],
            app["state"],
            app["release"] or "-",
            f"{len(app['instances'])} of {app['least']}-{app['most']}",
            " ".join(str(each["port"]) for each in app["instances"]) or "-",
            " ".join(app["routes"]),
        ]
        for app in document["apps"]
    ]
    text = table(("app", "state", "release", "instances", "ports", "routes"), rows)
    for state, colour in _COLOURS.items():
        text = text.replace(f" {state} ", " " + click.style(state, fg=colour) + " ")
    problems = [
        f"{app['app']}: {printable(app['problem'])}" for app in document["apps"] if app["problem"]
    ]
    deaths = [
        f"{app['app']}: {each['name']}, {each['state']} now: {printable(each['last_death'])}"
        for app in document["apps"]
        for each in (*app["instances"], *app["processes"])
        if each.get("last_death") and not app["problem"]
    ]
    return "\n\n".join([text, *problems, *deaths, *folders])


def releases(document: Document) -> str:
    """`edgectl releases`."""
    rows = [
        [each["release"], _when(each["time"]), "serves" if each["serves"] else ""]
        for each in document["releases"]
    ]
    return table(("release", "made", ""), rows) if rows else "no releases"


def deployed(document: Document) -> str:
    """`edgectl deploy`, `rollback` and `restart`."""
    return printable(f"{document['app']}: release {document['release']} serves")


def deployed_to(document: Document) -> str:
    """`edgectl deploy --host`."""
    return "\n".join(f"{printable(each['host'])}: {deployed(each)}" for each in document["hosts"])


def secrets(document: Document) -> str:
    """`edgectl secrets`."""
    return printable("\n".join(document["names"])) or "no secrets"


def log_line(document: Document) -> str:
    """A line of `edgectl logs`."""
    when = datetime.datetime.fromtimestamp(document["time"]).astimezone()
    head = f"{when:%H:%M:%S} {document['instance']}"
    colour = {"stderr": "yellow", "edged": "cyan"}.get(document["stream"])
    return f"{click.style(head, dim=True)} {click.style(printable(document['text']), fg=colour)}"


# Private


def _folder(folder: Document) -> str:
    """What is to be said of an `[[app]]`; "" of one that serves as it is."""
    said = {
        "failed": f"is not deployed: {folder['message']}",
        "deploying": "is being deployed",
        "stopped": "is not deployed: its app is stopped",
        "removed": f"is not in the server file: {folder['app']} is stopped and kept",
    }.get(folder["state"])
    return printable(f"{folder['folder']} {said}") if said else ""


def _when(time: float) -> str:
    return f"{datetime.datetime.fromtimestamp(time).astimezone():%Y-%m-%d %H:%M:%S}"
