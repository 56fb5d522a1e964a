"""The parts of READMEs that are made from the code: `python -m tests.docs.reference`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from control import metrics as edged_metrics
from control.cli.main import edgectl
from control.config.reference import as_markdown
from control.manifest.reference import as_markdown as apps_as_markdown
from control.metrics import EdgeCollector
from edge.shared.segment import Segment
from tests.docs.pages import ROOT

PAGE = ROOT / "control" / "README.md"
APPS_PAGE = ROOT / "control" / "manifest" / "README.md"
VERBS_PAGE = ROOT / "control" / "cli" / "README.md"


def main() -> int:
    """Write the pages anew."""
    for page in (PAGE, APPS_PAGE, VERBS_PAGE):
        page.write_text(renewed(page), encoding="utf-8")
    return 0


def renewed(page: Path) -> str:
    """A page with its made parts made anew."""
    text = page.read_text(encoding="utf-8")
    if page == APPS_PAGE:
        return _replaced(page, text, "apps", apps_as_markdown().strip())
    if page == VERBS_PAGE:
        return _replaced(page, text, "verbs", "\n".join(verbs()))
    text = _replaced(page, text, "settings", as_markdown().strip())
    return _replaced(page, text, "metrics", "\n".join(metrics()))


def metrics() -> Iterator[str]:
    """A table of all metrics."""
    yield "| metric | type | labels | what it says |"
    yield "|---|---|---|---|"
    gauges = dict.fromkeys(edged_metrics._GAUGES, 0.0)  # what control adds to the segment's
    for family in EdgeCollector(Segment.create(1), lambda: gauges).collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in getattr(family, "_labelnames", ()))
        yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


def verbs() -> Iterator[str]:
    """A table of all verbs of `edgectl`."""
    yield "| verb | what it shows or does |"
    yield "|---|---|"
    for name, verb in edgectl.commands.items():
        yield f"| `{name}` | {verb.get_short_help_str(200)} |"


# Private


def _replaced(page: Path, text: str, name: str, made: str) -> str:
    before, mark, rest = text.partition(f"<!-- {name}: ")
    assert mark, f"{page} has no place for {name}"
    head, _, rest = rest.partition("\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    assert end, f"{page} has no end of {name}"
    return f"{before}{mark}{head}\n\n{made}\n\n{end}{after}"


if __name__ == "__main__":
    sys.exit(main())
