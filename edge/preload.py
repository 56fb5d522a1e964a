"""The modules that are loaded before the fork, while the interpreter can still read its library.

Workers share the pages of what the master imported. And an interpreter may live in a folder that
the workers' user cannot enter (a home folder of mode 0700): what gevent patches, and the parts of
the standard library that hooks use most, must be there already.
"""

import importlib
from typing import Final

PATCHED: Final = (
    "_threading_local", "concurrent.futures.thread", "contextvars", "queue", "selectors",
    "signal", "ssl", "subprocess",
)  # fmt: skip
"""What `gevent.monkey.patch_all` imports when it runs."""

HUB: Final = (
    "gevent.events", "gevent.local", "gevent.monkey", "gevent.os", "gevent.pool",
    "gevent.queue", "gevent.resolver.thread", "gevent.select", "gevent.selectors",
    "gevent.server", "gevent.signal", "gevent.socket", "gevent.ssl", "gevent.subprocess",
    "gevent.lock", "gevent.thread", "gevent.threading", "gevent.threadpool", "gevent.time",
)  # fmt: skip
"""What gevent itself imports when a hub is made or something is patched; importing makes none."""

FOR_HOOKS: Final = (
    "base64", "binascii", "bisect", "collections.abc", "copy", "csv", "datetime", "decimal",
    "difflib", "email.message", "email.utils", "encodings.ascii", "encodings.idna",
    "encodings.latin_1", "encodings.utf_16", "encodings.utf_8_sig", "fnmatch",
    "fractions", "glob", "gzip", "hashlib", "heapq", "hmac", "html", "html.parser",
    "http.client", "http.cookies", "ipaddress", "json", "locale", "math", "mimetypes",
    "operator", "pathlib", "pickle", "pprint", "random", "secrets", "shlex", "shutil",
    "sqlite3", "statistics", "string", "struct", "tempfile", "textwrap", "tomllib", "traceback",
    "types", "unicodedata", "urllib.error", "urllib.parse", "uuid", "weakref", "zlib",
    "zoneinfo",
)  # fmt: skip
"""What a hook module, or a method of one, is likely to import later."""


def preload() -> None:
    """Import them; a Python built without one of them goes without."""
    for name in (*PATCHED, *HUB, *FOR_HOOKS):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
