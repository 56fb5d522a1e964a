"""The reference of an app's settings, made from the schema."""

from control.config.reference import section
from control.manifest.schema import GROUPS


def setting_names() -> list[str]:
    """Every setting by its full name, such as "name" and "health.path"."""
    return [
        f"{group.name}.{setting.key}" if group.name else setting.key
        for _, group in GROUPS
        for setting in group.settings
    ]


def as_markdown() -> str:
    """The reference as markdown, one table per group."""
    return "\n\n".join(section(title, group) for title, group in GROUPS) + "\n"
