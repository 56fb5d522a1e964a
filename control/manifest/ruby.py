"""Ruby: Bundler, and puma in front of config.ru."""

from typing import Final

from control.manifest.project import Detection, Project, Undetected
from control.manifest.spec import Step

GEMS: Final = "vendor/bundle"


def plan_ruby(project: Project) -> Detection:
    """The gems in the release's own folder; a Rails app's assets; puma, else rackup."""
    has_gemfile = project.has("Gemfile")
    vars_ = [("RACK_ENV", "production")]
    steps: list[Step] = []
    if has_gemfile:
        project.need_tool("bundle", why="Gemfile")
        vars_ += [("BUNDLE_PATH", GEMS), ("BUNDLE_WITHOUT", "development:test")]
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
    prefix = ("bundle", "exec") if has_gemfile else ()
    files = ("Gemfile.lock", "Gemfile")
    if any(project.lines(name, r"^\s*(?:gem\s+['\"])?puma\b") for name in files):
        return (*prefix, "puma", "--bind", "tcp://$HOST:$PORT", rack)
    return (*prefix, "rackup", "--host", "$HOST", "--port", "$PORT", rack)
