"""What every adapter to an ad platform does, held against its sandbox."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from engine.errors import (
    PlatformCredentialsError,
    PlatformQuotaError,
    PlatformThrottledError,
    PlatformUnavailableError,
)
from engine.platforms.port import Lever, Mutation, Result
from engine.sandbox.faults import Call, Trouble
from engine.sandbox.state import SLOT_S, Stat
from support.platforms import PLATFORMS, TIMEZONE, UnderTest, mutation, no_loose_ends, one_standing
from support.waiting import wait_until

BERLIN = ZoneInfo(TIMEZONE)
NOON = int(datetime(2026, 6, 3, 12, tzinfo=BERLIN).timestamp())


@pytest.fixture(params=sorted(PLATFORMS))
async def here(request: pytest.FixtureRequest) -> AsyncIterator[UnderTest]:
    async with no_loose_ends(), PLATFORMS[request.param]() as under_test:
        yield under_test


def levers(here: UnderTest) -> list[Mutation]:
    return [
        mutation(here.bid, Lever.BID, 1_230_000, name="bid"),
        mutation(here.cpa, Lever.TARGET_CPA, 18_000_000, name="cpa"),
        mutation(here.roas, Lever.TARGET_ROAS, 3.5, name="roas"),
        mutation(here.budget, Lever.DAILY_BUDGET, 61_000_000, name="budget"),
        mutation(here.cpa, Lever.SERVING, 0, name="serving"),
    ]


async def test_ad_accounts_have_their_currency_and_clock(here: UnderTest) -> None:
    accounts = {account.id: account for account in await here.platform.accounts()}
    own, other = accounts[here.ad_account], accounts[here.other_ad_account]
    assert (own.currency, own.timezone, own.money_step_micros) == ("EUR", TIMEZONE, 10_000)
    assert (other.currency, other.timezone) == ("JPY", "Asia/Tokyo")
    assert other.money_step_micros == 1_000_000
    assert (own.is_test, other.is_test) == (here.tells_tests, False)


async def test_standings_tell_the_lever_that_counts_and_where_it_stands(here: UnderTest) -> None:
    standings = {
        standing.target: standing
        for standing in await here.platform.inspect(
            [
                *(here.bid, here.cpa, here.roas, here.budget, here.paused),
                *([here.learning] if here.learning else []),
            ]
        )
    }
    assert standings[here.bid].steered_by is Lever.BID
    assert standings[here.bid].bid_micros == 1_000_000
    assert standings[here.cpa].steered_by is Lever.TARGET_CPA
    assert standings[here.cpa].target_cpa_micros == 20_000_000
    assert standings[here.roas].steered_by is Lever.TARGET_ROAS
    assert standings[here.roas].target_roas == 3.0
    assert standings[here.budget].daily_budget_micros == 50_000_000
    assert {t for t, s in standings.items() if s.is_learning} == {here.learning} - {None}
    assert {t for t, s in standings.items() if not s.is_serving} == {here.paused}


async def test_an_entity_that_is_not_there_is_left_out(here: UnderTest) -> None:
    found = await here.platform.inspect([here.missing, here.bid, here.removed])
    assert [standing.target for standing in found] == [here.bid]
    assert await here.platform.inspect([here.missing]) == []
    assert await here.platform.inspect([]) == []


async def test_a_shared_budget_is_said_to_be_shared_and_not_moved(here: UnderTest) -> None:
    if here.shared is None:
        return
    assert (await one_standing(here.platform, here.shared)).is_budget_shared
    assert not (await one_standing(here.platform, here.budget)).is_budget_shared
    wanted = mutation(here.shared, Lever.DAILY_BUDGET, 1_000_000)
    [outcome] = await here.platform.apply([wanted])
    assert (outcome.id, outcome.result) == ("m-1", Result.REJECTED)
    assert "shared" in outcome.reason
    assert here.books.moves == []


async def test_what_was_applied_is_what_is_found(here: UnderTest) -> None:
    outcomes = await here.platform.apply(levers(here))
    assert [(o.id, o.result) for o in outcomes] == [
        (name, Result.APPLIED) for name in ("bid", "cpa", "roas", "budget", "serving")
    ]
    assert (await one_standing(here.platform, here.bid)).bid_micros == 1_230_000
    cpa = await one_standing(here.platform, here.cpa)
    assert (cpa.target_cpa_micros, cpa.is_serving) == (18_000_000, False)
    assert (await one_standing(here.platform, here.roas)).target_roas == 3.5
    assert (await one_standing(here.platform, here.budget)).daily_budget_micros == 61_000_000
    assert len(here.books.moves) == 5


async def test_to_apply_again_leaves_the_platform_as_it_is(here: UnderTest) -> None:
    await here.platform.apply(levers(here))
    before = await here.platform.inspect([here.bid, here.cpa, here.roas, here.budget])
    again = await here.platform.apply(levers(here))
    assert {outcome.result for outcome in again} == {Result.APPLIED}
    after = await here.platform.inspect([here.bid, here.cpa, here.roas, here.budget])
    assert sorted(after, key=lambda s: s.target) == sorted(before, key=lambda s: s.target)


async def test_what_is_paused_comes_back(here: UnderTest) -> None:
    await here.platform.apply([mutation(here.bid, Lever.SERVING, 0)])
    assert not (await one_standing(here.platform, here.bid)).is_serving
    await here.platform.apply([mutation(here.bid, Lever.SERVING, 1)])
    assert (await one_standing(here.platform, here.bid)).is_serving


async def test_one_that_is_refused_does_not_stop_the_others(here: UnderTest) -> None:
    outcomes = await here.platform.apply(
        [
            mutation(here.bid, Lever.BID, 1_230_000, name="good"),
            mutation(here.missing, Lever.SERVING, 0, name="missing"),
            mutation(here.cpa, Lever.TARGET_CPA, 18_003_217, name="uneven"),
            mutation(here.roas, Lever.TARGET_ROAS, 3.5, name="good too"),
        ]
    )
    assert [(outcome.id, outcome.result) for outcome in outcomes] == [
        ("good", Result.APPLIED),
        ("missing", Result.REJECTED),
        ("uneven", Result.REJECTED),
        ("good too", Result.APPLIED),
    ]
    assert all(outcome.reason and outcome.code for outcome in outcomes[1:3])
    assert len(here.books.moves) == 2


@pytest.mark.parametrize("value", [0.0, -1_000_000.0, 1_000_000.5, float("nan"), float("inf")])
async def test_an_amount_that_is_none_does_not_leave(here: UnderTest, value: float) -> None:
    [outcome] = await here.platform.apply([mutation(here.bid, Lever.BID, value)])
    assert outcome.result is Result.REJECTED
    assert here.books.moves == []


async def test_a_lever_that_does_not_count_is_refused_and_the_one_that_does_is_named(
    here: UnderTest,
) -> None:
    [outcome] = await here.platform.apply([mutation(here.cpa, Lever.TARGET_ROAS, 3.0)])
    assert outcome.result is Result.REJECTED
    assert "target-cpa" in outcome.reason
    assert here.books.moves == []


async def test_a_dry_run_is_checked_by_the_platform_and_changes_nothing(here: UnderTest) -> None:
    wanted = [*levers(here), mutation(here.missing, Lever.SERVING, 0, name="missing")]
    outcomes = await here.platform.apply(wanted, is_dry_run=True)
    assert [o.result for o in outcomes] == [Result.APPLIED] * 5 + [Result.REJECTED]
    assert here.books.moves == []
    assert (await one_standing(here.platform, here.bid)).bid_micros == 1_000_000


async def test_an_empty_batch_costs_nothing(here: UnderTest) -> None:
    assert await here.platform.apply([]) == []
    assert here.quota.used == 0


async def test_who_is_throttled_is_told_for_how_long_by_the_platform(here: UnderTest) -> None:
    here.faults.plan(Call.APPLY, Trouble.THROTTLED, retry_after_s=here.delay_s)
    with pytest.raises(PlatformThrottledError) as caught:
        await here.platform.apply([mutation(here.bid, Lever.BID, 1_230_000)])
    assert not isinstance(caught.value, PlatformQuotaError)
    assert caught.value.retry_after_s == here.told_delay_s
    assert here.books.moves == []
    [outcome] = await here.platform.apply([mutation(here.bid, Lever.BID, 1_230_000)])
    assert outcome.result is Result.APPLIED


async def test_a_days_quota_that_is_used_up_is_told_apart(here: UnderTest) -> None:
    here.quota.per_day = here.quota.used
    with pytest.raises(PlatformQuotaError) as caught:
        await here.platform.apply([mutation(here.bid, Lever.SERVING, 0)])
    assert caught.value.retry_after_s is not None
    assert 0 < caught.value.retry_after_s <= 86_400 + 1
    assert here.books.moves == []
    await here.clock.advance(caught.value.retry_after_s)
    here.quota.per_day = 100
    [outcome] = await here.platform.apply([mutation(here.bid, Lever.SERVING, 0)])
    assert outcome.result is Result.APPLIED


@pytest.mark.parametrize("trouble", [Trouble.UNAVAILABLE, Trouble.GARBLED, Trouble.CONFLICT])
async def test_a_platform_in_trouble_is_unavailable(here: UnderTest, trouble: Trouble) -> None:
    here.faults.plan(Call.APPLY, trouble)
    with pytest.raises(PlatformUnavailableError):
        await here.platform.apply([mutation(here.bid, Lever.SERVING, 0)])
    here.faults.plan(Call.INSPECT, trouble)
    with pytest.raises(PlatformUnavailableError):
        await here.platform.inspect([here.bid])
    here.faults.plan(Call.REPORT, trouble)
    with pytest.raises(PlatformUnavailableError):
        await here.rows(NOON, NOON + 3600)
    assert len(await here.platform.inspect([here.bid])) == 1


async def test_after_a_lost_answer_the_platforms_truth_is_found_by_inspecting(
    here: UnderTest,
) -> None:
    here.faults.plan(Call.APPLY, Trouble.LOST_ANSWER)
    with pytest.raises(PlatformUnavailableError):
        await here.platform.apply([mutation(here.bid, Lever.BID, 1_230_000)])
    assert (await one_standing(here.platform, here.bid)).bid_micros == 1_230_000
    assert len(here.books.moves) == 1


async def test_a_report_that_breaks_off_is_an_error_and_not_a_shorter_report(
    here: UnderTest,
) -> None:
    here.record(*(Stat(entity=here.bid_id, at=NOON + n * 3600, clicks=1) for n in range(6)))
    here.faults.plan(Call.REPORT, Trouble.BROKEN_OFF, times=2)
    with pytest.raises(PlatformUnavailableError):
        await here.rows(NOON, NOON + 6 * 3600)


async def test_a_server_killed_in_mid_call_is_unavailable_and_then_back(here: UnderTest) -> None:
    here.faults.plan(Call.APPLY, Trouble.SILENT)
    call = asyncio.ensure_future(here.platform.apply([mutation(here.bid, Lever.SERVING, 0)]))
    await wait_until(lambda: here.faults.taken, what="the call to be taken")
    await here.kill()
    with pytest.raises(PlatformUnavailableError):
        await call
    with pytest.raises(PlatformUnavailableError):
        await here.platform.inspect([here.bid])
    await here.start()
    async with asyncio.timeout(20):
        while True:
            try:
                assert (await one_standing(here.platform, here.bid)).is_serving
                break
            except PlatformUnavailableError:
                await asyncio.sleep(0.05)  # it waits a while before it connects anew


async def test_a_silent_platform_costs_its_deadline_and_no_more(here: UnderTest) -> None:
    impatient = here.impatient()
    here.faults.plan(Call.INSPECT, Trouble.SILENT)
    with pytest.raises(PlatformUnavailableError):
        await impatient.inspect([here.bid])
    here.faults.plan(Call.APPLY, Trouble.SILENT)
    with pytest.raises(PlatformUnavailableError):
        await impatient.apply([mutation(here.bid, Lever.SERVING, 0)])
    assert here.books.moves == []


async def test_a_call_that_is_cancelled_leaves_nothing_behind(here: UnderTest) -> None:
    here.faults.plan(Call.APPLY, Trouble.SILENT)
    call = asyncio.ensure_future(here.platform.apply([mutation(here.bid, Lever.SERVING, 0)]))
    await wait_until(lambda: here.faults.taken, what="the call to be taken")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(await here.platform.inspect([here.bid])) == 1


async def test_credentials_that_the_platform_does_not_know_are_refused(here: UnderTest) -> None:
    stranger = here.unknown()
    with pytest.raises(PlatformCredentialsError) as caught:
        await stranger.accounts()
    assert "not-it" not in f"{caught.value!r} {caught.value}"
    with pytest.raises(PlatformCredentialsError):
        await stranger.apply([mutation(here.bid, Lever.SERVING, 0)])
    assert here.books.moves == []


async def test_credentials_that_are_taken_back_are_refused(here: UnderTest) -> None:
    assert len(await here.platform.inspect([here.bid])) == 1
    here.expire()
    with pytest.raises(PlatformCredentialsError):
        await here.platform.inspect([here.bid])
    with pytest.raises(PlatformCredentialsError):
        await here.platform.apply([mutation(here.bid, Lever.SERVING, 0)])
    with pytest.raises(PlatformCredentialsError):
        await here.rows(NOON, NOON + 3600)


async def test_an_ad_account_out_of_reach_is_refused(here: UnderTest) -> None:
    here.faults.plan(Call.APPLY, Trouble.DENIED)
    with pytest.raises(PlatformCredentialsError):
        await here.platform.apply([mutation(here.bid, Lever.SERVING, 0)])


async def test_a_report_gives_what_was_counted(here: UnderTest) -> None:
    stat = Stat(
        entity=here.bid_id,
        at=NOON,
        impressions=1000,
        clicks=50,
        spend_micros=12_340_000,
        milliconversions=2_500,
        revenue_micros=99_990_000,
    )
    here.record(stat)
    [row] = await here.rows(NOON, NOON + 1)
    assert (row.starts_at, row.ends_at) == (NOON, NOON + 3600)
    assert (row.impressions, row.clicks, row.spend_micros) == (1000, 50, 12_340_000)
    assert (row.milliconversions, row.revenue_micros) == (2_500, 99_990_000)


async def test_a_report_of_a_quiet_time_is_empty(here: UnderTest) -> None:
    assert await here.rows(NOON, NOON + 86_400) == []


async def test_stretches_that_overlap_the_time_come_whole_and_others_do_not(
    here: UnderTest,
) -> None:
    slots = [Stat(entity=here.bid_id, at=NOON + n * SLOT_S, clicks=1) for n in range(16)]
    here.record(*slots)
    rows = await here.rows(NOON + 3600 + 1, NOON + 2 * 3600 + 1)
    assert [(row.starts_at - NOON, row.clicks) for row in rows] == [(3600, 4), (7200, 4)]
    rows = await here.rows(NOON + 3600, NOON + 2 * 3600)
    assert [(row.starts_at - NOON, row.clicks) for row in rows] == [(3600, 4)]


async def test_conversions_that_come_late_restate_the_same_stretch(here: UnderTest) -> None:
    stat = Stat(entity=here.bid_id, at=NOON, clicks=50, milliconversions=1_000)
    here.record(stat)
    [before] = await here.rows(NOON, NOON + 3600)
    here.record(Stat(entity=here.bid_id, at=NOON, clicks=50, milliconversions=4_750))
    [after] = await here.rows(NOON, NOON + 3600)
    assert (before.target, before.starts_at, before.ends_at) == (
        after.target,
        after.starts_at,
        after.ends_at,
    )
    assert (before.milliconversions, after.milliconversions) == (1_000, 4_750)


@pytest.mark.parametrize(
    ("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 6, 3), 24)]
)
async def test_the_stretches_of_a_day_fill_it_whatever_the_clocks_do(
    here: UnderTest, day: tuple[int, int, int], hours: int
) -> None:
    since = int(datetime(*day, tzinfo=BERLIN).timestamp())
    until = since + hours * 3600
    every_slot = range(since, until, SLOT_S)
    here.record(*(Stat(entity=here.bid_id, at=at, spend_micros=10_000) for at in every_slot))
    rows = await here.rows(since, until)
    assert rows[0].starts_at == since
    assert rows[-1].ends_at == until
    assert all(row.ends_at == after.starts_at for row, after in pairwise(rows))
    for row in rows:
        assert row.spend_micros == (row.ends_at - row.starts_at) / SLOT_S * 10_000


async def test_a_reader_who_leaves_early_leaves_nothing_behind(here: UnderTest) -> None:
    here.record(*(Stat(entity=here.bid_id, at=NOON + n * SLOT_S, clicks=1) for n in range(2_000)))
    report = here.platform.report(here.ad_account, since=NOON, until=NOON + 2_000 * SLOT_S)
    async with aclosing(report) as rows:  # type: ignore[type-var] # adapters give generators
        async for _ in rows:
            break
    assert len(await here.platform.inspect([here.bid])) == 1


async def test_limits_are_ones_that_a_gateway_can_keep_to(here: UnderTest) -> None:
    limits = here.platform.limits
    assert limits.batch >= 1
    assert limits.operations_per_second > 0
    assert limits.report_step_s % SLOT_S == 0
    ZoneInfo(limits.quota_renewed_in)


async def test_a_batch_of_two_ad_accounts_or_too_long_is_a_mistake(here: UnderTest) -> None:
    far = mutation(here.bid, Lever.BID, 1_000_000)
    too_many = [far] * (here.platform.limits.batch + 1)
    with pytest.raises(ValueError, match="at most"):
        await here.platform.apply(too_many)


async def test_one_closed_adapter_can_be_closed_again(here: UnderTest) -> None:
    await here.platform.inspect([here.bid])
    await here.platform.aclose()
    await here.platform.aclose()
