"""Shares of accounts and the kill switch, through a partition's inputs and its chain."""

import asyncio

from engine.domain.accounts import Account, Halt, Share
from engine.domain.codec import encode_control
from engine.domain.decision import Action, Binding
from engine.messaging.subjects import HALT_NAME, share_name
from support.one_partition import NAME, Fleet, NoSnapshots, P

ACME = Account("acme", total_cap_micros=1_000_000)


async def control(fleet: Fleet, name: str, entry: Share | Halt, *, expected: int = 0) -> int:
    return await fleet.broker.campaigns.put_control(
        P, name, encode_control(entry), expected=expected
    )


async def bindings(fleet: Fleet) -> list[Binding]:
    """Return the newest decision's binding of each round that changed it."""
    return [Binding(code) for record in await fleet.rounds() for code in record.changed.binding]


async def test_the_kill_switch_holds_from_the_next_round_on_and_lets_go() -> None:
    fleet = Fleet()
    await fleet.publish()
    async with fleet.worker():
        await fleet.clock.advance(4)
        revision = await control(fleet, HALT_NAME, Halt(is_halted=True))
        await fleet.clock.advance(4)
        assert (await bindings(fleet))[-1] is Binding.HALTED
        halted = [record for record in await fleet.rounds() if record.changed.campaign][-1]
        assert halted.changed.action == [Action.HOLD]
        assert halted.changed.bid_micros == [0, 0]
        assert halted.changed.bound_by == [Binding.HALTED, Binding.HALTED]
        await control(fleet, HALT_NAME, Halt(is_halted=False), expected=revision)
        await fleet.clock.advance(4)
        assert (await bindings(fleet))[-1] is Binding.THIN_DATA


async def test_a_new_owner_keeps_to_the_share_and_the_switch_it_finds() -> None:
    for snapshots in (None, NoSnapshots()):
        fleet = Fleet()
        fleet.snapshots = snapshots
        await control(fleet, share_name("acme"), Share(ACME, P, total_cap_micros=1_000_000))
        await fleet.publish(account="acme")
        async with fleet.worker("w1") as first:
            await fleet.clock.advance(6)
            first.partition.stop()
            await first.task
        reserved = (await fleet.rounds())[-1].reserved_micros
        assert 0 < reserved <= 1_000_000
        await control(fleet, HALT_NAME, Halt(is_halted=True))
        async with fleet.worker("w2"):
            await fleet.clock.advance(4)
        newest = (await fleet.rounds())[-1]
        assert newest.owner == "w2"
        assert newest.settled_micros + newest.reserved_micros <= 1_000_000
        assert (await bindings(fleet))[-1] is Binding.HALTED


async def test_another_partition_s_share_is_buried_and_changes_nothing() -> None:
    fleet = Fleet()
    await control(fleet, share_name("acme"), Share(ACME, P + 1, total_cap_micros=1_000_000))
    await fleet.publish(account="acme")
    async with fleet.worker():
        await fleet.clock.advance(4)
    letters = [letter async for letter in fleet.broker.dead_letters.all()]
    assert any(f"a share of partition {P}, found {P + 1}'s" in one.reason for one in letters)
    assert (await bindings(fleet))[-1] is Binding.ACCOUNT_CAP


async def test_spend_and_reservations_of_an_account_keep_within_the_share() -> None:
    fleet = Fleet()
    await control(fleet, share_name("acme"), Share(ACME, P, total_cap_micros=1_000_000))
    await fleet.publish(account="acme", budget_micros=100_000_000)
    async with fleet.worker():
        for _ in range(8):
            await fleet.clock.advance(2)
            record = (await fleet.rounds())[-1]
            assert record.settled_micros + record.reserved_micros <= 1_000_000
            await fleet.report(NAME, spend_micros=60_000)  # below its cap
            await asyncio.sleep(0)
        assert Binding.ACCOUNT_CAP in await bindings(fleet)
