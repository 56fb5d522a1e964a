"""The circuit: closed, open, and one that finds out."""

from edge.builtin.breaker import Circuit
from edge.table.model import Breaker

RULES = Breaker(failures=0.5, least=4, window_s=10, lasts_s=5)


def after(outcomes: str, now: float = 100.0) -> Circuit:
    """Each letter is an exchange: f failed."""
    circuit = Circuit(RULES)
    for outcome in outcomes:
        circuit.count(outcome == "f", now)
    return circuit


def test_it_opens_when_that_part_of_enough_exchanges_failed() -> None:
    assert after("fff").wait_s(100) == 0
    assert after("ooofo" + "o" * 10).wait_s(100) == 0
    assert after("ffoo").wait_s(100) == 5


def test_failures_of_an_earlier_window_are_forgotten() -> None:
    circuit = after("ff")
    circuit.count(True, 111)
    circuit.count(True, 111)
    assert circuit.wait_s(111) == 0


def test_one_finds_out_and_the_others_wait() -> None:
    circuit = after("ffff")
    assert circuit.wait_s(104) == 1
    assert circuit.wait_s(105) == 0
    assert circuit.wait_s(105) == 5
    circuit.count(False, 106)
    assert circuit.wait_s(106) == 0
    assert circuit.wait_s(106) == 0


def test_it_stays_open_when_that_one_fails() -> None:
    circuit = after("ffff")
    assert circuit.wait_s(105) == 0
    circuit.count(True, 106)
    assert circuit.wait_s(106) == 5


def test_one_that_never_tells_is_followed_by_another() -> None:
    circuit = after("ffff")
    assert circuit.wait_s(105) == 0
    assert circuit.wait_s(109) == 1
    assert circuit.wait_s(110) == 0


def test_what_began_before_it_opened_decides_nothing() -> None:
    circuit = after("ffff")
    circuit.count(False, 102)
    assert circuit.wait_s(103) == 2
