"""An app as an operator sees it."""

from typing import Any

from control.apps.app import App
from control.instances.instance import Instance


def described(app: App, unreadable: str = "") -> dict[str, Any]:
    """An app, with its instances. `unreadable` is why its secrets cannot be read."""
    spec = app.record.spec
    instances = [] if app.fleet is None else app.fleet.instances
    return {
        "app": app.record.id,
        "state": app.shown.name.lower(),
        "release": app.record.current,
        "deploying": app.record.deploying,
        "runtime": spec.runtime if spec else "",
        "routes": [*spec.routes] if spec else [],
        "instances": [_instance(each) for each in instances],
        "processes": [
            _instance(each) | {"process": fleet.role}
            for fleet in app.beside
            for each in fleet.instances
        ],
        "least": spec.instances.min if spec else 0,
        "most": spec.instances.max if spec else 0,
        "problem": app.problem or unreadable,
        "lacks_secrets": bool(unreadable),
    }


# Private


def _instance(instance: Instance) -> dict[str, Any]:
    record = instance.record
    return {
        "name": instance.plan.launch.name,
        "state": instance.state.name.lower(),
        "pid": record.pid if record is not None else None,
        "port": instance.port,
        "deaths": instance.deaths,
        "why": instance.why,
        "last_death": instance.last_death,
    }
