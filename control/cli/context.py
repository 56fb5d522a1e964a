"""What every verb of `edgectl` has: whom to ask, and how to answer."""

import json
from collections.abc import Callable

import click

from control.cli.client import Client, Document, strange


class Context:
    """What every verb needs: where to ask, and how to answer."""

    def __init__(self, path: str, *, as_json: bool) -> None:
        self.client = Client(path)
        self.as_json = as_json

    def __repr__(self) -> str:
        return f"<Context {self.client!r}>"

    def say(self, document: Document, text: Callable[[Document], str]) -> None:
        """The document, for a program or for a person."""
        try:
            shown = json.dumps(document) if self.as_json else text(document)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise strange(document) from None
        click.echo(shown)
