"""Documents as text for a person: sentences, and tables that line up.

What comes from outside (paths, header values, tracebacks) is shown with its control characters
escaped, so that nothing can steer the terminal.
"""

import datetime
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import click

Document = dict[str, Any]

_STATE_COLOURS: Final = {"ready": "green", "draining": "yellow", "starting": "yellow"}


def printable(text: object) -> str:
    """The text with everything but line breaks and printable characters escaped."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii")
        for c in str(text)
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns that line up; numbers to the right."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    right = [bool(cells) and all(_is_number(row[i]) for row in cells) for i in range(len(heads))]
    lines = [_line(heads, widths, right), *(_line(row, widths, right) for row in cells)]
    return "\n".join([click.style(lines[0], bold=True), *lines[1:]])


def status(document: Document) -> str:
    """`edgectl status`."""
    parts = [
        f"edged {document['version']} serves {_count(document['routes'], 'route')} on"
        f" {' '.join(document['http'])}, up {duration(document['uptime_s'])}",
        f"config      {document['config']}, applied {_when(document['applied_at'])},"
        f" generation {document['generation']}",
        f"processes   master {document['master_pid']}, control {document['control_pid']}"
        f" (restarted {document['control_restarts']} times)",
        f"answers     {_totals(document['totals'])}",
    ]
    if document["metrics"]:
        parts.insert(3, f"metrics     http://{document['metrics']}/metrics")
    text = printable("\n".join(parts)) + "\n\n" + workers(document["workers"]) + "\n"
    for mode in document.get("modes", ()):
        text += "\n" + click.style(f"{mode['target']} is in {mode['kind']}", fg="yellow") + "\n"
    if document.get("bans"):
        text += f"\n{_count(document['bans'], 'ban')}: see 'edgectl bans'\n"
    if document.get("isolation_missing"):
        missing = [f"  {printable(sentence)}" for sentence in document["isolation_missing"]]
        text += "\n" + "\n".join(["apps are kept apart less than they could be:", *missing]) + "\n"
    crashed = document.get("crashes", ())
    if crashed:
        head = click.style("crashes of the last hour", fg="yellow", bold=True)
        text += "\n".join(["", head, *_crashes(crashed, document["crash_count"]), ""])
    problems = document["problems"]
    if not problems:
        well = "no problems now" if crashed else "no problems"
        return text + "\n" + click.style(well, fg="green")
    lines = [f"  {each['code']}: {printable(each['message'])}" for each in problems]
    return text + "\n" + click.style("problems", fg="red", bold=True) + "\n" + "\n".join(lines)


def workers(listed: Iterable[Document]) -> str:
    """`edgectl workers`."""
    heads = ("slot", "pid", "state", "roll", "generation", "connections", "exchanges", "upgraded",
             "idle peers", "heartbeat", "age")  # fmt: skip
    keys = ("slot", "pid", "state", "code", "acked", "connections", "exchanges", "upgraded",
            "idle_peers")  # fmt: skip
    rows = [
        [
            *(_dash(worker.get(key)) for key in keys),
            _dash(worker.get("heartbeat_age_s"), " s"),
            duration(worker.get("age_s")),
        ]
        for worker in listed
    ]
    text = table(heads, rows)
    for state, colour in _STATE_COLOURS.items():
        text = text.replace(f" {state} ", " " + click.style(state, fg=colour) + " ")
    return text


def routes(document: Document) -> str:
    """`edgectl routes`."""
    rows = [(r["pattern"], _goal(r), r.get("owner", "")) for r in document["routes"]]
    shown = len(rows)
    more = document["total"] - document["offset"] - shown
    text = table(("match", "goes to", "from"), rows) if rows else "no routes"
    return text + (f"\n{more} more: use --offset {document['offset'] + shown}" if more > 0 else "")


def explain(document: Document) -> str:
    """`edgectl explain`."""
    lines = [f"{document['method']} {document['url']}"]
    answer = document.get("answer")
    for candidate in document.get("candidates", ()):
        mark = "→" if candidate["chosen"] else " "
        lines.append(f"  {mark} {candidate['pattern']}  ({candidate['owner']})  {candidate['why']}")
    for phase, hooks in document.get("hooks", {}).items():
        lines.append(f"  {phase:<22} {', '.join(hooks)}")
    if answer is not None:
        lines.append(f"  answer                 {_answer(answer)}")
    if "peers" in document:
        peers, balance = " ".join(document["peers"]), document["balance"]
        lines += [
            f"  peers                  {peers}  ({balance}, at most {document['attempts']} tried)",
            f"  sent as                {document['method']} {document['upstream_target']}",
        ]
        lines += [f"    + {name}: {value}" for name, value in document["headers_added"]]
        lines += [f"    - {name}: {value}" for name, value in document["headers_removed"]]
    return printable("\n".join(lines))


def reloaded(document: Document) -> str:
    """`edgectl reload`."""
    rolled = "workers rolled" if document["rolled"] else "no worker restarted"
    text = (
        f"reloaded; routes: {_changes(document['routes'])}; {rolled}; generation"
        f" {document['generation']}, {document['milliseconds']} ms"
    )
    return text + _behind(document["unacked"])


def checked(document: Document) -> str:
    """`edgectl check`."""
    rolls = "the workers roll" if document["rolls"] else "no worker restarts"
    return printable(
        f"{document['path']} is good. A reload would change routes: {_changes(document['routes'])};"
        f" {rolls}."
    )


def hooks(document: Document) -> str:
    """`edgectl hooks`."""
    if not document["hooks"]:
        return "no hooks"
    return table(
        ("hook", "phases", "on error", "calls", "errors", "µs each", "from"),
        [
            (
                h["name"],
                " ".join(h["phases"]),
                h["on_error"],
                h["calls"],
                h["errors"],
                _dash(h["mean_us"]),
                f"{h['source']}:{h['line']}",
            )
            for h in document["hooks"]
        ],
    )


def peers(document: Document) -> str:
    """`edgectl peers`."""
    rows = [
        (
            each["peer"],
            each["state"],
            _dash(each.get("under_way")),
            _dash(each.get("exchanges")),
            _dash(each.get("failures")),
            _reason(each),
        )
        for each in document["peers"]
    ]
    heads = ("peer", "state", "under way", "exchanges", "failures", "why")
    return table(heads, rows) if rows else "no peers"


def bans(document: Document) -> str:
    """`edgectl bans`."""
    rows = [(each["network"], duration(each["left_s"])) for each in document["bans"]]
    return table(("network", "for"), rows) if rows else "nobody is banned"


def modes(document: Document) -> str:
    """`edgectl modes`."""
    rows = [
        (each["target"], each["kind"], " ".join(each["allow"]), each["message"])
        for each in document["modes"]
    ]
    heads = ("target", "mode", "but for", "message")
    return table(heads, rows) if rows else "all routes serve as usual"


def certs(document: Document) -> str:
    """`edgectl certs`."""
    rows = [
        (
            each["host"],
            each["state"],
            each["issuer"],
            _when(each["not_after"]),
            f"{each['next']} {_when(each['next_at'])}" if each["next_at"] else "",
            each["problem"],
        )
        for each in document["certs"]
    ]
    heads = ("host", "state", "issuer", "expires", "next", "problem")
    return table(heads, rows) if rows else "no host has TLS"


def renewed(document: Document, what: str) -> str:
    """`edgectl certs renew` and `edgectl certs revoke`."""
    until = f"of {document['issuer']}, good until {_when(document['not_after'])}"
    return printable(f"{document['host']} {what} {until}") + _behind(document["unacked"])


def trusted(document: Document) -> str:
    """`edgectl trust` and `edgectl untrust`."""
    would = "would " if document["dry_run"] else ""
    lines = [f"{would}{step}" for step in document["done"]]
    lines += [f"failed to {step}" for step in document["failed"]]
    lines += document["notes"]
    return printable("\n".join(lines) if lines else "there is nothing to do")


def entered(document: Document, what: str) -> str:
    """`edgectl maintenance` and `edgectl pause`."""
    text = printable(f"{document['target']} {what}")
    return text + _behind(document["unacked"])


def event(entry: Document) -> str:
    """One line of `edgectl events`, with its detail below."""
    text = f"{_when(entry['time'])}  {entry['event']:<15} {entry['text']}"
    detail = entry.get("detail")
    if isinstance(detail, str) and detail.strip():
        text += "\n    " + detail.strip().replace("\n", "\n    ")
    return printable(text)


def refusal(document: Document) -> str:
    """What was refused, and the traceback that says where."""
    trace = str(document.get("traceback", "")).strip()
    return printable(document["message"] + (f"\n{trace}" if trace else ""))


def duration(seconds: float | None) -> str:
    """About how long, in the two largest units."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    for unit, size, next_unit, next_size in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} {seconds % size // next_size:.0f} {next_unit}"
    raise AssertionError("longer than a minute, and than nothing")


# Private


def _crashes(latest: Sequence[Document], count: int) -> Iterator[str]:
    if count > len(latest):
        yield f"  {count - len(latest)} earlier ones: see 'edgectl events'"
    for each in latest:
        then = "and was replaced" if each["is_replaced"] else "and is not replaced yet"
        yield f"  {_when(each['time'])}  {printable(each['message'])}, {then}"


def _behind(slots: list[int]) -> str:
    if not slots:
        return ""
    named = ", ".join(map(str, slots))
    return f"\nnot taken up yet by the workers of slots {named}: see 'edgectl status'"


def _reason(peer: Document) -> str:
    if peer["state"] == "ejected":
        return f"failed; left alone for {peer['ejected_for_s']} s more"
    return str(peer.get("why", ""))


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    return "  ".join(
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    ).rstrip()


def _is_number(text: str) -> bool:
    return text == "-" or text.split(" ")[0].replace(".", "", 1).isdigit()


def _dash(value: object, unit: str = "") -> str:
    return "-" if value is None else f"{value}{unit}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _when(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    when = datetime.datetime.fromtimestamp(seconds, datetime.UTC).astimezone()
    return when.strftime("%Y-%m-%d %H:%M:%S")


def _changes(counts: Document) -> str:
    return ", ".join(f"{n} {what}" for what, n in counts.items() if n) or "nothing"


def _totals(totals: Document) -> str:
    statuses = ", ".join(f"{n} {name}" for name, n in totals["statuses"].items() if n)
    return f"{totals['exchanges']}" + (f" ({statuses})" if statuses else "")


def _goal(route: Document) -> str:
    if route.get("redirect"):
        return f"{route['redirect']['status']} {route['redirect']['to']}"
    if route.get("respond"):
        return f"{route['respond']['status']} of its own"
    if route.get("files"):
        return f"files of {route['files']['root']}"
    names = [found["name"] for found in route.get("names", ()) if not found["addresses"]]
    peers = [*route.get("upstreams", ()), *(f"{name} (unresolved)" for name in names)]
    return " ".join(peers) or "nothing"


def _answer(answer: Document) -> str:
    if answer["kind"] == "redirect":
        return f"{answer['status']}, to {answer['location']}"
    if answer["kind"] == "fixed":
        return f"{answer['status']}, of its own: {answer['body'][:60]!r}"
    if answer["kind"] == "files":
        return f"a file of {answer['root']}"
    return f"{answer['status']} {answer['reason']}: {answer['why']}"
