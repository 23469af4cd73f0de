"""A gateway from decisions to changes, over a broker in memory and a fake platform."""

from engine.messaging.changes import Done, Intend, Release, Take
from engine.platforms.port import Lever
from support.gateway import Floor, account, linked
from support.waiting import wait_until


async def test_a_decision_becomes_a_change_with_its_reason_in_the_journal() -> None:
    floor = Floor()
    floor.platform.stand("adGroups/55")
    await floor.publish("spring-shoes", platforms=linked("adGroups/55"))
    async with floor.gateway():
        sequence = await floor.decide("spring-shoes", bid=800_000)
        await wait_until(lambda: floor.platform.value("adGroups/55", Lever.BID) == 800_000)
    take, intend, done, release = await floor.journal()
    assert isinstance(take, Take)
    assert take.is_live
    assert isinstance(intend, Intend)
    (change,) = intend.changes
    assert (change.campaign, change.entity) == ("spring-shoes", "adGroups/55")
    assert (change.lever, change.before, change.value) == ("bid", 500_000, 800_000)
    assert (change.why, change.partition, change.sequence) == ("bid", 25, sequence)
    assert change.worth_micros_per_h > 0
    assert isinstance(done, Done)
    assert [(one.id, one.result) for one in done.results] == [(change.id, "applied")]
    assert isinstance(release, Release)
    assert floor.platform.is_closed


async def test_a_dry_run_changes_nothing_and_says_what_it_would() -> None:
    floor = Floor()
    floor.platform.stand("adGroups/55")
    await floor.publish("spring-shoes", platforms=linked("adGroups/55"))
    async with floor.gateway(accounts=[account(live=False)]):
        await floor.decide("spring-shoes", bid=800_000)
        await wait_until(lambda: "apply dry" in floor.platform.calls)
    assert floor.platform.value("adGroups/55", Lever.BID) == 500_000
    assert "apply" not in floor.platform.calls
    assert floor.platform.calls.count("apply dry") == 1, "what was pretended is not wanted again"
    intends = [one for one in await floor.journal() if isinstance(one, Intend)]
    assert [one.is_dry_run for one in intends] == [True]
