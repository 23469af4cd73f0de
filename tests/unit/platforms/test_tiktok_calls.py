"""How TikTok is called: pages, days, statuses by the dozen; and what is not left in logs."""

import json
import logging
from collections.abc import AsyncIterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from engine.clock import SystemClock
from engine.errors import PlatformCredentialsError, PlatformUnavailableError
from engine.platforms.credentials import Credentials, Secret
from engine.platforms.port import Lever, Result, Target
from engine.platforms.registry import make_platform
from engine.platforms.tiktok.changes import CHECKED_HERE
from engine.platforms.tiktok.standing import lever_of
from engine.sandbox.faults import Call, Trouble
from engine.sandbox.state import SLOT_S, Entity, Level, Stat
from support.platforms import UnderTest, mutation, no_loose_ends, one_standing, tiktok

NOON = int(datetime(2026, 6, 3, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp())


@pytest.fixture
async def here() -> AsyncIterator[UnderTest]:
    async with no_loose_ends(), tiktok() as under_test:
        yield under_test


def credentials(**fields: str) -> Credentials:
    given = {"access_token": "tt-1", "advertiser_ids": "7001"} | fields
    return Credentials("tiktok", {n: Secret(v) for n, v in given.items() if v}, source="a test")


def target(entity: str, ad_account: str = "7001") -> Target:
    return Target(ad_account, entity)


def bodies(here: UnderTest) -> list[dict[str, object]]:
    return [json.loads(r.body) for r in here.others["sandbox"].heard if r.method == "POST"]


async def test_at_debug_no_log_shows_who_asks(
    here: UnderTest, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    assert len(await here.platform.accounts()) == 2
    await here.platform.apply([mutation(here.bid, Lever.BID, 1_230_000)])
    here.faults.plan(Call.INSPECT, Trouble.EXPIRED)
    with pytest.raises(PlatformCredentialsError, match="40102"):
        await here.platform.inspect([here.bid])
    records = "".join(f"{vars(record)}" for record in caplog.records)
    said = caplog.text + records + "".join(capsys.readouterr())
    assert "/adgroup/get" in said, "calls are in the log"
    for secret in ("ttsandbox-1", "app-secret-1"):
        assert secret not in said


async def test_a_token_that_is_quoted_is_masked(here: UnderTest) -> None:
    with pytest.raises(PlatformCredentialsError, match=r"revoked: \*\*\*"):
        await here.unknown().accounts()


async def test_ad_accounts_may_be_named_instead_of_asked_for(here: UnderTest) -> None:
    named = here.others["make"](app_id="", app_secret="", advertiser_ids="7002")
    assert [account.id for account in await named.accounts()] == ["7002"]
    neither = here.others["make"](app_id="", app_secret="")
    with pytest.raises(PlatformCredentialsError, match="found neither"):
        await neither.accounts()


async def test_reports_are_read_day_by_day_and_to_their_last_page(here: UnderTest) -> None:
    here.record(*(Stat(entity="11", at=NOON + n * 4 * SLOT_S, clicks=1) for n in range(60)))
    rows = await here.rows(NOON, NOON + 60 * 3600)
    assert [row.starts_at for row in rows] == [NOON + n * 3600 for n in range(60)]
    asked = [r.query for r in here.others["sandbox"].heard if r.path.endswith("integrated/get/")]
    days = [f"2026-06-{day:02}" for day in (3, 4, 5, 6)][:3]
    assert [q["start_date"] for q in asked if "ADGROUP" in q["data_level"]] == days


async def test_lists_are_read_to_their_last_page(here: UnderTest) -> None:
    many = [
        Entity(
            id=str(1000 + n),
            level=Level.GROUP,
            parent="1",
            strategy="BID_TYPE_CUSTOM:CPC:CLICK",
            bid_micros=(n + 1) * 10_000,
            daily_budget_micros=50_000_000,
        )
        for n in range(250)
    ]
    here.books.add("7001", *many)
    found = await here.platform.inspect([target(f"adgroups/{each.id}") for each in many])
    assert {s.target.entity: s.bid_micros for s in found} == {
        f"adgroups/{each.id}": each.bid_micros for each in many
    }
    here.books.record(
        "7001",
        Level.GROUP,
        *(Stat(entity=e.id, at=NOON + s * 3600, clicks=1) for e in many for s in range(6)),
    )
    rows = [r async for r in here.platform.report("7001", since=NOON, until=NOON + 6 * 3600)]
    assert len(rows) == 1_500


async def test_a_day_that_is_missing_in_the_middle_is_an_error(here: UnderTest) -> None:
    here.record(*(Stat(entity="11", at=NOON + n * 4 * SLOT_S, clicks=1) for n in range(60)))
    here.faults.plan(Call.REPORT, Trouble.UNAVAILABLE, after=1)
    with pytest.raises(PlatformUnavailableError):
        await here.rows(NOON, NOON + 60 * 3600)


async def test_a_dry_run_says_who_checked_it(here: UnderTest) -> None:
    outcomes = await here.platform.apply(
        [
            mutation(here.bid, Lever.BID, 1_230_000, name="good"),
            mutation(here.missing, Lever.SERVING, 0, name="missing"),
        ],
        is_dry_run=True,
    )
    assert [o.result for o in outcomes] == [Result.APPLIED, Result.REJECTED]
    assert outcomes[0].reason == CHECKED_HERE
    assert bodies(here) == []


async def test_statuses_go_by_the_dozen_and_one_that_is_missing_holds_up_no_other(
    here: UnderTest,
) -> None:
    wanted = [here.bid, here.missing, here.cpa]
    await here.platform.apply(
        [mutation(here.bid, Lever.SERVING, 0), mutation(here.cpa, Lever.SERVING, 0)]
    )
    assert [body["adgroup_ids"] for body in bodies(here)] == [["11", "12"]]
    await here.platform.apply([mutation(t, Lever.SERVING, 1) for t in (here.bid, here.cpa)])
    outcomes = await here.platform.apply([mutation(t, Lever.SERVING, 0) for t in wanted])
    assert [o.result for o in outcomes] == [Result.APPLIED, Result.REJECTED, Result.APPLIED]
    for each in (here.bid, here.cpa):
        assert not (await one_standing(here.platform, each)).is_serving


async def test_prices_and_budgets_are_written_in_units(here: UnderTest) -> None:
    yen = target("adgroups/51", "7002")
    await here.platform.apply(
        [
            mutation(here.bid, Lever.BID, 1_230_000, name="a"),
            mutation(here.bid, Lever.DAILY_BUDGET, 61_500_000, name="b"),
            mutation(here.roas, Lever.TARGET_ROAS, 3.25, name="c"),
        ]
    )
    await here.platform.apply([mutation(yen, Lever.TARGET_CPA, 1_800_000_000)])
    sent = [{k: v for k, v in body.items() if k != "advertiser_id"} for body in bodies(here)]
    assert sent == [
        {"adgroup_id": "11", "bid_price": 1.23},
        {"adgroup_id": "11", "budget": 61.5},
        {"adgroup_id": "13", "roas_bid": 3.25},
        {"adgroup_id": "51", "conversion_bid_price": 1800.0},
    ]
    [odd] = await here.platform.apply([mutation(yen, Lever.TARGET_CPA, 1_800_500_000)])
    assert odd.result is Result.REJECTED


async def test_a_price_above_the_budget_is_refused_before_it_leaves(here: UnderTest) -> None:
    [outcome] = await here.platform.apply([mutation(here.bid, Lever.BID, 50_010_000)])
    assert outcome.result is Result.REJECTED
    assert "below the daily budget" in outcome.reason
    assert bodies(here) == []


async def test_who_is_throttled_in_the_middle_of_a_batch_is_told_that_the_rest_failed(
    here: UnderTest,
) -> None:
    here.faults.plan(Call.APPLY, Trouble.THROTTLED, after=1)
    first, second = await here.platform.apply(
        [
            mutation(here.bid, Lever.BID, 1_230_000, name="first"),
            mutation(here.cpa, Lever.TARGET_CPA, 18_000_000, name="second"),
        ]
    )
    assert (first.result, second.result) == (Result.APPLIED, Result.FAILED)


async def test_after_an_answer_lost_in_the_middle_nobody_knows(here: UnderTest) -> None:
    here.faults.plan(Call.APPLY, Trouble.LOST_ANSWER, after=1)
    with pytest.raises(PlatformUnavailableError):
        await here.platform.apply(
            [
                mutation(here.bid, Lever.BID, 1_230_000, name="first"),
                mutation(here.cpa, Lever.TARGET_CPA, 18_000_000, name="second"),
            ]
        )
    assert len(here.books.moves) == 2


async def test_a_campaigns_budget_is_moved_as_the_campaigns(here: UnderTest) -> None:
    campaign = target("campaigns/2")
    [outcome] = await here.platform.apply([mutation(campaign, Lever.DAILY_BUDGET, 90_000_000)])
    assert outcome.result is Result.APPLIED
    assert (await one_standing(here.platform, campaign)).daily_budget_micros == 90_000_000


async def test_why_an_ad_group_does_not_serve_is_told(here: UnderTest) -> None:
    found = await here.platform.inspect([target("adgroups/31"), here.bid, here.paused])
    assert {s.target.entity: s.why_not_serving for s in found} == {
        "adgroups/31": "campaign paused",
        "adgroups/11": "",
        "adgroups/16": "",
    }


@pytest.mark.parametrize(
    ("strategy", "lever"),
    [
        (("BID_TYPE_CUSTOM", "CPC", "CLICK", ""), Lever.BID),
        (("BID_TYPE_CUSTOM", "OCPM", "CONVERT", ""), Lever.TARGET_CPA),
        (("BID_TYPE_CUSTOM", "OCPM", "CLICK", ""), Lever.DAILY_BUDGET),
        (("BID_TYPE_CUSTOM", "CPM", "REACH", ""), Lever.DAILY_BUDGET),
        (("BID_TYPE_NO_BID", "OCPM", "CONVERT", ""), Lever.DAILY_BUDGET),
        (("BID_TYPE_NO_BID", "OCPM", "VALUE", "VO_MIN_ROAS"), Lever.TARGET_ROAS),
        (("BID_TYPE_NO_BID", "OCPM", "VALUE", "VO_HIGHEST_VALUE"), Lever.DAILY_BUDGET),
    ],
)
def test_which_price_counts_is_a_matter_of_what_is_paid_for(
    strategy: tuple[str, str, str, str], lever: Lever
) -> None:
    assert lever_of(*strategy)[0] is lever


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"access_token": ""}, "access_token wanted"),
        ({"app_id": "1"}, "app_secret wanted"),
        ({"access_level": "gold"}, "basic, advanced, premium wanted, found 'gold'"),
        ({"advertiser_ids": "7001,x"}, "digits and commas wanted, found 'x'"),
        ({"endpoint": "http://example.com"}, "https, as tokens travel there"),
        ({"token": "x"}, "found 'token'"),
    ],
)
def test_credentials_that_do_not_do_are_refused_before_any_call(
    fields: dict[str, str], wanted: str
) -> None:
    with pytest.raises(PlatformCredentialsError, match=wanted) as caught:
        make_platform("tiktok", credentials(**fields), clock=SystemClock())
    assert "tt-1" not in str(caught.value)


@pytest.mark.parametrize(("level", "a_second"), [("", 10.0), ("premium", 30.0)])
def test_the_access_level_says_how_much_may_be_asked(level: str, a_second: float) -> None:
    platform = make_platform("tiktok", credentials(access_level=level), clock=SystemClock())
    assert platform.limits.operations_per_second == a_second
