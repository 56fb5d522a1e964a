"""The parts of control/README.md that are made from the code: `python -m tests.docs.reference`."""

import sys
from collections.abc import Iterator

from control import metrics as edged_metrics
from control.config.reference import as_markdown
from control.metrics import EdgeCollector
from edge.shared.segment import Segment
from tests.docs.pages import ROOT

PAGE = ROOT / "control" / "README.md"


def main() -> int:
    """Write the page anew."""
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def renewed(text: str) -> str:
    """The page with its made parts made anew."""
    text = _replaced(text, "settings", as_markdown().strip())
    return _replaced(text, "metrics", "\n".join(metrics()))


def metrics() -> Iterator[str]:
    """A table of all metrics."""
    yield "| metric | type | labels | what it says |"
    yield "|---|---|---|---|"
    gauges = dict.fromkeys(edged_metrics._GAUGES, 0.0)  # what control adds to the segment's
    for family in EdgeCollector(Segment.create(1), lambda: gauges).collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in getattr(family, "_labelnames", ()))
        yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


# Private


def _replaced(text: str, name: str, made: str) -> str:
    before, mark, rest = text.partition(f"<!-- {name}: ")
    assert mark, f"{PAGE} has no place for {name}"
    head, _, rest = rest.partition("\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    assert end, f"{PAGE} has no end of {name}"
    return f"{before}{mark}{head}\n\n{made}\n\n{end}{after}"


if __name__ == "__main__":
    sys.exit(main())
