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
    "edge/shared/names.py": "only a test or a script without a server makes a segment",
    "control/cli": "a verb loads what it needs",
}
"""Where functions import, and why. In all other files the head of the file says it all."""

IMPORTED = """
import importlib, json, sys, threading
importlib.import_module(sys.argv[1])
hub = sys.modules.get("gevent._hub_local")
print(json.dumps({
    "threads": threading.active_count(),
    "hub": hub is not None and hub.get_hub_if_exists() is not None,
    "modules": sorted(sys.modules),
}))
"""


def imported(module: str) -> dict:
    """What a new interpreter holds when it has imported that module."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORTED, module],
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


def test_the_workers_code_makes_no_hub_and_no_thread_when_the_master_preloads_it() -> None:
    found = imported("edge.worker")
    assert "gevent" in found["modules"]
    assert (found["threads"], found["hub"]) == (1, False)
    assert not any(name.startswith(("control", "supervisor")) for name in found["modules"])


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
