"""Hide paths that no visitor should see, before any route is chosen.

The path is the normalised one: `/%2egit/config` and `/x/../.git/config` are caught too.
"""

from edge import Exchange, Hook, Response

PRIVATE = ("/.git", "/.env", "/wp-admin", "/internal")


class BlockPrivate(Hook):
    """404 for private paths, so that they cannot be told from ones that do not exist."""

    def early_request_filter(self, exchange: Exchange) -> Response | None:
        path = exchange.request.path
        if any(path == prefix or path.startswith(prefix + "/") for prefix in PRIVATE):
            return Response(404, "Not found.\n")
        return None
