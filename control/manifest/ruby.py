"""Ruby: Bundler, and puma in front of config.ru."""

from typing import Final

from control.manifest.project import Detection, Project, Undetected
from control.manifest.spec import Step

GEMS: Final = "vendor/bundle"
SYSTEM: Final = "BUNDLE_PATH__SYSTEM"
"""In `vars` it says that the server's own gems are used, such as those of Debian's packages."""


def plan_ruby(project: Project) -> Detection:
    """The gems in the release's own folder; a Rails app's assets; puma, else rackup."""
    has_gemfile = project.has("Gemfile")
    vars_ = [("RACK_ENV", "production")]
    steps: list[Step] = []
    if has_gemfile:
        project.need_tool("bundle", why="Gemfile")
        vars_.append(("BUNDLE_WITHOUT", "development:test"))
        if SYSTEM not in dict(project.vars):  # Bundler refuses both
            vars_.append(("BUNDLE_PATH", GEMS))
        if project.has("Gemfile.lock"):
            vars_.append(("BUNDLE_DEPLOYMENT", "1"))
        steps.append(Step(argv=("bundle", "install"), reason="found Gemfile"))
    rails = project.has("config/application.rb")
    if rails:
        vars_ += [("RAILS_ENV", "production"), ("RAILS_LOG_TO_STDOUT", "1")]
        vars_.append(("RAILS_SERVE_STATIC_FILES", "1"))
        if project.has_folder("app/assets"):
            argv = ("bundle", "exec", "rails", "assets:precompile")
            dummy = (("SECRET_KEY_BASE_DUMMY", "1"),)
            steps.append(Step(argv=argv, vars=dummy, reason="found app/assets"))
    found = Detection(runtime="ruby", build=tuple(steps), vars=tuple(vars_))
    if project.has_start:
        return found
    rack = project.main or project.first("config.ru")
    if not rack:
        raise Undetected('there is no config.ru: write start = ["bundle", "exec", …]')
    return found.but(
        start=_server(project, rack, has_gemfile=has_gemfile),
        found=(("start", f"found {rack}"),),
    )


# Private


def _server(project: Project, rack: str, *, has_gemfile: bool) -> tuple[str, ...]:
    files = ("Gemfile.lock", "Gemfile")
    if not has_gemfile:
        tool = project.need_tool("puma", "rackup", why=rack)
    elif any(project.lines(name, r"^\s*(?:gem\s+['\"])?puma\b") for name in files):
        tool = "puma"
    else:
        tool = "rackup"
    prefix = ("bundle", "exec") if has_gemfile else ()
    return (*prefix, *_SERVERS[tool], rack)


_SERVERS: Final = {
    "puma": ("puma", "--bind", "tcp://$HOST:$PORT"),
    "rackup": ("rackup", "--host", "$HOST", "--port", "$PORT"),
}
