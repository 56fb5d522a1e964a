"""A spec as JSON."""

from control.manifest.spec import (
    AppHealth,
    AppSpec,
    Assets,
    CronSpec,
    Instances,
    Listen,
    ProcessSpec,
    Resources,
    Step,
    Times,
    Waiting,
    from_json,
    to_json,
)

FULL = AppSpec(
    name="shop",
    env="production",
    runtime="python",
    routes=("shop.example.com", "*.example.com/shop/*"),
    servers=("one", "two"),
    build=(Step(argv=("make", "it"), vars=(("A", "b"),), reason="because"),),
    release=("migrate",),
    start=("serve", "$PORT"),
    root="public",
    vars=(("A", "ü"), ("B", "")),
    path=(".venv/bin",),
    listen=Listen.SOCKET,
    instances=Instances(min=1, max=3, idle_s=1.5, concurrency=2),
    health=AppHealth(path="/up", statuses=((200, 299), (401, 401))),
    times=Times(start_s=1.0),
    resources=Resources(memory_bytes=1, cpus=0.5, pids=2),
    waiting=Waiting(room=1, page=True),
    assets=Assets(folder="a", path="/b"),
    processes=(ProcessSpec(name="queue", argv=("q",), instances=2),),
    crons=(CronSpec(name="c", schedule="@daily", argv=("c", "d")),),
    found=(("start", "found it"),),
)


def test_a_spec_survives_as_json() -> None:
    assert from_json(to_json(FULL)) == FULL
    bare = AppSpec(name="a", env="b")
    assert from_json(to_json(bare)) == bare


def test_what_came_from_json_is_as_frozen_as_before() -> None:
    assert hash(from_json(to_json(FULL))) == hash(FULL)
    assert isinstance(from_json(to_json(FULL)).listen, Listen)


def test_an_app_is_its_name_and_environment() -> None:
    assert FULL.id == "shop/production"
