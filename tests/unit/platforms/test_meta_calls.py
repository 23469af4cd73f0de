"""How Meta is called: proofs, pages, batches, units; and what is not left in logs."""

import json
import logging
from collections.abc import AsyncIterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from engine.clock import SystemClock
from engine.errors import (
    PlatformCredentialsError,
    PlatformThrottledError,
    PlatformUnavailableError,
)
from engine.platforms.credentials import Credentials, Secret
from engine.platforms.meta.access import access_of
from engine.platforms.meta.standing import lever_of
from engine.platforms.port import Lever, Result, Target
from engine.platforms.registry import make_platform
from engine.sandbox.faults import Call, Trouble
from engine.sandbox.state import SLOT_S, Entity, Level, Stat
from support.platforms import UnderTest, meta, mutation, no_loose_ends, one_standing

NOON = int(datetime(2026, 6, 3, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp())


@pytest.fixture
async def here() -> AsyncIterator[UnderTest]:
    async with no_loose_ends(), meta() as under_test:
        yield under_test


def credentials(**fields: str) -> Credentials:
    given = {"access_token": "EAA-1"} | fields
    return Credentials("meta", {n: Secret(v) for n, v in given.items() if v}, source="a test")


def target(entity: str, ad_account: str = "act_1") -> Target:
    return Target(ad_account, entity)


async def test_every_call_proves_that_the_apps_secret_is_known(here: UnderTest) -> None:
    await here.platform.inspect([here.bid])
    await here.platform.apply([mutation(here.bid, Lever.SERVING, 0)])
    for request in here.others["sandbox"].heard:
        assert request.headers["authorization"] == "Bearer EAAsandbox-1"
        assert "access_token" not in request.query
        assert len(request.query["appsecret_proof"]) == 64
    with pytest.raises(PlatformCredentialsError, match="appsecret_proof"):
        await here.others["make"](app_secret="another").inspect([here.bid])


async def test_at_debug_no_log_shows_who_asks(
    here: UnderTest, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    await here.platform.accounts()
    await here.platform.apply([mutation(here.bid, Lever.BID, 1_230_000)])
    here.faults.plan(Call.INSPECT, Trouble.EXPIRED)
    with pytest.raises(PlatformCredentialsError):
        await here.platform.inspect([here.bid])
    records = "".join(f"{vars(record)}" for record in caplog.records)
    said = caplog.text + records + "".join(capsys.readouterr())
    assert "/adsets" in said, "calls are in the log"
    for secret in ("EAAsandbox-1", "app-secret-1", "appsecret_proof"):
        assert secret not in said


async def test_a_token_that_meta_quotes_is_masked(here: UnderTest) -> None:
    with pytest.raises(PlatformCredentialsError) as caught:
        await here.unknown().accounts()
    assert "Malformed access token ***" in str(caught.value)


async def test_lists_are_read_to_their_last_page(here: UnderTest) -> None:
    many = [
        Entity(
            id=str(1000 + n),
            level=Level.GROUP,
            parent="1",
            strategy="LOWEST_COST_WITH_BID_CAP:LINK_CLICKS",
            bid_micros=(n + 1) * 10_000,
            daily_budget_micros=50_000_000,
        )
        for n in range(450)
    ]
    here.books.add("act_1", *many)
    found = await here.platform.inspect([target(f"adsets/{each.id}") for each in many])
    assert {s.target.entity: s.bid_micros for s in found} == {
        f"adsets/{each.id}": each.bid_micros for each in many
    }
    here.record(*(Stat(entity="11", at=NOON + n * 4 * SLOT_S, clicks=1) for n in range(450)))
    rows = await here.rows(NOON, NOON + 450 * 3600)
    assert len(rows) == 450
    asked = [r for r in here.others["sandbox"].heard if r.path.endswith("/insights")]
    assert [r.query.get("after") for r in asked] == [None, None, "c200", "c400"]


async def test_a_page_that_is_missing_in_the_middle_is_an_error(here: UnderTest) -> None:
    here.record(*(Stat(entity="11", at=NOON + n * 4 * SLOT_S, clicks=1) for n in range(450)))
    here.faults.plan(Call.REPORT, Trouble.UNAVAILABLE, after=2)
    with pytest.raises(PlatformUnavailableError):
        await here.rows(NOON, NOON + 450 * 3600)


async def test_yen_are_written_in_yen(here: UnderTest) -> None:
    yen = target("adsets/51", "act_2")
    assert (await one_standing(here.platform, yen)).daily_budget_micros == 9_000_000_000
    [odd] = await here.platform.apply([mutation(yen, Lever.DAILY_BUDGET, 8_000_500_000)])
    assert odd.result is Result.REJECTED
    assert "a multiple of 1000000 micros" in odd.reason
    await here.platform.apply([mutation(yen, Lever.DAILY_BUDGET, 8_000_000_000)])
    [request] = [r for r in here.others["sandbox"].heard if r.method == "POST"]
    [change] = json.loads(request.form["batch"])
    assert change["body"] == "daily_budget=8000"
    assert (await one_standing(here.platform, yen)).daily_budget_micros == 8_000_000_000


async def test_the_fifth_budget_within_an_hour_is_refused_for_that_ad_set_only(
    here: UnderTest,
) -> None:
    assert here.platform.limits.budget_changes_per_hour == 4
    for units in range(51, 55):
        [outcome] = await here.platform.apply(
            [mutation(here.budget, Lever.DAILY_BUDGET, units * 1_000_000)]
        )
        assert outcome.result is Result.APPLIED
    fifth, other = await here.platform.apply(
        [
            mutation(here.budget, Lever.DAILY_BUDGET, 60_000_000, name="fifth"),
            mutation(here.bid, Lever.DAILY_BUDGET, 60_000_000, name="other"),
        ]
    )
    assert (fifth.result, other.result) == (Result.FAILED, Result.APPLIED)
    await here.clock.advance(3_601)
    [later] = await here.platform.apply([mutation(here.budget, Lever.DAILY_BUDGET, 60_000_000)])
    assert later.result is Result.APPLIED


async def test_pauses_go_first_in_a_call_of_their_own_and_ask_nothing(here: UnderTest) -> None:
    here.faults.plan(Call.INSPECT, Trouble.THROTTLED, retry_after_s=60)
    bid, stop = await here.platform.apply(
        [
            mutation(here.bid, Lever.BID, 1_230_000, name="bid"),
            mutation(here.cpa, Lever.SERVING, 0, name="stop"),
        ]
    )
    assert (bid.result, stop.result) == (Result.FAILED, Result.APPLIED)
    assert here.others["sandbox"].heard[0].method == "POST"
    assert [move.entity for move in here.books.moves] == ["12"]


async def test_of_two_values_for_one_lever_the_later_is_sent(here: UnderTest) -> None:
    outcomes = await here.platform.apply(
        [
            mutation(here.bid, Lever.BID, 1_100_000, name="first"),
            mutation(here.bid, Lever.BID, 1_300_000, name="second"),
        ]
    )
    assert [outcome.result for outcome in outcomes] == [Result.APPLIED] * 2
    assert [move.value for move in here.books.moves] == [1_300_000]
    uneven = await here.platform.apply(
        [
            mutation(here.bid, Lever.BID, 1_100_000, name="first"),
            mutation(here.bid, Lever.BID, 1_300_001, name="second"),
        ]
    )
    assert [outcome.result for outcome in uneven] == [Result.REJECTED] * 2


async def test_a_campaigns_budget_is_moved_as_the_campaigns(here: UnderTest) -> None:
    campaign = target("campaigns/2")
    standing = await one_standing(here.platform, campaign)
    assert (standing.steered_by, standing.daily_budget_micros) == (Lever.DAILY_BUDGET, 80_000_000)
    [outcome] = await here.platform.apply([mutation(campaign, Lever.DAILY_BUDGET, 90_000_000)])
    assert outcome.result is Result.APPLIED
    assert (await one_standing(here.platform, campaign)).daily_budget_micros == 90_000_000


async def test_a_budget_for_the_whole_life_is_left_alone(here: UnderTest) -> None:
    [outcome] = await here.platform.apply(
        [mutation(target("adsets/18"), Lever.DAILY_BUDGET, 90_000_000)]
    )
    assert outcome.result is Result.REJECTED
    assert "whole life" in outcome.reason


async def test_why_an_ad_set_does_not_serve_is_told(here: UnderTest) -> None:
    found = await here.platform.inspect([target("adsets/31"), target("adsets/32"), here.bid])
    assert {s.target.entity: s.why_not_serving for s in found} == {
        "adsets/31": "campaign paused",
        "adsets/32": "ad set with issues: Ads rejected",
        "adsets/11": "",
    }


async def test_a_bid_under_lowest_cost_is_refused_and_says_how_it_bids(here: UnderTest) -> None:
    [outcome] = await here.platform.apply([mutation(here.budget, Lever.BID, 1_000_000)])
    assert "LOWEST_COST_WITHOUT_CAP" in outcome.reason


@pytest.mark.parametrize(
    ("strategy", "goal", "lever"),
    [
        ("LOWEST_COST_WITH_BID_CAP", "LINK_CLICKS", Lever.BID),
        ("LOWEST_COST_WITH_BID_CAP", "OFFSITE_CONVERSIONS", Lever.TARGET_CPA),
        ("COST_CAP", "OFFSITE_CONVERSIONS", Lever.TARGET_CPA),
        ("COST_CAP", "REACH", Lever.DAILY_BUDGET),
        ("LOWEST_COST_WITH_MIN_ROAS", "VALUE", Lever.TARGET_ROAS),
        ("LOWEST_COST_WITHOUT_CAP", "LINK_CLICKS", Lever.DAILY_BUDGET),
        ("SOMETHING_NEW", "LINK_CLICKS", Lever.DAILY_BUDGET),
    ],
)
def test_what_a_bid_amount_means_is_a_matter_of_strategy_and_goal(
    strategy: str, goal: str, lever: Lever
) -> None:
    assert lever_of(strategy, goal) is lever


async def test_a_clicks_report_counts_link_clicks_and_one_kind_of_conversion(
    here: UnderTest,
) -> None:
    here.record(
        Stat(entity="11", at=NOON, impressions=10, clicks=3, milliconversions=2_000),
    )
    platform = here.others["make"](conversion_action="link_click")
    found = platform.report("act_1", since=NOON, until=NOON + 1)
    [row] = [row async for row in found]
    assert (row.clicks, row.milliconversions) == (3, 3_000)


async def test_who_is_throttled_in_the_middle_of_a_batch_is_told_that_the_rest_failed(
    here: UnderTest,
) -> None:
    here.faults.plan(Call.APPLY, Trouble.THROTTLED, after=1, retry_after_s=60)
    stop, bid = await here.platform.apply(
        [
            mutation(here.cpa, Lever.SERVING, 0, name="stop"),
            mutation(here.bid, Lever.BID, 1_230_000, name="bid"),
        ]
    )
    assert (stop.result, bid.result) == (Result.APPLIED, Result.FAILED)
    here.faults.plan(Call.APPLY, Trouble.THROTTLED, retry_after_s=60)
    with pytest.raises(PlatformThrottledError):
        await here.platform.apply([mutation(here.bid, Lever.BID, 1_230_000)])


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"access_token": ""}, "access_token wanted"),
        ({"acces_level": "standard"}, "found 'acces_level'"),
        ({"access_level": "gold"}, "development, standard wanted, found 'gold'"),
        ({"api_version": "25"}, "such as v25.0 wanted, found '25'"),
        ({"endpoint": "http://example.com"}, "https, as tokens travel there"),
        ({"endpoint": "graph.facebook.com"}, "https://host wanted"),
        ({"budget_changes_per_hour": "many"}, "a number above 0 wanted"),
        ({"access_token": "EAA\n1"}, "letters and digits"),
    ],
)
def test_credentials_that_do_not_do_are_refused_before_any_call(
    fields: dict[str, str], wanted: str
) -> None:
    with pytest.raises(PlatformCredentialsError, match=wanted) as caught:
        make_platform("meta", credentials(**fields), clock=SystemClock())
    assert "EAA" not in str(caught.value)


@pytest.mark.parametrize(("level", "a_day"), [("", 2_400), ("standard", 800_000)])
def test_the_access_level_says_how_many_changes_there_are(level: str, a_day: int) -> None:
    platform = make_platform("meta", credentials(access_level=level), clock=SystemClock())
    assert platform.limits.operations_per_day == a_day
    assert platform.limits.batch == 50


def test_credentials_are_masked_wherever_they_are_shown() -> None:
    access = access_of(credentials(app_secret="hush"))
    assert "EAA-1" not in f"{access!r} {access}"
    assert "hush" not in f"{access!r} {access}"
