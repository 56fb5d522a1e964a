"""PHP: FrankenPHP where the server has it, else the server of `php` itself."""

from typing import Final

from control.manifest import php_router
from control.manifest.project import Detection, Project, Undetected
from control.manifest.spec import Step

VARS: Final = (("PHP_CLI_SERVER_WORKERS", "8"), ("PHP_MEMORY_LIMIT", "128M"))
"""Requests at a time of `php -S`, which answers one without it, and memory of each, which has no
limit on the command line."""


def plan_php(project: Project) -> Detection:
    """`public/` with an index.php, else the whole folder."""
    steps: tuple[Step, ...] = ()
    if project.has("composer.json"):
        project.need_tool("composer", why="composer.json")
        argv = ("composer", "install", "--no-dev", "--no-interaction", "--optimize-autoloader")
        steps = (Step(argv=argv, reason="found composer.json"),)
    found = Detection(runtime="php", build=steps, vars=VARS)
    if project.has_start:
        return found
    index = project.main or project.first("public/index.php", "web/index.php", "index.php")
    if not index:
        raise Undetected("there is no index.php at the top, in public/ or in web/")
    root = index.rpartition("/")[0] or "."
    tool = project.need_tool("frankenphp", "php", why=index)
    found = found.but(found=(("start", f"found {index}, served by {tool}"),))
    if tool == "frankenphp":
        return found.but(start=(*_FRANKENPHP, root))
    return found.but(
        start=("php", *_SETTINGS, "-S", "$HOST:$PORT", "-t", root, php_router.FILE),
        files=((php_router.FILE, php_router.TEXT),),
    )


# Private

_FRANKENPHP: Final = ("frankenphp", "php-server", "--listen", "$HOST:$PORT", "--root")

_SETTINGS: Final = (
    "-q",  # three lines for each request, and no others: errors go where the next ones say
    "-d", "display_errors=0", "-d", "log_errors=1", "-d", "error_log=/dev/stderr",
    # As behind a web server, not as on a command line.
    "-d", "memory_limit=${PHP_MEMORY_LIMIT}", "-d", "max_execution_time=30",
    "-d", "output_buffering=4096",
)  # fmt: skip
