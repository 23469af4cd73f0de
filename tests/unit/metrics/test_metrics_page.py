"""The page that Prometheus reads: what is answered, and what is counted into it."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.errors import ConfigError
from engine.metrics.families import counter, gauge, histogram
from engine.metrics.page import registry_of, serve_metrics
from engine.metrics.process import process_families
from engine.metrics.worker import worker_families
from engine.worker.tally import ROUND_BOUNDS_MS, Tally


async def asked(address: str, request: str) -> str:
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request.encode())
    async with asyncio.timeout(5):
        answer = (await reader.read()).decode()
    writer.close()
    return answer


def values(answer: str) -> dict[str, float]:
    body = answer.partition("\r\n\r\n")[2]
    return {
        f"{sample.name}{sorted(sample.labels.items()) or ''}": sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


async def test_a_page_is_what_is_so_when_it_is_read() -> None:
    count = 0
    page = registry_of(lambda: [counter("engine_x", "X.", count)])
    async with serve_metrics("127.0.0.1:0", registry=page) as at:
        assert values(await asked(at, "GET /metrics HTTP/1.1\r\n\r\n")) == {"engine_x_total": 0.0}
        count = 7
        assert values(await asked(at, "GET /metrics HTTP/1.1\r\n\r\n")) == {"engine_x_total": 7.0}
        head = await asked(at, "HEAD /metrics HTTP/1.1\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 OK\r\n")
        assert head.endswith("\r\n\r\n")
        assert "404" in await asked(at, "GET / HTTP/1.1\r\n\r\n")
        assert "405" in await asked(at, "POST /metrics HTTP/1.1\r\n\r\n")
        accept = "Accept: application/openmetrics-text; version=1.0.0"
        wanted = await asked(at, f"GET /metrics HTTP/1.1\r\n{accept}\r\n\r\n")
        assert wanted.endswith("# EOF\n")


async def test_an_address_that_is_taken_is_said() -> None:
    page = registry_of()
    async with serve_metrics("0", registry=page) as at:
        with pytest.raises(ConfigError, match="metrics_port: an address to listen on, found"):
            async with serve_metrics(at, registry=page):
                pass


class Worker:
    is_ready = True
    is_live = True
    lag_frames = 3
    shed_share = 0.375

    def __init__(self) -> None:
        self.tally = Tally()

    def held(self) -> list[int]:
        return [1, 2]


def test_rounds_are_counted_into_buckets_by_how_long_they_took() -> None:
    worker = Worker()
    for ms in (0.5, 1.0, 3.0, 40_000.0, -2.0):  # the last: a clock that was set back
        worker.tally.round_took(ms)
    assert worker.tally.rounds == 5
    found = {one.name: one for one in worker_families(worker, bounds_ms=ROUND_BOUNDS_MS)}
    samples = found["engine_worker_round_seconds"].samples
    counts = {one.labels.get("le", one.name): one.value for one in samples}
    assert (counts["0.001"], counts["0.002"], counts["0.005"]) == (3.0, 3.0, 4.0)
    assert (counts["30"], counts["+Inf"]) == (4.0, 5.0)
    assert counts["engine_worker_round_seconds_sum"] == pytest.approx(40.0045)


def test_a_worker_tells_how_much_it_leaves_out() -> None:
    worker = Worker()
    worker.tally.shed_rounds = 7
    found = {one.name: one for one in worker_families(worker, bounds_ms=ROUND_BOUNDS_MS)}
    assert found["engine_worker_shed_share"].samples[0].value == 0.375
    assert found["engine_worker_shed_rounds"].samples[0].value == 7


def test_a_process_tells_what_it_was_built_from_and_what_it_uses() -> None:
    parts = {"service": "worker", "version": "1", "core": "2", "profile": "release", "python": "3"}
    found = {one.name: one for one in process_families(**parts)()}
    assert found["engine_build_info"].samples[0].labels == parts
    assert found["process_resident_memory_bytes"].samples[0].value > 1e6


def test_families_have_a_value_for_each_label() -> None:
    family = gauge("engine_y", "Y.", {("a",): 1.0, ("b",): 2.0}, ("kind",))
    assert [(one.labels["kind"], one.value) for one in family.samples] == [("a", 1.0), ("b", 2.0)]
    with pytest.raises(ValueError, match="zip"):
        histogram("engine_z", "Z.", bounds=[1.0], buckets=[1], total=1.0)
