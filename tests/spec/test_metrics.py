"""Prometheus metrics: sums over all workers, which outlive each of them."""

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.client import Client, fetch
from tests.support.edged import Edged, route
from tests.support.eventually import eventually
from tests.support.origin import ScriptedOrigin
from tests.support.ports import free_address


class Scraped:
    """An edged whose metrics can be read."""

    def __init__(self, edged: Edged, address: str) -> None:
        self.edged = edged
        self.address = address

    def value(self, name: str, **labels: str) -> float:
        """One sample, read now."""
        answer = fetch(self.address, "/metrics", host="localhost")
        assert answer.status == 200
        for family in text_string_to_metric_families(answer.body.decode()):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        raise AssertionError(f"no {name} {labels}")


@pytest.fixture
def scraped(origin: ScriptedOrigin) -> Iterator[Scraped]:
    address = free_address()
    with Edged(
        route("*.test", origin.address), server=f'metrics = "{address}"', workers=2
    ) as edged:
        yield Scraped(edged, address)


def test_answers_are_counted_by_status_over_all_workers(scraped: Scraped) -> None:
    before = scraped.value("edged_exchanges_total", status="2xx")
    for _ in range(30):
        assert fetch(scraped.edged.address, host="a.test").status == 200
    assert scraped.value("edged_exchanges_total", status="2xx") - before == 30
    missed = scraped.value("edged_errors_total", reason="no-route")
    assert fetch(scraped.edged.address, host="nobody").status == 404
    assert scraped.value("edged_errors_total", reason="no-route") - missed == 1


def test_a_histogram_counts_every_answer(scraped: Scraped) -> None:
    for _ in range(20):
        fetch(scraped.edged.address, host="a.test")
    count = scraped.value("edged_exchange_seconds_count")
    assert scraped.value("edged_exchange_seconds_bucket", le="+Inf") == count
    assert count == sum(
        scraped.value("edged_exchanges_total", status=each)
        for each in ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
    )
    assert 0 < scraped.value("edged_exchange_seconds_sum") < 60
    assert scraped.value("edged_first_byte_seconds_count") == 20


def test_totals_outlive_workers_and_control(scraped: Scraped) -> None:
    for _ in range(20):
        fetch(scraped.edged.address, host="a.test")
    before = scraped.value("edged_exchanges_total", status="2xx")
    assert before == 20
    for worker in scraped.edged.workers():
        scraped.edged.end(worker)
    eventually(scraped.edged.is_ready)
    assert scraped.value("edged_exchanges_total", status="2xx") == before
    control = scraped.edged.control_pid()
    scraped.edged.kill(control)
    eventually(lambda: scraped.value("edged_exchanges_total", status="2xx") == before)
    assert scraped.value("edged_control_restarts") == 1


def test_open_connections_are_counted_while_they_are_open(scraped: Scraped) -> None:
    with Client(scraped.edged.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        client.read_answer()
        eventually(lambda: scraped.value("edged_connections") >= 1)
    eventually(lambda: scraped.value("edged_connections") == 0)


def test_only_metrics_are_served_there(scraped: Scraped) -> None:
    assert fetch(scraped.address, "/", host="localhost").status == 404
    assert fetch(scraped.address, "/metrics", host="localhost", method="POST").status == 405


def test_it_follows_a_reload(scraped: Scraped) -> None:
    generation = scraped.value("edged_generation")
    scraped.edged.write(route("b.test", extra='respond = "b"'))
    scraped.edged.reload()
    assert scraped.value("edged_generation") == generation + 1
    assert scraped.value("edged_routes") == 1
