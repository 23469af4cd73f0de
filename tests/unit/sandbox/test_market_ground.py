"""A market behind local platforms: it sells under what they hold, and fills what they report."""

import pytest

from engine.domain.campaign import Definition, Flight, PlatformBounds
from engine.market.market import Market
from engine.platforms.port import Lever
from engine.sandbox.ground import MarketGround
from engine.sandbox.stand import AD_ACCOUNTS, linked
from engine.sandbox.state import Level, Stat

PLATFORMS = ("google", "meta", "tiktok")
DAY_S = 86_400


def definition(name: str = "spring-shoes", **fields: object) -> Definition:
    given: dict[str, object] = {
        "id": name,
        "budget_micros": 500_000_000,
        "flight": Flight(starts_at=0.0, ends_at=1e9),
        "platforms": {platform: PlatformBounds() for platform in PLATFORMS},
        "conversion_value_micros": 20_000_000,
    }
    return Definition(**(given | fields))  # type: ignore[arg-type]


def opened(*definitions: Definition, bid_micros: int = 3_000_000) -> MarketGround:
    """Return a ground with campaigns that bid well; a day of it takes a minute."""
    ground = MarketGround(Market(seed=7, step_ms=1000, day_seconds=60), platforms=PLATFORMS)
    ground.link(linked(definitions or [definition()]))
    for platform in PLATFORMS:
        set_lever(ground, platform, Lever.BID, bid_micros)
    return ground


def set_lever(ground: MarketGround, platform: str, lever: Lever, value: float) -> None:
    books = ground.books[platform]
    for level in (Level.GROUP, Level.BUDGET):
        for entity in books.entities(AD_ACCOUNTS[platform], level):
            if level is Level.BUDGET and lever is not Lever.DAILY_BUDGET:
                continue
            books.move(AD_ACCOUNTS[platform], level, entity.id, lever, value)


def sold(ground: MarketGround, platform: str, level: Level = Level.GROUP) -> list[Stat]:
    return list(
        ground.books[platform].stats(AD_ACCOUNTS[platform], level, since=0, until=10 * DAY_S)
    )


def spent(ground: MarketGround, platform: str) -> int:
    return sum(stat.spend_micros for stat in sold(ground, platform))


def test_what_is_sold_fills_the_reports_of_the_group_and_of_its_campaign() -> None:
    ground = opened()
    steps = [ground.sell(step) for step in range(1, 61)]
    for platform in PLATFORMS:
        place = ground.market.place_of("spring-shoes", platform)
        assert spent(ground, platform) == sum(int(s.spend_micros[place]) for s in steps) > 0
        groups, campaigns = sold(ground, platform), sold(ground, platform, Level.CAMPAIGN)
        assert [s.clicks for s in groups] == [s.clicks for s in campaigns]
        for count in ("impressions", "clicks"):
            total = sum(int(getattr(step, count)[place]) for step in steps)
            assert sum(getattr(stat, count) for stat in groups) == total > 0
        won = sum(stat.milliconversions for stat in groups)
        assert won == 1000 * sum(int(s.conversions[place]) for s in steps)
        assert sum(stat.revenue_micros for stat in groups) == won * 20_000


def test_slots_are_of_a_quarter_of_an_hour() -> None:
    ground = opened()
    for step in (899, 900, 901, 1801):
        ground.sell(step)
    assert {stat.at for stat in sold(ground, "google")} <= {0, 900, 1800}
    assert len(sold(ground, "google")) == 3


def test_a_higher_bid_buys_more() -> None:
    low, high = opened(bid_micros=200_000), opened(bid_micros=5_000_000)
    for step in range(1, 61):
        low.sell(step)
        high.sell(step)
    for platform in PLATFORMS:
        assert spent(low, platform) < spent(high, platform)


@pytest.mark.parametrize("level", [Level.GROUP, Level.CAMPAIGN])
def test_what_is_paused_buys_nothing(level: Level) -> None:
    ground = opened()
    for platform in PLATFORMS:
        books = ground.books[platform]
        for entity in books.entities(AD_ACCOUNTS[platform], level):
            books.move(AD_ACCOUNTS[platform], level, entity.id, Lever.SERVING, 0)
    for step in range(1, 61):
        ground.sell(step)
    assert [spent(ground, platform) for platform in PLATFORMS] == [0, 0, 0]


def test_a_day_spends_its_daily_budget_and_the_next_day_has_its_own() -> None:
    ground = opened()
    for platform in PLATFORMS:
        set_lever(ground, platform, Lever.DAILY_BUDGET, 5_000_000)
    for step in range(1, 121):
        ground.sell(step)
    first = {platform: spent(ground, platform) for platform in PLATFORMS}
    assert all(4_000_000 < micros <= 5_000_000 for micros in first.values())
    for step in range(DAY_S, DAY_S + 120):
        ground.sell(step)
    for platform in PLATFORMS:
        assert 4_000_000 < spent(ground, platform) - first[platform] <= 5_000_000


def test_under_a_target_the_platform_bids_by_itself() -> None:
    frugal, generous = opened(), opened()
    for ground, target in ((frugal, 2_000_000), (generous, 60_000_000)):
        [group] = ground.books["meta"].entities(AD_ACCOUNTS["meta"], Level.GROUP)
        group.bid_micros, group.target_cpa_micros = None, target
        for step in range(1, 61):
            ground.sell(step)
    assert spent(frugal, "meta") < spent(generous, "meta")


def test_a_campaign_is_opened_once_and_one_without_a_link_not_at_all() -> None:
    ground = opened()
    ground.link(linked([definition()]))
    ground.link([definition("unlinked")])
    assert len(ground.market.series) == len(PLATFORMS)
    assert [len(ground.books[p].accounts()) for p in PLATFORMS] == [1, 1, 1]
    ground.link(linked([definition(), definition("autumn-teas")]))
    for platform in PLATFORMS:
        set_lever(ground, platform, Lever.BID, 3_000_000)
    for step in range(1, 61):
        ground.sell(step)
    for platform in PLATFORMS:
        place = ground.market.place_of("autumn-teas", platform)
        own = [stat for stat in sold(ground, platform) if stat.entity == "1002"]
        assert sum(s.spend_micros for s in own) == int(ground.market.books.spend_micros[place]) > 0


def test_other_platforms_of_a_campaign_are_left_as_they_are() -> None:
    [one] = linked([definition(platforms={"amazon": PlatformBounds(), "meta": PlatformBounds()})])
    assert one.platforms["amazon"] == PlatformBounds()
    assert one.platforms["meta"].entity == "adsets/1001"


def test_a_yen_account_holds_whole_yen() -> None:
    ground = opened(definition(currency="JPY", budget_micros=50_000_333_333))
    [group] = ground.books["tiktok"].entities(AD_ACCOUNTS["tiktok"], Level.GROUP)
    assert group.daily_budget_micros is not None
    assert group.daily_budget_micros % 1_000_000 == 0
