"""An app's folder becomes an `AppSpec`: from its edge.toml, and for the rest from its files."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from control.config.document import parse, read_text
from control.config.kind import nearest
from control.config.positions import inside, scan
from control.config.problem import Problem, Report
from control.config.walk import Walk
from control.manifest.agreement import check_agreement, parts_of
from control.manifest.app_kinds import ENV_NAME
from control.manifest.layers import Layer, Layers
from control.manifest.procfile import read_procfile
from control.manifest.programs import PATH, is_on_path
from control.manifest.project import Detection, Project, Undetected
from control.manifest.runtimes import detect
from control.manifest.schema import APP, ENV
from control.manifest.spec import AppSpec, Assets, Listen, Pairs, ProcessSpec, Step
from control.refusal import Refused

FILE_NAME: Final = "edge.toml"
USUAL_ENV: Final = "production"

_Finds = Callable[[str, str], bool]


def read(folder: str, env: str = "", path: str = PATH, finds: _Finds = is_on_path) -> AppSpec:
    """The app of a folder in one environment.

    An empty `env` is the only one of the file, else "production". Programs are looked for on
    `path`, unless the app has a PATH of its own. Raises `Refused` (`manifest-invalid`) with all
    problems.
    """
    file = os.path.join(folder, FILE_NAME)
    report = Report(file)
    text = read_text(file, 'an app has one, with at least name = "…"')
    if isinstance(text, Problem):
        raise _refused((text,))
    raw = parse(text, file)
    if isinstance(raw, Problem):
        raise _refused((raw,))
    place = scan(text)
    top = Layer(name="", raw=raw, values=Walk(report).table(APP, raw, place), place=place)
    envs = top.values.pop("envs", {})
    env = env or _usual_env(envs)
    try:
        ENV_NAME.read(env)
    except ValueError as error:
        report.add(0, "envs", str(error))
    layers = _layers(top, envs, env, report)
    if report.problems:
        raise _refused(report.problems)
    try:
        project = replace(_project(folder, layers.values, path), finds=finds)
        return _resolve(project, env, layers)
    except Undetected as problem:
        written = [key for key in ("main", "root", "runtime") if key in layers.values]
        layers.add(written[0] if written else "", str(problem))
    raise _refused(report.problems)


# Private


def _usual_env(envs: dict[str, Any]) -> str:
    return next(iter(envs)) if len(envs) == 1 else USUAL_ENV


def _layers(top: Layer, envs: dict[str, Any], env: str, report: Report) -> Layers:
    """The layers of the one environment; all of them are checked."""
    chosen = Layers(ENV, top, None, report)
    for name, values in envs.items():
        place = inside(inside(top.place, "envs"), name)
        raw = top.raw["envs"][name]
        layer = Layer(name=f"envs.{name}", raw=raw, values=values, place=place)
        layers = Layers(ENV, top, layer, report)
        check_agreement(layers)
        if name == env:
            chosen = layers
    if not envs:
        check_agreement(chosen)
    elif env not in envs:
        known = ", ".join(envs)
        report.add(0, "envs", f"there is no [envs.{env}]{nearest(env, envs)} (it has {known})")
    return chosen


def _resolve(project: Project, env: str, layers: Layers) -> AppSpec:
    """The spec of an environment without problems. Raises `Undetected`."""
    values = layers.values
    parts = parts_of(values)
    commands = _commands(values, project)
    optional = not parts["routes"] and bool(parts["processes"] or commands.processes)
    project = replace(project, has_start=bool(commands.start))
    found = _detect(project, values.get("runtime", ""), optional=optional)
    parts["processes"] += commands.processes
    if found.assets and not parts["assets"].folder:
        parts["assets"] = Assets(folder=found.assets[0], path=found.assets[1])
    return AppSpec(
        name=project.name,
        env=env,
        runtime=found.runtime,
        build=_steps(values.get("build", {}), found),
        release=commands.release,
        start=commands.start or found.start,
        root=found.root,
        vars=_over(found.vars, values.get("vars", ())),
        path=found.path,
        files=found.files,
        listen=project.listen,
        found=(*found.found, *commands.found),
        **parts,
    )


def _project(folder: str, values: dict[str, Any], path: str) -> Project:
    parts, own = parts_of(values), values.get("vars", ())
    return Project(
        folder=folder,
        name=values["name"],
        main=values.get("main", ""),
        root=values.get("root", ""),
        listen=Listen(values.get("listen", "port")),
        drain_s=parts["times"].drain_s,
        memory_bytes=parts["resources"].memory_bytes,
        vars=own,
        path=dict(own).get("PATH", path),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Commands:
    """What is run, as far as somebody has written it: in edge.toml, else in a Procfile."""

    start: tuple[str, ...]
    release: tuple[str, ...]
    processes: tuple[ProcessSpec, ...]  # of the Procfile alone
    found: Pairs


def _commands(values: dict[str, Any], project: Project) -> _Commands:
    lines = read_procfile(project)
    written = {"web": "start" in values or values.get("runtime") == "static" or "main" in values}
    written |= {"release": "release" in values}
    written |= dict.fromkeys(values.get("process", {}), True)
    used = {name: argv for name, argv in lines.items() if not written.get(name)}
    return _Commands(
        start=values.get("start", used.get("web", ())),
        release=values.get("release", used.get("release", ())),
        processes=tuple(
            ProcessSpec(name=name, argv=argv)
            for name, argv in used.items()
            if name not in ("web", "release")
        ),
        found=tuple(
            (_SETTING.get(name, f"process.{name}"), f"found Procfile: {name}") for name in used
        ),
    )


def _detect(project: Project, runtime: str, *, optional: bool) -> Detection:
    """`optional`: an app of processes alone needs nothing that serves."""
    try:
        return detect(project, runtime)
    except Undetected:
        if not optional:
            raise
    return detect(replace(project, has_start=True), runtime)


def _steps(build: dict[str, Any], found: Detection) -> tuple[Step, ...]:
    own = build.get("vars", ())
    if "commands" in build:
        return tuple(
            Step(argv=argv, vars=own, reason="written in edge.toml") for argv in build["commands"]
        )
    return tuple(replace(step, vars=_over(step.vars, own)) for step in found.build)


def _over(below: Pairs, above: Pairs) -> Pairs:
    return tuple((dict(below) | dict(above)).items())


def _refused(problems: tuple[Problem, ...]) -> Refused:
    lines = "\n".join(str(problem) for problem in problems)
    return Refused("manifest-invalid", lines, {"problems": [asdict(one) for one in problems]})


_SETTING: Final = {"web": "start", "release": "release"}
