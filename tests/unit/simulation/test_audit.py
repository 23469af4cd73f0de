"""A run read back from the broker: sound, or said what is not."""

from engine.domain.codec import encode_campaign
from engine.messaging.memory import MemoryBroker
from engine.messaging.records import Columns, Decide, Keep, Record, Release, Take, encode
from engine.reports.summary import Summary
from engine.simulation.audit import audit
from support.clock import ManualClock
from support.definitions import START, campaign, frame, report

P, NAME = 25, "spring-shoes"


class Run:
    """What a run leaves behind, written by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock(START + 60.0)
        self.broker = MemoryBroker(clock=self.clock)
        self.head = 0

    async def append(self, record: Record) -> None:
        self.head = await self.broker.chain.append(P, encode(record), expected=self.head)

    async def take(self, *, epoch: int = 1, owner: str = "w", round: int = 0) -> None:  # noqa: A002
        await self.append(
            Take(
                partition=P,
                previous=self.head,
                epoch=epoch,
                owner=owner,
                at_ms=0,
                round=round,
                metrics_sequence=0,
                campaigns_revision=0,
            )
        )

    async def decide(self, number: int, *, settled: int = 0, epoch: int = 1) -> None:
        changed = Columns(
            campaign=[NAME],
            action=[1],
            binding=[0],
            best=[-1],
            pacing_multiplier=[1.0],
            settled_micros=[settled],
            reserved_micros=[0],
            series_count=[0],
        )
        await self.append(
            Decide(
                partition=P,
                previous=self.head,
                epoch=epoch,
                owner="w",
                round=number,
                at_ms=2_000 * number,
                metrics_sequence=0,
                campaigns_revision=0,
                decided=1,
                settled_micros=settled,
                reserved_micros=0,
                changed=changed,
            )
        )

    async def report(self, sequence: int, *, spend_micros: int, message_id: str = "") -> None:
        rows = [report(NAME, "google", at=START + sequence, spend_micros=spend_micros)]
        payload = frame(P, rows, sequence=sequence)
        await self.broker.frames.publish(P, payload, message_id=message_id or f"m{sequence}")

    async def campaign(self, *, budget_micros: int = 100_000_000) -> None:
        payload = encode_campaign(campaign(NAME, budget_micros=budget_micros))
        await self.broker.campaigns.put(NAME, payload, expected=0)

    async def audited(self) -> Summary:
        return await audit(
            self.broker, clock=self.clock, seed=7, workers=2, duration_s=10.0, interval_ms=2_000
        )


async def test_a_sound_run_is_counted() -> None:
    run = Run()
    await run.campaign()
    await run.take()
    for number in range(1, 6):
        await run.decide(number, settled=number)
        await run.report(number, spend_micros=1_000_000)
    keep = Keep(
        partition=P,
        previous=run.head,
        epoch=1,
        owner="w",
        at_ms=0,
        round=5,
        metrics_sequence=0,
        campaigns_revision=0,
        campaign=[NAME],
        settled_micros=[4_000_000],
        reserved_micros=[0],
    )
    await run.append(keep)
    release = Release(
        partition=P,
        previous=run.head,
        epoch=1,
        owner="w",
        at_ms=0,
        round=5,
        metrics_sequence=0,
        campaigns_revision=0,
    )
    await run.append(release)
    summary = await run.audited()
    assert summary.is_sound
    assert (summary.rounds, summary.decisions, summary.changes, summary.takes) == (5, 5, 5, 1)
    assert (summary.samples, summary.spend_micros) == (5, 5_000_000)
    assert summary.unsettled_micros == 1_000_000
    assert (summary.conversions, summary.value_micros, summary.roas) == (10.0, 200_000_000, 40.0)
    assert (summary.campaigns, summary.workers, summary.seed) == (1, 2, 7)


async def test_a_broken_chain_is_found() -> None:
    run = Run()
    await run.campaign()
    await run.take()
    await run.decide(1)
    await run.decide(3)  # a gap
    await run.decide(3)  # a duplicate
    await run.take(epoch=2, owner="other", round=3)
    await run.decide(4, epoch=1)  # stale
    summary = await run.audited()
    assert (summary.gaps, summary.duplicates, summary.stale) == (1, 1, 1)
    assert not summary.is_sound
    assert len(summary.findings) == 3


async def test_a_campaign_that_spent_more_than_its_budget_is_found() -> None:
    run = Run()
    await run.campaign(budget_micros=1_000_000)
    await run.report(1, spend_micros=1_000_001)
    summary = await run.audited()
    assert summary.overspent_campaigns == 1
    assert not summary.is_sound


async def test_a_frame_that_was_stored_twice_counts_once() -> None:
    run = Run()
    await run.campaign()
    await run.report(1, spend_micros=500, message_id="a")
    await run.report(1, spend_micros=500, message_id="b")
    summary = await run.audited()
    assert (summary.samples, summary.duplicate_frames, summary.spend_micros) == (1, 1, 500)


async def test_what_does_not_decode_is_counted_and_not_sound() -> None:
    run = Run()
    await run.broker.chain.append(1, b"nonsense", expected=0)
    await run.broker.frames.publish(1, b"nonsense", message_id="x")
    summary = await run.audited()
    assert summary.unreadable == 2
    assert not summary.is_sound


async def test_money_of_two_currencies_is_not_added_up() -> None:
    run = Run()
    await run.campaign()
    other = encode_campaign(campaign("winter-coats", currency="EUR"))
    await run.broker.campaigns.put("winter-coats", other, expected=0)
    summary = await run.audited()
    assert summary.currency is None
    assert summary.spend_micros is summary.budget_micros is summary.roas is None
