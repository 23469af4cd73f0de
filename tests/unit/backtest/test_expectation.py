"""What a budget is expected to bring: more for more, up to the traffic seen."""

from itertools import pairwise

import msgspec
import pytest

from engine.backtest.expectation import Expectation, Outlook, expect
from engine.domain.decision import Condition
from engine.domain.prospect import Prospect, Rate, Trust


def prospect(conversions: float, cvr: float) -> Prospect:
    return Prospect(
        platform="google",
        cpc_micros=Rate(500_000.0, 400_000.0, 600_000.0, "level"),
        cvr=Rate(cvr, 0.9 * cvr, 1.1 * cvr, "model"),
        reported_cvr=None,
        raw_cvr=None,
        clicks_an_hour=None,
        condition=Condition.NORMAL,
        confidence=Trust(0.8, 0.9, 1.0, 0.9, 1.0),
        samples=64,
        clicks=4_800,
        conversions=conversions,
    )


GOOD = Outlook(
    platform="google",
    clicks=4_800,
    conversions=240.0,
    spend_micros=2_400_000_000,
    impressions=240_000,
    seconds=86_400.0,
    traffic_spread=0.1,
    prospect=prospect(240.0, 0.05),
)
DEAR = msgspec.structs.replace(
    GOOD, platform="meta", conversions=60.0, prospect=prospect(60.0, 0.0125)
)


def expected(
    budget: float,
    *outlooks: Outlook,
    days: float = 1.0,
    target_reach: int | None = None,
    is_for_reach: bool = False,
) -> Expectation:
    return expect(
        outlooks or (GOOD, DEAR),
        budget_micros=round(budget * 1e6),
        days=days,
        value_micros=20_000_000,
        target_reach=target_reach,
        is_for_reach=is_for_reach,
    )


def test_more_money_never_brings_less_and_stays_where_the_traffic_ends() -> None:
    found = [expected(budget) for budget in (10, 100, 1_000, 2_400, 3_000, 4_800, 9_000, 99_000)]
    for less, more in pairwise(found):
        assert more.conversions.value >= less.conversions.value
        assert more.spend_micros >= less.spend_micros
    assert found[-1].spend_micros == found[-2].spend_micros == 4_800_000_000
    assert found[-1].conversions == found[-2].conversions


def test_each_unit_more_brings_no_more_than_the_one_before() -> None:
    won = [expected(500.0 * step).conversions.value for step in range(12)]
    gained = [more - less for less, more in pairwise(won)]
    assert all(more <= less + 1e-9 for less, more in pairwise(gained))


def test_money_goes_first_where_it_brings_most() -> None:
    by_name = {one.platform: one.spend_micros for one in expected(1_000).platforms}
    assert by_name == {"google": 1_000_000_000, "meta": 0}


def test_fewer_conversions_seen_make_the_interval_wider() -> None:
    few = msgspec.structs.replace(
        GOOD,
        clicks=480,
        conversions=24.0,
        spend_micros=240_000_000,
        seconds=8_640.0,
        prospect=prospect(24.0, 0.05),
    )
    sure, unsure = expected(200, GOOD), expected(200, few)
    won, less_sure = sure.conversions, unsure.conversions
    assert less_sure.value == pytest.approx(won.value, rel=0.1)
    assert less_sure.high / less_sure.low > won.high / won.low
    assert unsure.platforms[0].cvr_uncertainty > 2 * sure.platforms[0].cvr_uncertainty


def test_the_interval_is_around_what_is_expected() -> None:
    found = expected(1_000)
    for quantity in (found.clicks, found.conversions, found.value_micros, found.cpa_micros):
        assert quantity is not None
        assert 0 < quantity.low < quantity.value < quantity.high


def test_thin_data_say_why() -> None:
    thin = msgspec.structs.replace(GOOD, clicks=12, conversions=1.0, seconds=600.0)
    assert expected(1_000, thin).thin == (
        "12 clicks, wanted 100",
        "1 conversions, wanted 5",
        "10 minutes of samples, wanted 60",
    )
    assert expected(1_000).thin == ()


def test_a_campaign_that_nothing_was_seen_of_is_expected_nothing() -> None:
    unseen = msgspec.structs.replace(GOOD, clicks=0, conversions=0.0, spend_micros=0, seconds=0.0)
    found = expected(1_000, unseen)
    assert found.platforms == ()
    assert found.conversions.value == 0.0
    assert found.cpa_micros is None


def test_a_target_reach_that_comes_first_ends_the_spending() -> None:
    free, bound = expected(1_000, GOOD), expected(1_000, GOOD, target_reach=240_000 + 25_000)
    assert free.reach is None
    assert free.impressions.value == pytest.approx(100_000)
    assert bound.spend_micros == pytest.approx(250_000_000)
    assert bound.conversions.value == pytest.approx(free.conversions.value / 4)
    assert bound.impressions.value == bound.impressions.high == pytest.approx(25_000)
    assert bound.most_spend_micros == free.most_spend_micros
    assert bound.reach is not None
    assert (bound.reach.shown, bound.reach.target) == (240_000, 265_000)
    assert bound.reach.chance > 0.99


def test_the_chance_of_a_target_reach_is_even_where_it_is_what_is_expected() -> None:
    chances = []
    for target in (1, 240_000, 300_000, 340_000, 380_000, 900_000):
        found = expected(1_000, GOOD, target_reach=target)
        assert found.reach is not None
        chances.append(found.reach.chance)
    assert chances[:2] == [1.0, 1.0], "it is there already"
    assert expected(1_000, GOOD, target_reach=240_000).spend_micros == 0
    assert all(more > less for more, less in pairwise(chances[1:]))
    assert chances[3] == pytest.approx(0.5)
    unseen = msgspec.structs.replace(GOOD, clicks=0, impressions=0)
    nothing = expected(1_000, unseen, target_reach=10).reach
    assert nothing is not None
    assert nothing.chance == 0.0


def test_for_reach_money_goes_first_where_it_shows_most() -> None:
    shown = msgspec.structs.replace(DEAR, impressions=480_000)
    found = expected(1_000, GOOD, shown, is_for_reach=True)
    assert {one.platform: one.spend_micros for one in found.platforms} == {
        "google": 0,
        "meta": 1_000_000_000,
    }
