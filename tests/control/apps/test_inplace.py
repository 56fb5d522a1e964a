"""Apps in the folder where they are written: other routes, and no packages fetched in vain."""

from pathlib import Path

from control.apps.inplace import adapted, lists_digest, steps
from control.manifest.spec import AppSpec, Instances, Step, Times


def spec(**more) -> AppSpec:
    return AppSpec(name="shop", env="development", **more)


def test_it_is_served_at_its_name_and_at_local_names_of_its_own() -> None:
    routes = ("shop.example.com", "api.shop.localhost", "example.com/shop/*")
    assert adapted(spec(routes=routes)).routes == ("shop.localhost", "api.shop.localhost")
    assert adapted(spec(routes=("shop.localhost/x/*",))).routes == ("shop.localhost/x/*",)


def test_it_does_not_sleep_and_nobody_waits_for_it() -> None:
    made = adapted(spec(instances=Instances(min=0, max=9), times=Times(stability_s=60, drain_s=60)))
    assert (made.instances.min, made.instances.max) == (1, 1)
    assert (made.times.stability_s, made.times.drain_s) == (0.0, 2.0)


def test_packages_are_fetched_once_and_the_rest_is_built_again() -> None:
    argvs = [("python3", "-m", "venv", ".venv"), (".venv/bin/pip", "install", "-r", "x.txt"),
             ("npm", "ci"), ("npm", "run", "build")]  # fmt: skip
    app = spec(build=tuple(Step(argv=argv) for argv in argvs))
    assert [step.argv for step in steps(app, has_packages=False)] == argvs
    assert [step.argv for step in steps(app, has_packages=True)] == argvs[3:]


def test_packages_are_others_when_a_list_of_them_is(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("flask")
    (tmp_path / "app.py").write_text("1")
    before = lists_digest(str(tmp_path))
    (tmp_path / "app.py").write_text("2")
    assert lists_digest(str(tmp_path)) == before
    (tmp_path / "requirements.txt").write_text("flask==3")
    assert lists_digest(str(tmp_path)) != before
