"""Traces: who is whose child, what is sampled, and that nothing is there while they are off."""

import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from engine.errors import ConfigError
from engine.messaging import traces
from engine.messaging.changes import decode_journal
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.ports import Message
from engine.messaging.subjects import CHANGES_STREAM, DECISIONS_STREAM, METRICS_STREAM
from engine.platforms.port import Lever
from engine.wiring.traces import traced
from support.gateway import Floor, linked
from support.one_partition import Fleet
from support.spans import Spans, header_of, spans_kept
from support.waiting import wait_until


@pytest.fixture
async def spans() -> AsyncIterator[Spans]:
    with spans_kept() as spans:
        yield spans


def headers(server: MemoryServer, stream: str) -> list[str]:
    """Return the headers of traces that a stream holds, "" where a message has none."""
    return [
        (entry.delivery.headers or {}).get(traces.TRACEPARENT, "")
        for entry in server.streams[stream].entries.values()
    ]


async def test_a_round_is_a_child_of_the_newest_samples_and_linked_to_the_others(
    spans: Spans,
) -> None:
    fleet = Fleet()
    await fleet.publish()
    async with fleet.worker(interval=1.0):
        await fleet.clock.advance(1.5)
        await fleet.report()
        await fleet.report()
        await fleet.clock.advance(1.0)
    first, second = spans.named("publish samples")
    assert headers(fleet.server, METRICS_STREAM) == [header_of(first), header_of(second)]
    found = next(one for one in spans.named("round") if one.links)
    assert found.parent is not None
    assert second.context is not None
    assert (found.parent.trace_id, found.parent.span_id) == (
        second.context.trace_id,
        second.context.span_id,
    )
    assert [one.context.span_id for one in found.links] == [
        first.context.span_id if first.context else 0
    ]
    assert (found.attributes or {})["engine.frames"] == 2
    assert header_of(found) in headers(fleet.server, DECISIONS_STREAM)


async def test_a_change_is_a_child_of_the_decision_and_its_intent_tells(spans: Spans) -> None:
    floor = Floor()
    floor.platform.stand("adGroups/55")
    await floor.publish("spring-shoes", platforms=linked("adGroups/55"))
    async with floor.gateway():
        tracing = traces.active()
        assert tracing is not None
        with tracing.span("round", kind="consumer"):
            await floor.decide("spring-shoes", bid=800_000)
        await wait_until(lambda: floor.platform.value("adGroups/55", Lever.BID) == 800_000)
    (change,), (decision,) = spans.named("change"), spans.named("round")
    assert change.kind is SpanKind.CLIENT
    assert change.parent is not None
    assert decision.context is not None
    assert change.parent.span_id == decision.context.span_id
    stored = zip(
        floor.server.streams[CHANGES_STREAM].entries.values(),
        headers(floor.server, CHANGES_STREAM),
        strict=True,
    )
    by_kind = {
        type(decode_journal("", entry.delivery.payload)).__name__: header
        for entry, header in stored
        if entry.delivery.subject.startswith("engine.changes.")
    }
    assert by_kind == {
        "Take": "",
        "Intend": header_of(change),
        "Done": header_of(change),
        "Release": "",
    }


async def test_what_was_not_sampled_has_no_header() -> None:
    with spans_kept(ratio=0.0) as spans:
        fleet = Fleet()
        await fleet.publish()
        async with fleet.worker(interval=1.0):
            await fleet.report()
            await fleet.clock.advance(2.0)
        assert (await fleet.rounds()) != []
    assert spans.named("round") == []
    assert {*headers(fleet.server, METRICS_STREAM), *headers(fleet.server, DECISIONS_STREAM)} == {
        ""
    }


async def test_samples_that_came_sampled_are_traced_whatever_the_ratio_here() -> None:
    heard: list[Message] = []
    broker = MemoryBroker(server=MemoryServer(), name="test")
    came = f"00-{7:032x}-{9:016x}-01"
    with spans_kept(ratio=0.0) as spans:
        tracing = traces.active()
        assert tracing is not None
        with tracing.span("round", kind="consumer", parents=["what is this", came]):
            await broker.chain.append(3, b"x", expected=0)
        async with broker.chain.follow(heard.append) as follower:
            await follower.caught_up()
    (span,) = spans.named("round")
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id) == (7, 9)
    assert [one.trace for one in heard] == [header_of(span)]
    assert span.links == ()


async def test_what_goes_wrong_is_in_the_span_and_goes_on(spans: Spans) -> None:
    tracing = traces.active()
    assert tracing is not None
    with pytest.raises(KeyError), tracing.span("round", kind="consumer"):
        raise KeyError("x")
    (span,) = spans.named("round")
    assert span.status.status_code is StatusCode.ERROR
    assert traces.carried.get() == ""


async def test_off_nothing_has_a_header_and_nobody_looks_for_one() -> None:
    fleet = Fleet()
    await fleet.publish()
    async with fleet.worker(interval=1.0):
        await fleet.report()
        await fleet.clock.advance(2.0)
    stored = fleet.server.streams[METRICS_STREAM].entries.values()
    assert [list(entry.delivery.headers or {}) for entry in stored] == [["Nats-Msg-Id"]]
    assert set(headers(fleet.server, DECISIONS_STREAM)) == {""}


def test_opentelemetry_is_not_imported_while_it_is_off() -> None:
    program = (
        "import asyncio, sys\n"
        "import engine.cli.__main__, engine.cli.gateway, engine.cli.market, engine.cli.worker\n"
        "from engine.wiring.traces import traced\n"
        "async def main():\n"
        "    async with traced('engine-worker', name='w1'): pass\n"
        "asyncio.run(main())\n"
        "assert not [one for one in sys.modules if one.startswith('opentelemetry')]\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


async def test_a_ratio_turns_traces_on_until_the_connection_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENGINE_TRACES_RATIO", "1")
    monkeypatch.setenv("ENGINE_TRACES_ENDPOINT", "http://127.0.0.1:9/v1/traces")  # nobody there
    async with traced("engine-worker", name="w1"):
        tracing = traces.active()
        assert tracing is not None
        with tracing.span("round", kind="consumer"):
            assert traces.carried.get().startswith("00-")
    assert traces.active() is None


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ("ENGINE_TRACES_RATIO", "2", "a share of all traces from 0 to 1"),
        ("ENGINE_TRACES_ENDPOINT", "localhost:4317", "a URL of OTLP over HTTP"),
        ("ENGINE_TRACE_RATIO", "1", "did you mean ENGINE_TRACES_RATIO"),
    ],
)
async def test_a_wrong_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, wanted: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=wanted):
        async with traced("engine-worker", name="w1"):
            pass


async def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_TRACES_RATIO", "0.1")
    monkeypatch.setitem(sys.modules, "engine.wiring.otel", None)
    with pytest.raises(ConfigError, match=r"campaign-engine\[otel\]"):
        async with traced("engine-worker", name="w1"):
            pass
