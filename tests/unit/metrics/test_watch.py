"""What the demo sees of a fleet: sums of the streams, and who is alive."""

from engine.domain.codec import encode_campaign
from engine.messaging.memory import MemoryBroker
from engine.messaging.records import Columns, Decide, Heartbeat, Take, encode
from engine.metrics.watch import Watch
from support.clock import ManualClock, settle
from support.definitions import START, campaign, frame, report

P, NAME = 25, "spring-shoes"


async def decide(broker: MemoryBroker, *, at: float) -> None:
    take = Take(
        partition=P, previous=0, epoch=1, owner="w", at_ms=0, round=0,
        metrics_sequence=0, campaigns_revision=0,
    )  # fmt: skip
    head = await broker.chain.append(P, encode(take), expected=0)
    changed = Columns(
        campaign=[NAME],
        action=[1],
        binding=[9],
        best=[0],
        pacing_multiplier=[0.8],
        settled_micros=[0],
        reserved_micros=[0],
        series_count=[1],
        platform=[0],
        bid_micros=[1_250_000],
        cap_micros=[5_000_000],
        cpc_micros=[None],
        cvr=[None],
        roi_micros=[None],
        confidence=[0.0],
    )
    record = Decide(
        partition=P, previous=head, epoch=1, owner="w", round=1, at_ms=round(at * 1000),
        metrics_sequence=0, campaigns_revision=0, decided=3, settled_micros=0, reserved_micros=0,
        platforms=["google"], changed=changed,
    )  # fmt: skip
    await broker.chain.append(P, encode(record), expected=head)


async def test_a_view_adds_up_what_the_streams_say() -> None:
    clock = ManualClock()
    broker = MemoryBroker(clock=clock)
    await broker.campaigns.put(NAME, encode_campaign(campaign(NAME)), expected=0)
    watch = Watch(broker=broker, clock=clock)
    async with watch.following():
        watch.look()
        payload = frame(P, [report(NAME, "google", at=START)], sequence=1)
        await broker.frames.publish(P, payload, message_id="a")
        await broker.frames.publish(P, payload, message_id="b")  # the same once more
        await clock.advance(2.0)
        await decide(broker, at=clock.now() - 0.004)
        beat = Heartbeat(worker="w", version="1", started_at=START, at=START, partitions=[P])
        await broker.heartbeats.beat("w", encode(beat))
        await settle()
        view = watch.view()
        watch.look()
    assert (view.samples, view.rounds, view.decisions) == (1, 1, 3)
    assert view.spend_micros == 1_000_000
    assert (view.conversions, view.value_micros, view.roas) == (2.0, 40_000_000, 40.0)
    assert view.decisions_a_second == 1.5
    assert view.delay_ms is not None
    assert 3.9 < view.delay_ms[0] < 4.1
    assert list(view.workers) == ["w"]
    assert view.campaigns[0].decision is not None
    assert view.campaigns[0].decision.best_platform == "google"


async def test_a_worker_that_is_not_heard_for_six_heartbeats_is_not_alive() -> None:
    clock = ManualClock()
    broker = MemoryBroker(clock=clock)
    watch = Watch(broker=broker, clock=clock)
    async with watch.following():
        beat = Heartbeat(worker="w", version="1", started_at=START, at=START)
        await broker.heartbeats.beat("w", encode(beat))
        await settle()
        await clock.advance(0.5)
        assert watch.view().workers["w"].is_alive
        await clock.advance(0.2)
        assert not watch.view().workers["w"].is_alive


async def test_what_does_not_decode_is_passed_over() -> None:
    clock = ManualClock()
    broker = MemoryBroker(clock=clock)
    watch = Watch(broker=broker, clock=clock)
    async with watch.following():
        await broker.chain.append(1, b"nonsense", expected=0)
        await broker.frames.publish(1, b"nonsense", message_id="x")
        await broker.campaigns.put("odd", b"nonsense", expected=0)
        await broker.heartbeats.beat("w", b"nonsense")
        await settle()
    assert watch.unreadable == 4
    assert watch.view().campaigns == ()
