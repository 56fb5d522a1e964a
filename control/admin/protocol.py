"""The admin API's words: which refusal is which HTTP status, and what a question may ask for."""

from typing import Final

BODY_BYTES: Final = 1 << 20
WORKER: Final = "edged.worker"
"""What a WSGI environment has when the workers' user asks, and that is none who may do more."""

UID: Final = "edged.uid"
"""The same with whose the process is that asks."""

PAGE: Final = 100
LARGEST_PAGE: Final = 10_000

STATUS: Final[dict[str, str]] = {
    "bad-request": "400 Bad Request",
    "bad-url": "400 Bad Request",
    "bad-client": "400 Bad Request",
    "forbidden": "403 Forbidden",
    "denied": "403 Forbidden",
    "not-found": "404 Not Found",
    "method": "405 Method Not Allowed",
    "authority-broken": "503 Service Unavailable",
    "busy": "409 Conflict",
    "still-busy": "409 Conflict",
    "restart-needed": "409 Conflict",
    "too-many": "429 Too Many Requests",
    "too-large": "413 Content Too Large",
    "archive-too-large": "413 Content Too Large",
    "archive-malformed": "422 Unprocessable Content",
    "archive-unsafe": "422 Unprocessable Content",
    "secret-invalid": "422 Unprocessable Content",
    "secret-too-large": "413 Content Too Large",
    "secrets-damaged": "503 Service Unavailable",
    "secrets-key-missing": "503 Service Unavailable",
    "secrets-key-wrong": "503 Service Unavailable",
    "archive-unwritable": "503 Service Unavailable",
    "config-invalid": "422 Unprocessable Content",
    "manifest-invalid": "422 Unprocessable Content",
    "hooks-failed": "422 Unprocessable Content",
    "acme-failed": "502 Bad Gateway",
    "app-failed": "502 Bad Gateway",
    "app-broken": "503 Service Unavailable",
    "app-stopped": "409 Conflict",
    "route-taken": "409 Conflict",
    "deploy-abandoned": "409 Conflict",
    "command-failed": "422 Unprocessable Content",
    "apply-failed": "502 Bad Gateway",
    "upgrade-failed": "502 Bad Gateway",
    "master-refused": "502 Bad Gateway",
    "internal": "500 Internal Server Error",
    "database-locked": "503 Service Unavailable",
    "database-failed": "503 Service Unavailable",
    "database-corrupt": "503 Service Unavailable",
    "disk-full": "507 Insufficient Storage",
    "master-gone": "503 Service Unavailable",
    "timeout": "504 Gateway Timeout",
    "master-silent": "504 Gateway Timeout",
    "state-newer": "503 Service Unavailable",
    "stopping": "503 Service Unavailable",
    "table-format": "503 Service Unavailable",
    "value-damaged": "503 Service Unavailable",
    "table-unreadable": "503 Service Unavailable",
}
"""Every refusal's code, which never changes, and its HTTP status."""


def status_of(code: str) -> str:
    """The status line's end for a refusal."""
    return STATUS[code]
