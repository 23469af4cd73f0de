"""A campaign's past, read back from the chain: columns with gaps, and why the bid changed."""

import msgspec

from engine.dashboard.past import bid_change, changes_of, past_fields, read_past
from engine.domain.decision import Action, Binding
from engine.domain.lifecycle import State
from engine.messaging.memory import MemoryBroker
from engine.messaging.records import decisions_of
from support.dashboard import Fleet, decide
from support.definitions import START, campaign, names_in


async def test_decisions_come_back_in_order_and_others_are_left_out() -> None:
    broker = MemoryBroker()
    fleet = Fleet(broker)
    mine, other = names_in(9, 2)
    await fleet.take()
    for step in range(5):
        await fleet.decide({"campaign": mine, "settled": step}, at=START + step)
        await fleet.decide({"campaign": other}, at=START + step)
    past = await read_past(broker.chain, mine)
    assert [one.settled_micros for one in past.decisions] == [0, 1, 2, 3, 4]
    assert past.is_whole
    newest = await read_past(broker.chain, mine, enough=2)
    assert [one.settled_micros for one in newest.decisions] == [3, 4]
    assert not newest.is_whole


async def test_a_campaign_without_a_chain_has_no_past() -> None:
    past = await read_past(MemoryBroker().chain, "nobody")
    assert past.decisions == []
    fields = past_fields(past, None)
    assert (fields["at"], fields["change"]) == ([], None)


async def test_a_past_is_columns_with_gaps_where_a_platform_was_not_there() -> None:
    broker = MemoryBroker()
    fleet = Fleet(broker)
    await fleet.decide({"campaign": "a", "bids": {"google": (5, None, 0.1)}}, at=START)
    await fleet.decide({"campaign": "a", "bids": {"meta": (7, 2.0, 0.1)}}, at=START + 2)
    fields = past_fields(await read_past(broker.chain, "a"), campaign("a").definition)
    assert fields["bid"] == {"google": [5, None], "meta": [None, 7]}
    assert fields["roi"] == {"google": [None, None], "meta": [None, 2.0]}
    assert fields["planned"][0] == 0
    assert b"NaN" not in msgspec.json.encode(fields)


def one(**row: object) -> object:
    return decisions_of(decide({"campaign": "a"} | row))[0]


def test_the_last_change_of_a_bid_is_found_and_said() -> None:
    before = one(bids={"google": (500_000, 10.0, 0.5), "meta": (300_000, 5.0, 0.4)}, pacing=0.8)
    after = one(
        bids={"google": (600_000, 20.0, 0.5), "meta": (0, 30.0, 0.4)}, pacing=1.0,
        binding=Binding.MAX_CHANGE, action=Action.FALLBACK,
    )  # fmt: skip
    same = one(bids={"google": (600_000, 90.0, 0.9), "meta": (0, 1.0, 0.1)}, pacing=1.0)
    change = bid_change([before, after, same], None)  # type: ignore[list-item]
    assert change is not None
    assert change["before"]["platforms"][0]["bid"] == 500_000
    assert change["words"] == [
        "The bid on google rose by 20.0%, from 0.50 to 0.60, held by largest change a round.",
        "On meta it stopped bidding, before 0.30, held by largest change a round.",
        "The action went from bid to fallback.",
        "What binds it went from pacing to max change.",
        "The best platform is meta, it was google.",
        "The pacing multiplier went from 0.80 to 1.00.",
    ]


def test_bids_that_never_changed_have_no_last_change() -> None:
    same = [one(settled=step) for step in range(3)]
    assert bid_change(same, None) is None  # type: ignore[arg-type]
    assert bid_change(same[:1], None) is None  # type: ignore[arg-type]
    assert bid_change([], None) is None


async def test_changes_say_by_whom_and_field_by_field() -> None:
    broker = MemoryBroker()
    fleet = Fleet(broker)
    await fleet.publish(campaign("a"))
    await fleet.publish(campaign("a", budget_micros=200_000_000))
    await fleet.publish(campaign("a", budget_micros=200_000_000, state=State.PAUSED))
    paused, raised, created = await changes_of(broker.campaigns, "a")
    assert created["is_oldest"]
    assert created["changes"] == []
    assert raised["by"] == "test"
    assert raised["changes"] == [{"field": "budget_micros", "from": 100_000_000, "to": 200_000_000}]
    assert paused["changes"] == [{"field": "state", "from": "active", "to": "paused"}]
