"""Imports: what a fresh process loads before the fork, and where an import may hide."""

import ast
import json
import subprocess
import sys

import pytest

from tests.architecture.sources import ROOT, sources

BEFORE_THE_FORK = ["control.serve", "control.config", "supervisor.master", "supervisor.rehearsal"]

LATE = {
    "control/serve.py": "`edged --check` and `edged --help` load no server",
    "control/cli": "a verb loads what it needs",
}
"""Where functions import, and why. In all other files the head of the file says it all."""

IMPORTED = """
import importlib, json, sys, threading
module = importlib.import_module(sys.argv[1])
for call in sys.argv[2:]:
    getattr(module, call)()
hub = sys.modules.get("gevent._hub_local")
print(json.dumps({
    "threads": threading.active_count(),
    "hub": hub is not None and hub.get_hub_if_exists() is not None,
    "modules": sorted(sys.modules),
}))
"""


def imported(module: str, *calls: str) -> dict:
    """What a new interpreter holds when it has imported that module (and called those)."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORTED, module, *calls],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=60,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", BEFORE_THE_FORK)
def test_the_master_loads_no_loop_library_and_starts_no_thread(module: str) -> None:
    found = imported(module)
    assert found["threads"] == 1
    assert {"gevent", "greenlet", "asyncio", "control.main", "edge.worker"}.isdisjoint(
        found["modules"]
    )


def test_what_the_master_preloads_makes_no_hub_and_no_thread() -> None:
    found = imported("supervisor.master", "preload")
    assert {"gevent", "edge.worker"} <= set(found["modules"])
    assert (found["threads"], found["hub"]) == (1, False)


def test_the_workers_code_loads_nothing_of_the_master_or_of_control() -> None:
    found = imported("edge.worker")["modules"]
    assert not any(name.startswith(("control", "supervisor")) for name in found)


def test_a_hooks_author_gets_no_server_by_importing_edge() -> None:
    assert {"gevent", "edge.worker", "edge.session"}.isdisjoint(imported("edge")["modules"])


def test_imports_stand_at_the_head() -> None:
    late = [
        f"{source}:{node.lineno}: {ast.unparse(node)}"
        for source in sources()
        if LATE.keys().isdisjoint({str(source), str(source.path.parent.relative_to(ROOT))})
        for function in source.functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert late == []


def test_imports_name_their_whole_way() -> None:
    short = [
        f"{source}:{node.lineno}: {ast.unparse(node)}"
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom)
        and (node.level or "*" in {alias.name for alias in node.names})
    ]
    assert short == []
