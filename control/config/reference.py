"""References of settings, made from their schema: what documentation is tested against."""

from collections.abc import Iterator

from control.config import kinds, schema
from control.config.setting import Group, Setting, Shape


def setting_names() -> list[str]:
    """Every setting by its full name, such as "server.workers" and "route.redirect.to"."""
    return [f"{group.name}.{setting.key}" for group, setting in _settings()]


def as_markdown() -> str:
    """The reference as markdown, one table per group."""
    titles = [
        f"[[{one.name}]]" if one in schema.ARRAYS else f"[{one.name}]" for one in schema.ALL_GROUPS
    ]
    groups = zip(titles, schema.ALL_GROUPS, strict=True)
    return "\n\n".join([*(section(title, group) for title, group in groups), _UNITS]) + "\n"


def section(title: str, group: Group) -> str:
    """A group's table."""
    rows = [
        f"| `{one.key}` | {_type(one)} | {_default(group, one)} | {_doc(one)} |"
        for one in group.settings
    ]
    head = ["| key | type | default | what it does |", "|---|---|---|---|"]
    return "\n".join([f"### {title}", "", group.doc, "", *head, *rows])


# Private

_UNITS = """\
### Units

A duration is a number with a unit: `ms`, `s`, `m`, `h`, `d`, also joined (`"1h30m"`). A size is a
number of bytes, or one with a unit: `KiB`, `MiB`, `GiB` (1024), `kB`, `MB`, `GB` (1000), `k`, `m`,
`g` (1024, as in nginx). Relative paths start at the folder of the server file. An array of one
string may be written as the string."""


def _settings() -> Iterator[tuple[Group, Setting]]:
    for group in schema.ALL_GROUPS:
        for setting in group.settings:
            yield group, setting


def _type(setting: Setting) -> str:
    match setting.shape:
        case Shape.TABLE:
            return "string or table" if setting.group and setting.group.short else "table"
        case Shape.FIELDS:
            return "table of strings"
        case Shape.MAP:
            return f"table of {setting.kind.name}s"
        case Shape.TABLES:
            return "tables"
        case Shape.MANY:
            return f"array of {setting.kind.name}"
        case Shape.ONE:
            return setting.kind.name.replace("|", "\\|")


def _default(group: Group, setting: Setting) -> str:
    if setting.default_doc:
        return setting.default_doc
    if setting.key in group.required:
        return "required"
    if setting.default is None:
        return "none"
    if setting.shape is not Shape.ONE:
        return "`[]`" if setting.shape is Shape.MANY else "`{}`"
    return f"`{setting.kind.show(setting.default)}`"


def _doc(setting: Setting) -> str:
    if setting.kind is kinds.FLAG or setting.high is None or setting.low is None:
        return setting.doc
    show = setting.kind.show
    bounds = f"({show(setting.low)} to {show(setting.high)})".replace('"', "")
    return f"{setting.doc} {bounds}"
