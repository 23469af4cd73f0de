"""What `engine explain` says of the changes that were sent for a campaign."""

from typing import Any

import pytest

from engine.cli.sent import Sent, read_sent, sent_lines
from engine.domain.campaign import PlatformBounds
from engine.domain.decision import Action, Binding, Decision, PlatformDecision
from engine.messaging.changes import (
    Change,
    Done,
    Intend,
    JournalRecord,
    Settled,
    Take,
    encode_journal,
)
from engine.messaging.gateway_status import AccountStatus, GatewayStatus
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.subjects import changes_subject
from support.definitions import campaign

AT = 1_800_000_000.0
GOOGLE = PlatformBounds(ad_account="123", entity="campaigns/5")
ONE = campaign("spring", platforms={"google": GOOGLE, "meta": PlatformBounds()})
DECISION = Decision(
    campaign="spring",
    partition=25,
    epoch=1,
    round=9,
    at=AT,
    action=Action.BID,
    binding=Binding.NONE,
    best_platform="google",
    pacing_multiplier=1.0,
    settled_micros=0,
    reserved_micros=0,
    platforms=(
        PlatformDecision(
            platform="google",
            bid_micros=810_000,
            cap_micros=1,
            cpc_micros=None,
            cvr=None,
            roi_micros=None,
            confidence=1.0,
        ),
    ),
)


@pytest.fixture
async def broker() -> MemoryBroker:
    return MemoryBroker(server=MemoryServer(), name="test")


async def send(broker: MemoryBroker, *changes: tuple[float, Change, str]) -> None:
    """Write a journal: seconds after AT, a change, and what became of it ("": nobody knows)."""
    subject, head = changes_subject("google", "123"), 0

    async def append(record: type[JournalRecord], at: float, **fields: Any) -> None:  # noqa: ANN401
        nonlocal head
        common: dict[str, Any] = {
            "platform": "google", "ad_account": "123", "previous": head, "epoch": 1,
            "owner": "g1", "at_ms": round((AT + at) * 1000),
        }  # fmt: skip
        payload = encode_journal(record(**common, **fields))
        head = await broker.journal.append(subject, payload, expected=head)

    await append(Take, 0)
    for at, one, result in changes:
        await append(Intend, at, changes=[one])
        if result:
            await append(Done, at, intend=head, results=[Settled(id=one.id, result=result)])


def bid(number: int, before: int, value: int, name: str = "spring") -> Change:
    return Change(id=f"c{number}", campaign=name, entity="campaigns/5", lever="bid",
                  before=before, value=value, why="bid")  # fmt: skip


def gateway(**fields: Any) -> GatewayStatus:  # noqa: ANN401
    given: dict[str, Any] = {"platform": "google", "ad_account": "123", "is_live": True}
    return GatewayStatus(gateway="g1", version="0", started_at=AT, at=AT,
                         accounts=[AccountStatus(**(given | fields))])  # fmt: skip


async def google(broker: MemoryBroker, *gateways: GatewayStatus, **given: Any) -> Sent:  # noqa: ANN401
    found = await read_sent(broker.journal, ONE, DECISION, gateways, **given)
    return {one.platform: one for one in found}["google"]


async def test_the_newest_change_is_told_with_its_outcome_and_what_was_decided_since(
    broker: MemoryBroker,
) -> None:
    await send(
        broker,
        (1, bid(1, 400_000, 500_000), "applied"),
        (2, bid(2, 500_000, 800_000), "rejected"),
        (3, bid(3, 1, 2, name="other"), "applied"),
    )
    found = await read_sent(broker.journal, ONE, DECISION, [gateway()])
    first, second = sent_lines(found, DECISION, now=AT + 43)
    assert first == (
        "sent       google/123 campaigns/5, 2027-01-15 08:00:02Z, 41 s ago: bid 0.50 → 0.80 for "
        "bid; rejected; decided since 0.81; 1 before it (engine changes)"
    )
    assert second == ("           meta: nothing was sent: the definition names no ad_account there")
    assert (await google(broker, until=AT + 1)).newest.id == "c1"  # type: ignore[union-attr]


async def test_a_change_whose_outcome_nobody_knows_is_open(broker: MemoryBroker) -> None:
    await send(broker, (1, bid(1, 1, 810_000), ""))
    found = await google(broker)
    assert found.newest is not None
    assert found.newest.result == "open"
    assert "decided since" not in sent_lines([found], DECISION, now=AT)[0]


@pytest.mark.parametrize(
    ("gateways", "reason"),
    [
        ([], "no gateway heard has google/123"),
        ([gateway(ad_account="7")], "no gateway heard has google/123"),
        (
            [gateway(is_held=False, last_error="401")],
            "gateway g1 does not hold the ad account: 401",
        ),
        ([gateway(breaker="open", last_error="500")], "the breaker is open: 500"),
        (
            [gateway(waiting=2, held_back={"dead-band": 40})],
            "2 waiting; held back 40 dead-band, in the whole ad account",
        ),
        ([gateway()], "nothing waits in the ad account"),
        ([gateway(is_held=False), gateway(breaker="open")], "the breaker is open"),
    ],
)
async def test_where_nothing_was_sent_the_first_obstacle_is_named(
    broker: MemoryBroker, gateways: list[GatewayStatus], reason: str
) -> None:
    assert (await google(broker, *gateways)).reason == reason
