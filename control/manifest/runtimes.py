"""The runtimes: how each is recognised, and who knows how it is built and started.

The first that recognises a folder has it: those with a file of their own come before those whose
files are often beside another's (a package.json beside a Django project, an index.html anywhere).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from control.manifest.compiled import plan_binary, plan_go, recognise_binary
from control.manifest.deno import plan_deno
from control.manifest.java import plan_java, recognise_java
from control.manifest.node import plan_bun, plan_node, recognise_bun, recognise_node
from control.manifest.php import plan_php
from control.manifest.project import Detection, Project, Undetected
from control.manifest.python import plan_python, recognise_python
from control.manifest.ruby import plan_ruby
from control.manifest.static_site import plan_static, recognise_static


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A way to run apps."""

    name: str
    recognise: Callable[[Project], str]  # why a folder is of it; "" when it is not
    plan: Callable[[Project], Detection]  # raises `Undetected`


def detect(project: Project, runtime: str = "") -> Detection:
    """How a folder is built and started; `runtime` "" finds that out, too.

    Raises `Undetected`. A folder that no runtime knows is as its owner's `start` says.
    """
    for one in RUNTIMES:
        why = "written in edge.toml" if runtime else one.recognise(project)
        if why and runtime in ("", one.name):
            found = one.plan(project)
            return found.but(found=(("runtime", f"{one.name}: {why}"), *found.found))
    if project.has_start:
        return Detection(runtime="")
    known = ", ".join(one.name for one in RUNTIMES)
    raise Undetected(
        'nothing in this folder says how the app is run: write runtime = "…" (one of'
        f' {known}), or start = ["PROGRAM", …]'
    )


# Private


def _by_files(*names: str) -> Callable[[Project], str]:
    def recognise(project: Project) -> str:
        name = project.first(*names)
        return f"found {name}" if name else ""

    return recognise


RUNTIMES: Final = (
    Runtime(
        name="deno",
        recognise=_by_files("deno.json", "deno.jsonc", "deno.lock"),
        plan=plan_deno,
    ),
    Runtime(name="bun", recognise=recognise_bun, plan=plan_bun),
    Runtime(name="go", recognise=_by_files("go.mod"), plan=plan_go),
    Runtime(name="ruby", recognise=_by_files("Gemfile", "config.ru"), plan=plan_ruby),
    Runtime(name="python", recognise=recognise_python, plan=plan_python),
    Runtime(
        name="php",
        recognise=_by_files("composer.json", "public/index.php", "index.php"),
        plan=plan_php,
    ),
    Runtime(name="java", recognise=recognise_java, plan=plan_java),
    Runtime(name="node", recognise=recognise_node, plan=plan_node),
    Runtime(name="static", recognise=recognise_static, plan=plan_static),
    Runtime(name="binary", recognise=recognise_binary, plan=plan_binary),
)
