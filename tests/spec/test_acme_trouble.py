"""CAs on bad days: the schedule is as written, and nothing is asked for twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from control.acme import client
from control.acme.renewal import MINUTES
from control.acme.spec import Authority, Kind
from control.refusal import Refused
from control.state import State
from tests.support.acme import Acme, assert_served
from tests.support.acme_front import AcmeFront
from tests.support.keeping import Keeping
from tests.support.pebble import Pebble
from tests.support.ports import free_address
from tests.support.responders import FolderSolver

HOUR = 3600.0
DAY = 24 * HOUR


def at(front: AcmeFront) -> tuple[Authority, ...]:
    return (Authority(directory=front.directory, ca_file=front.ca_file),)


# CAs in trouble


def test_a_second_ca_stands_in_for_the_first(acme: Acme, keep: Callable[..., Keeping]) -> None:
    keeping = keep()
    gone = Authority(directory=f"https://{free_address()}/dir", ca_file=acme.pebble.ca_file)
    spec = acme.spec(authorities=(gone, acme.authority))
    [cert] = keeping.obtain(spec)
    assert cert.directory == acme.pebble.directory
    assert keeping.line(spec.id)["failures"] == 0


def test_a_ca_that_forgets_everything_is_asked_anew(
    acme: Acme, keep: Callable[..., Keeping]
) -> None:
    keeping = keep()
    spec = acme.spec()
    keeping.obtain(spec)
    acme.pebble.stop()
    acme.pebble.start()
    second = acme.spec()
    keeping.keeper.want([spec, second])
    keeping.until(lambda: keeping.keeper.latest(second.id) is not None)
    assert keeping.line(second.id)["failures"] == 0


def test_a_name_that_cannot_be_proven_is_tried_at_a_staging_ca_first_and_then_less_often(
    acme: Acme, keep: Callable[..., Keeping], tmp_path: Path
) -> None:
    class Nobody(FolderSolver):
        def present(self, kind: Kind, name: str, token: str, key_authorization: str) -> None:
            pass

    ports = (acme.pebble.http_port, acme.pebble.tls_port)
    with (
        Pebble(tmp_path / "staging", challenge_ports=ports) as staging,
        AcmeFront(acme.pebble) as front,
    ):
        authority = Authority(
            directory=front.directory, ca_file=front.ca_file, staging=staging.directory
        )
        # One CA of the tests signs for both of them.
        Path(front.ca_file).write_text(
            Path(acme.pebble.ca_file).read_text(encoding="utf-8")
            + Path(staging.ca_file).read_text(encoding="utf-8"),
            encoding="utf-8",
        )
        keeping = keep(solver=Nobody(tmp_path / "nowhere"))
        spec = acme.spec(authorities=(authority,))
        keeping.begin(spec)
        waits = []
        for failures in range(1, 5):
            line = keeping.until(lambda n=failures: settled(keeping, spec.id, n))
            waits.append(round((line["next_at"] - keeping.clock.now()) / 60))
            keeping.clock.jump(line["next_at"] - keeping.clock.now() + 1)
        assert waits == [1, 2, 2, 5]
        assert front.count("order-plz") == 1
        # What the staging CA accepts is asked of the real one at once.
        keeping.keeper.desk.solver = acme.solver
        keeping.clock.jump(3600)
        keeping.until(lambda: keeping.installed)
        assert keeping.installed[0].directory == front.directory
        assert front.count("order-plz") == 2


def settled(keeping: Keeping, name: str, failures: int) -> dict[str, Any] | None:
    """The line of a certificate after so many failures, when nobody works on it."""
    line = keeping.line(name)
    at_rest = line["state"] not in ("obtaining", "renewing")
    return line if line["failures"] == failures and at_rest else None


def persevere(keeping: Keeping, name: str) -> None:
    """Go through attempt after attempt until there is a certificate."""
    for failures in range(1, 8):
        keeping.until(lambda n=failures: keeping.installed or settled(keeping, name, n))
        if keeping.installed:
            return
        keeping.clock.jump(keeping.line(name)["next_at"] - keeping.clock.now() + 1)
    raise AssertionError(keeping)


# The schedule


def test_the_waits_are_as_written_whatever_the_ca_answers(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront
) -> None:
    front.fail("dir", 500, times=1000)
    keeping = keep()
    spec = acme.spec(authorities=at(front))
    keeping.begin(spec)
    waits = []
    for failures in range(1, len(MINUTES) + 3):
        line = keeping.until(lambda n=failures: settled(keeping, spec.id, n))
        waits.append(round((line["next_at"] - keeping.clock.now()) / 60))
        keeping.clock.jump(line["next_at"] - keeping.clock.now() + 0.5)
    assert waits == [*MINUTES, 360, 360]
    keeping.clock.jump(30 * DAY)
    keeping.until(lambda: keeping.line(spec.id)["state"] == "given-up")
    assert keeping.kinds()[-1] == "certificate-given-up"
    front.faults.clear()
    keeping.keeper.renew(spec.id)
    keeping.until(lambda: keeping.installed)


def test_the_schedule_outlives_control(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront
) -> None:
    front.fail("dir", 500, times=2)
    keeping = keep()
    spec = acme.spec(authorities=at(front))
    keeping.begin(spec)
    keeping.until(lambda: settled(keeping, spec.id, 1))
    keeping.clock.jump(61)
    before = keeping.until(lambda: settled(keeping, spec.id, 2))
    keeping = keep(clock=keeping.clock)
    keeping.begin(spec)
    keeping.until(lambda: settled(keeping, spec.id, 2))
    after = keeping.line(spec.id)
    assert after["next_at"] == before["next_at"]
    assert after["last_error"] == before["last_error"]
    assert front.count("dir") == 0
    keeping.clock.jump(2 * 60 + 1)
    keeping.until(lambda: keeping.installed)


def test_a_retry_after_is_waited_for(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront
) -> None:
    front.refuse("order-plz", "rateLimited", 429, Retry_After="7200")
    keeping = keep()
    spec = acme.spec(authorities=at(front))
    keeping.begin(spec)
    line = keeping.until(lambda: settled(keeping, spec.id, 1))
    assert line["next_at"] - keeping.clock.now() == pytest.approx(7200, abs=5)
    assert "rateLimited as told (rateLimited)" in line["last_error"]
    keeping.clock.jump(7201)
    keeping.until(lambda: keeping.installed)


def test_a_ca_that_limits_its_rate_makes_way_for_the_second(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront
) -> None:
    front.orders_per_s = (0, 60.0)
    keeping = keep()
    spec = acme.spec(authorities=(*at(front), acme.authority))
    [cert] = keeping.obtain(spec)
    assert cert.directory == acme.pebble.directory


def test_orders_are_placed_no_faster_than_ten_in_ten_seconds(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront
) -> None:
    placed: list[float] = []
    keeping = keep()
    front.answered = lambda asked: (
        placed.append(keeping.clock.now()) if asked.what == "order-plz" else None
    )
    specs = [acme.spec(authorities=at(front)) for _ in range(12)]
    keeping.begin(*specs)
    keeping.until(lambda: front.count("order-plz") == 10)
    front.orders_per_s = (0, 60.0)  # one more would be a mistake
    keeping.until(lambda: len(keeping.installed) == 10)
    assert front.count("order-plz") == 10
    front.orders_per_s = None
    keeping.clock.jump(10)
    keeping.until(lambda: len(keeping.installed) == 12)
    assert all(line["failures"] == 0 for line in keeping.keeper.listed())


# Faults


@pytest.mark.parametrize(
    "what", ["dir", "nonce-plz", "sign-me-up", "order-plz", "my-order", "authZ", "chalZ",
             "finalize-order", "certZ"],
)  # fmt: skip
@pytest.mark.parametrize("fault", ["5xx", "nonces", "late"])
def test_one_bad_answer_costs_one_attempt_at_most_and_no_second_order(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront, what: str, fault: str
) -> None:
    if fault == "nonces":
        front.refuse(what, "badNonce", 400, times=3)
    else:
        # Late: the CA has done it, and its answer is lost.
        front.fail(what, 503, late=fault == "late")
    keeping = keep()
    spec = acme.spec(authorities=at(front))
    keeping.begin(spec)
    persevere(keeping, spec.id)
    assert front.count("order-plz") == 1
    assert_served(keeping, keeping.installed[0], spec.id)


def test_a_poll_that_hangs_is_given_up_and_the_order_is_gone_on_with(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_S", 1)
    front.hang("authZ", times=3)
    keeping = keep()
    spec, other = acme.spec(authorities=at(front)), acme.spec()
    keeping.begin(spec, other)
    keeping.until(lambda: settled(keeping, spec.id, 1))
    assert [cert.id for cert in keeping.installed] == [other.id]
    keeping.clock.jump(61)
    keeping.until(lambda: len(keeping.installed) == 2)
    assert front.count("order-plz") == 1


def test_an_order_that_the_ca_loses_is_placed_again(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront
) -> None:
    front.refuse("finalize-order", "serverInternal", 500)
    keeping = keep()
    spec = acme.spec(authorities=at(front))
    keeping.begin(spec)
    keeping.until(lambda: settled(keeping, spec.id, 1))
    front.refuse("my-order", "malformed", 404)
    keeping.clock.jump(61)
    keeping.until(lambda: keeping.installed)
    assert keeping.line(spec.id)["failures"] == 0
    assert front.count("order-plz") == 2


@pytest.mark.parametrize(
    "lie", [b"", b"{}", b"[]", b'{"status": "fine"}', b"\xff\x00", b"x" * 2_000_000]
)
def test_an_answer_that_makes_no_sense_is_a_failure_like_any_other(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront, lie: bytes
) -> None:
    front.fail("my-order", 200, times=3, body=lie)
    keeping = keep()
    spec = acme.spec(authorities=at(front))
    keeping.begin(spec)
    persevere(keeping, spec.id)
    assert front.count("order-plz") == 1


# Trouble of our own


def test_a_database_that_cannot_be_written_costs_no_order(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront, tmp_path: Path
) -> None:
    class Full(State):
        is_full = True

        def keep(self, name: str, value: object) -> None:
            if self.is_full:
                raise Refused("disk-full", "state.db cannot be written: make room on its disk.")
            super().keep(name, value)

    state = Full(str(tmp_path / "full.db"))
    keeping = keep(state=state)
    spec = acme.spec(authorities=(*at(front), acme.authority))
    keeping.begin(spec)
    line = keeping.until(lambda: settled(keeping, spec.id, 1))
    assert "make room on its disk" in line["last_error"]
    assert front.count("order-plz") == 0
    state.is_full = False
    keeping.clock.jump(61)
    keeping.until(lambda: keeping.installed)


def test_a_vault_that_cannot_be_written_costs_no_order(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront
) -> None:
    keeping = keep()
    keeping.obtain(acme.spec(authorities=at(front)))
    orders = Path(keeping.vault.folder, "orders")
    orders.rename(orders.with_name("elsewhere"))
    orders.touch()
    spec = acme.spec(authorities=at(front))
    keeping.keeper.want([spec])
    line = keeping.until(lambda: settled(keeping, spec.id, 1))
    assert "Not a directory (storage)" in line["last_error"]
    assert front.count("order-plz") == 1
    orders.unlink()
    keeping.clock.jump(61)
    keeping.until(lambda: len(keeping.installed) == 2)


# What CAs offer besides


def test_a_ca_says_when_to_renew_and_hears_what_is_replaced(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront
) -> None:
    keeping = keep()
    now = keeping.clock.now()
    front.window = (now + 10 * DAY, now + 12 * DAY)
    spec = acme.spec(authorities=at(front), profile="shortlived")
    [former] = keeping.obtain(spec)
    keeping.until(lambda: (cert := keeping.keeper.latest(spec.id)) and cert.window)
    chosen = keeping.line(spec.id)["next_at"]
    assert front.window[0] <= chosen <= front.window[1]
    # Another control knows the same instant.
    keeping = keep(clock=keeping.clock)
    keeping.begin(spec)
    assert keeping.line(spec.id)["next_at"] == chosen
    # The CA is asked again, and changes its mind.
    asked = len(front.asked)
    front.window = (now + 1 * DAY, now + 2 * DAY)
    keeping.clock.jump(2 * HOUR)
    keeping.until(lambda: len(front.asked) > asked)
    keeping.until(lambda: keeping.line(spec.id)["next_at"] <= front.window[1])
    assert keeping.installed == []
    keeping.clock.jump(keeping.line(spec.id)["next_at"] - keeping.clock.now() + 1)
    keeping.until(lambda: keeping.installed)
    first, second = front.payloads("order-plz")
    assert first["profile"] == second["profile"] == "shortlived"
    assert "replaces" not in first
    assert second["replaces"] == former.ari_id


def test_a_profile_that_the_ca_does_not_have_is_an_error_that_names_those_that_it_has(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront
) -> None:
    keeping = keep()
    spec = acme.spec(authorities=at(front), profile="eternal")
    keeping.begin(spec)
    line = keeping.until(lambda: settled(keeping, spec.id, 1))
    assert "no profile eternal (it offers classic, shortlived)" in line["last_error"]
    assert front.count("order-plz") == 0


def test_a_predecessor_that_the_ca_has_replaced_already_is_no_obstacle(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront
) -> None:
    keeping = keep()
    now = keeping.clock.now()
    front.window = (now - DAY, now - HOUR)  # in the past: at once
    spec = acme.spec(authorities=at(front))
    front.answered = lambda asked: (
        front.refuse("order-plz", "alreadyReplaced", 409)
        if asked.what == "certZ" and asked in front.done
        else None
    )
    keeping.begin(spec)
    keeping.until(lambda: len(keeping.installed) == 1)
    keeping.until(lambda: keeping.line(spec.id)["next_at"] < now + 2 * HOUR)
    keeping.clock.jump(HOUR + 1)
    keeping.until(lambda: len(keeping.installed) >= 2)
    assert "replaces" not in front.payloads("order-plz")[1]
    assert keeping.line(spec.id)["failures"] == 0


def test_more_certificates_than_attempts_at_once_have_all_their_turn(
    acme: Acme, keep: Callable[..., Keeping], front: AcmeFront
) -> None:
    front.fail("dir", 500, times=1000)
    keeping = keep()
    specs = [acme.spec(authorities=at(front)) for _ in range(40)]
    keeping.begin(*specs)
    keeping.until(lambda: all(line["failures"] == 1 for line in keeping.keeper.listed()))
