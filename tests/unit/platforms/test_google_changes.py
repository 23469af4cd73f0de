"""Changes at Google: one operation a resource, exact fields, and strategies left as they are."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from engine.errors import PlatformThrottledError, PlatformUnavailableError
from engine.platforms.port import Lever, Result, Target
from engine.sandbox.faults import Call, Trouble
from engine.sandbox.state import Entity, Level, Move
from support.platforms import UnderTest, google, mutation, no_loose_ends, one_standing


@pytest.fixture
async def here() -> AsyncIterator[UnderTest]:
    async with no_loose_ends(), google() as under_test:
        yield under_test


def target(entity: str) -> Target:
    return Target("1234567890", entity)


def methods(here: UnderTest) -> list[str]:
    return [method for method, _ in here.others["sandbox"].heard if method != "SearchStream"]


async def test_each_lever_goes_to_the_field_of_the_campaigns_own_strategy(here: UnderTest) -> None:
    strategies = {each.id: each.strategy for each in here.books.entities("1234567890", CAMPAIGN)}
    wanted = [
        mutation(target("campaigns/2"), Lever.TARGET_CPA, 18_000_000, name="tCPA"),
        mutation(target("campaigns/3"), Lever.TARGET_ROAS, 3.5, name="tROAS"),
        mutation(target("campaigns/4"), Lever.TARGET_CPA, 12_000_000, name="conversions"),
        mutation(target("campaigns/6"), Lever.BID, 800_000, name="clicks"),
    ]
    outcomes = await here.platform.apply(wanted)
    assert {outcome.result for outcome in outcomes} == {Result.APPLIED}
    after = {each.id: each.strategy for each in here.books.entities("1234567890", CAMPAIGN)}
    assert after == strategies
    assert (await one_standing(here.platform, target("campaigns/4"))).target_cpa_micros == 12e6
    assert (await one_standing(here.platform, target("campaigns/6"))).bid_micros == 800_000


CAMPAIGN = Level.CAMPAIGN


async def test_an_ad_groups_own_target_is_read_before_its_campaigns(here: UnderTest) -> None:
    group = target("adGroups/21")
    assert (await one_standing(here.platform, group)).target_cpa_micros == 20_000_000
    [outcome] = await here.platform.apply([mutation(group, Lever.TARGET_CPA, 9_000_000)])
    assert outcome.result is Result.APPLIED
    assert (await one_standing(here.platform, group)).target_cpa_micros == 9_000_000
    assert (await one_standing(here.platform, target("campaigns/2"))).target_cpa_micros == 20e6


async def test_an_ad_groups_bid_is_not_moved_where_google_would_ignore_it(here: UnderTest) -> None:
    [outcome] = await here.platform.apply([mutation(target("adGroups/21"), Lever.BID, 1_000_000)])
    assert outcome.result is Result.REJECTED
    assert outcome.reason == "bid does not count under TARGET_CPA: target-cpa does"
    assert methods(here) == []


async def test_a_manual_campaign_has_no_bid_of_its_own(here: UnderTest) -> None:
    standing = await one_standing(here.platform, target("campaigns/1"))
    assert (standing.steered_by, standing.bid_micros) == (Lever.DAILY_BUDGET, None)
    [outcome] = await here.platform.apply([mutation(target("campaigns/1"), Lever.BID, 1_000_000)])
    assert outcome.result is Result.REJECTED


async def test_a_portfolio_is_not_moved_through_a_campaign_but_by_its_own_name(
    here: UnderTest,
) -> None:
    through = mutation(target("campaigns/8"), Lever.TARGET_CPA, 14_000_000)
    [outcome] = await here.platform.apply([through])
    assert outcome.result is Result.REJECTED
    assert "biddingStrategies/80" in outcome.reason
    own = target("biddingStrategies/80")
    assert (await one_standing(here.platform, own)).target_cpa_micros == 15_000_000
    [outcome] = await here.platform.apply([mutation(own, Lever.TARGET_CPA, 14_000_000)])
    assert outcome.result is Result.APPLIED
    assert (await one_standing(here.platform, own)).target_cpa_micros == 14_000_000
    assert (await one_standing(here.platform, target("campaigns/8"))).target_cpa_micros == 14e6


async def test_a_shared_budget_is_moved_by_its_own_name(here: UnderTest) -> None:
    own = target("campaignBudgets/90")
    assert (await one_standing(here.platform, own)).daily_budget_micros == 80_000_000
    [outcome] = await here.platform.apply([mutation(own, Lever.DAILY_BUDGET, 81_000_000)])
    assert outcome.result is Result.APPLIED
    assert (await one_standing(here.platform, own)).daily_budget_micros == 81_000_000


async def test_a_campaigns_budget_is_not_an_ad_groups_unless_it_has_no_other(
    here: UnderTest,
) -> None:
    sole, one_of_two = target("adGroups/11"), target("adGroups/21")
    assert not (await one_standing(here.platform, sole)).is_budget_shared
    assert (await one_standing(here.platform, one_of_two)).is_budget_shared
    outcomes = await here.platform.apply(
        [
            mutation(sole, Lever.DAILY_BUDGET, 55_000_000, name="sole"),
            mutation(one_of_two, Lever.DAILY_BUDGET, 55_000_000, name="of two"),
        ]
    )
    assert [outcome.result for outcome in outcomes] == [Result.APPLIED, Result.REJECTED]


async def test_a_budget_for_a_whole_life_is_not_taken_for_a_days(here: UnderTest) -> None:
    budget = here.books.entity("1234567890", Level.BUDGET, "10")
    assert budget is not None
    budget.is_lifetime = True
    assert (await one_standing(here.platform, target("campaigns/1"))).daily_budget_micros is None
    wanted = mutation(target("campaigns/1"), Lever.DAILY_BUDGET, 55_000_000)
    [outcome] = await here.platform.apply([wanted])
    assert outcome.result is Result.REJECTED
    assert "whole life" in outcome.reason


async def test_levers_of_one_resource_are_one_operation(here: UnderTest) -> None:
    before = here.quota.used
    outcomes = await here.platform.apply(
        [
            mutation(target("campaigns/2"), Lever.TARGET_CPA, 18_000_000, name="a"),
            mutation(target("campaigns/2"), Lever.SERVING, 1, name="b"),
        ]
    )
    assert {outcome.result for outcome in outcomes} == {Result.APPLIED}
    assert methods(here) == ["MutateCampaigns"]
    assert here.quota.used - before == 2, "a question and one operation"


async def test_of_one_resource_the_lever_that_was_not_at_fault_may_do_later(
    here: UnderTest,
) -> None:
    outcomes = await here.platform.apply(
        [
            mutation(target("campaigns/2"), Lever.TARGET_CPA, 18_003_217, name="uneven"),
            mutation(target("campaigns/2"), Lever.SERVING, 1, name="innocent"),
        ]
    )
    assert [outcome.result for outcome in outcomes] == [Result.REJECTED, Result.FAILED]
    assert outcomes[0].code == "currency_error.VALUE_NOT_MULTIPLE_OF_BILLABLE_UNIT"
    assert here.books.moves == []


async def test_of_the_same_lever_twice_the_later_counts(here: UnderTest) -> None:
    outcomes = await here.platform.apply(
        [
            mutation(here.bid, Lever.BID, 1_100_000, name="earlier"),
            mutation(here.bid, Lever.BID, 1_200_000, name="later"),
        ]
    )
    assert {outcome.result for outcome in outcomes} == {Result.APPLIED}
    assert [move.value for move in here.books.moves] == [1_200_000]


async def test_stops_go_first_and_wait_for_no_question(here: UnderTest) -> None:
    await here.platform.apply(
        [
            mutation(target("campaigns/1"), Lever.DAILY_BUDGET, 55_000_000, name="budget"),
            mutation(target("campaigns/3"), Lever.SERVING, 0, name="stop"),
        ]
    )
    assert methods(here) == ["MutateCampaigns", "MutateCampaignBudgets"]
    here.others["sandbox"].heard.clear()
    await here.platform.apply([mutation(target("campaigns/2"), Lever.SERVING, 0)])
    assert [method for method, _ in here.others["sandbox"].heard] == ["MutateCampaigns"]


async def test_a_stop_is_no_hostage_of_another_lever(here: UnderTest) -> None:
    outcomes = await here.platform.apply(
        [
            mutation(target("campaigns/2"), Lever.TARGET_CPA, 18_003_217, name="uneven"),
            mutation(target("campaigns/2"), Lever.SERVING, 0, name="stop"),
        ]
    )
    assert [outcome.result for outcome in outcomes] == [Result.REJECTED, Result.APPLIED]
    assert not (await one_standing(here.platform, target("campaigns/2"))).is_serving


async def test_a_stop_waits_for_no_question_and_is_not_lost_with_one(here: UnderTest) -> None:
    here.faults.plan(Call.INSPECT, Trouble.THROTTLED)
    outcomes = await here.platform.apply(
        [
            mutation(target("campaigns/1"), Lever.DAILY_BUDGET, 55_000_000, name="budget"),
            mutation(target("campaigns/3"), Lever.SERVING, 0, name="stop"),
        ]
    )
    assert [outcome.result for outcome in outcomes] == [Result.FAILED, Result.APPLIED]
    assert not (await one_standing(here.platform, target("campaigns/3"))).is_serving


@pytest.mark.parametrize("values", [(0, 1), (1, 0)])
async def test_of_a_stop_and_a_start_the_later_counts(
    here: UnderTest, values: tuple[int, int]
) -> None:
    asked = [
        mutation(target("campaigns/2"), Lever.SERVING, value, name=f"{n}")
        for n, value in enumerate(values)
    ]
    assert {outcome.result for outcome in await here.platform.apply(asked)} == {Result.APPLIED}
    standing = await one_standing(here.platform, target("campaigns/2"))
    assert standing.is_serving is bool(values[-1])


def both() -> list:  # type: ignore[type-arg] # of mutations
    return [
        mutation(target("campaigns/3"), Lever.SERVING, 0, name="stop"),
        mutation(target("campaigns/1"), Lever.DAILY_BUDGET, 55_000_000, name="budget"),
    ]


async def test_throttled_in_the_middle_the_rest_is_told_apart(here: UnderTest) -> None:
    here.faults.plan(Call.APPLY, Trouble.THROTTLED, after=1, retry_after_s=9)
    outcomes = await here.platform.apply(both())
    assert [outcome.result for outcome in outcomes] == [Result.APPLIED, Result.FAILED]
    assert outcomes[1].code == "quota_error.RESOURCE_TEMPORARILY_EXHAUSTED"
    assert here.books.moves == [Move("1234567890", CAMPAIGN, "3", Lever.SERVING, 1.0, 0.0)]
    here.faults.plan(Call.APPLY, Trouble.THROTTLED, retry_after_s=9)
    with pytest.raises(PlatformThrottledError):
        await here.platform.apply(both())


async def test_broken_in_the_middle_nothing_is_claimed(here: UnderTest) -> None:
    here.faults.plan(Call.APPLY, Trouble.UNAVAILABLE, after=1)
    with pytest.raises(PlatformUnavailableError):
        await here.platform.apply(both())
    assert not (await one_standing(here.platform, target("campaigns/3"))).is_serving


async def test_entities_that_are_not_googles_are_refused_here(here: UnderTest) -> None:
    wanted = ["ads/1", "campaigns/x", "adGroups", "campaigns/1/2", "campaigns/1) OR (1"]
    outcomes = await here.platform.apply(
        [mutation(target(entity), Lever.BID, 1_000_000, name=entity) for entity in wanted]
        + [mutation(target("campaignBudgets/10"), Lever.SERVING, 0, name="switch")]
    )
    assert {outcome.result for outcome in outcomes} == {Result.REJECTED}
    assert await here.platform.inspect([target(entity) for entity in wanted]) == []
    assert here.others["sandbox"].heard == []


async def test_what_keeps_an_entity_from_serving_is_said(here: UnderTest) -> None:
    standings = await here.platform.inspect([target("campaigns/7"), target("adGroups/11")])
    why = {standing.target.entity: standing.why_not_serving for standing in standings}
    assert why == {"campaigns/7": "campaign not eligible: no keywords", "adGroups/11": ""}
    here.books.move("1234567890", CAMPAIGN, "1", Lever.SERVING, 0)
    standing = await one_standing(here.platform, target("adGroups/11"))
    assert (standing.is_serving, standing.why_not_serving) == (True, "campaign paused")


async def test_a_suspended_account_is_said_to_be_and_its_changes_are_refused(
    here: UnderTest,
) -> None:
    [account] = [each for each in here.books.accounts() if each.id == "1234567890"]
    here.books.open(msgspec.structs.replace(account, is_suspended=True))
    standing = await one_standing(here.platform, here.bid)
    assert standing.why_not_serving == "ad account suspended"
    [outcome] = await here.platform.apply([mutation(here.bid, Lever.SERVING, 0)])
    assert outcome.result is Result.REJECTED
    assert outcome.code.endswith("ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT")


async def test_amounts_in_yen_are_whole_yen(here: UnderTest) -> None:
    yen = Target("2234567890", "campaigns/1")
    outcomes = [
        (await here.platform.apply([mutation(yen, Lever.TARGET_CPA, value)]))[0].result
        for value in (2_100_000_000, 2_100_010_000)
    ]
    assert outcomes == [Result.APPLIED, Result.REJECTED]


async def test_thousands_of_entities_are_read_in_few_questions(here: UnderTest) -> None:
    many = [Entity(id=f"{n}", level=CAMPAIGN, budget="10") for n in range(1_000, 7_000)]
    for entity in many:
        entity.strategy = "MANUAL_CPC"
    here.books.add("1234567890", *many)
    found = await here.platform.inspect([target(f"campaigns/{n}") for n in range(1_000, 7_000)])
    assert len(found) == 6_000
    assert len(here.others["sandbox"].heard) == 2
