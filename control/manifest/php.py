"""PHP: FrankenPHP where the server has it, else the server of `php` itself."""

from typing import Final

from control.manifest.project import Detection, Project, Undetected
from control.manifest.spec import Step

WORKERS: Final = "4"
"""Requests at a time of `php -S`, which answers one without it."""


def plan_php(project: Project) -> Detection:
    """`public/` with an index.php, else the whole folder."""
    steps: tuple[Step, ...] = ()
    if project.has("composer.json"):
        project.need_tool("composer", why="composer.json")
        argv = ("composer", "install", "--no-dev", "--no-interaction", "--optimize-autoloader")
        steps = (Step(argv=argv, reason="found composer.json"),)
    found = Detection(runtime="php", build=steps, vars=(("PHP_CLI_SERVER_WORKERS", WORKERS),))
    if project.has_start:
        return found
    index = project.main or project.first("public/index.php", "web/index.php", "index.php")
    if not index:
        raise Undetected("there is no index.php at the top, in public/ or in web/")
    root = index.rpartition("/")[0] or "."
    tool = project.need_tool("frankenphp", "php", why=index)
    return found.but(
        start=(*_SERVERS[tool], root),
        found=(("start", f"found {index}, served by {tool}"),),
    )


# Private

_SERVERS: Final = {
    "frankenphp": ("frankenphp", "php-server", "--listen", "$HOST:$PORT", "--root"),
    "php": ("php", "-S", "$HOST:$PORT", "-t"),
}
