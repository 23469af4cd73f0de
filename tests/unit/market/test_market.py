"""The simulated market: the same for the same seed, and never beyond a cap or a bid."""

from collections.abc import Sequence

import numpy as np
import pytest

from engine.market.landscape import Landscape, Series, series_of
from engine.market.market import Market, Sold
from engine.market.profiles import PROFILES

DAY_S = 60.0
FIRST = 1_700_000_000  # a step of one second, now


def opened(
    campaigns: Sequence[str] = ("a",),
    *,
    platforms: Sequence[str] = tuple(PROFILES),
    bid: int = 1_000_000,
    cap: int = 10**12,
    seed: int = 7,
) -> Market:
    market = Market(seed=seed, step_ms=1000, day_seconds=DAY_S)
    market.add((series_of(c, p), 20_000_000) for c in campaigns for p in platforms)
    for one in market.series:
        market.offer(one.campaign, one.platform, bid_micros=bid, cap_micros=cap)
    return market


def run(market: Market, steps: int, *, first: int = FIRST) -> list[Sold]:
    return [market.step(first + i) for i in range(steps)]


def columns(sold: Sequence[Sold], name: str) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.array([getattr(one, name) for one in sold])


COUNTS = ("impressions", "clicks", "conversions", "spend_micros")


def test_the_same_seed_and_bids_give_the_same_samples() -> None:
    one, other, another = (run(opened(seed=seed), 30) for seed in (7, 7, 8))
    for name in COUNTS:
        assert np.array_equal(columns(one, name), columns(other, name))
    assert not np.array_equal(columns(one, "clicks"), columns(another, "clicks"))


def test_what_a_campaign_wins_does_not_depend_on_who_else_is_there() -> None:
    alone, crowded = opened(["a"]), opened(["c", "b", "a", "d"])
    places = np.array([crowded.place_of("a", platform) for platform in PROFILES], np.int64)
    few, many = run(alone, 30), run(crowded, 30)
    for name in COUNTS:
        assert np.array_equal(columns(few, name), columns(many, name)[:, places])


def test_a_market_that_recalls_what_it_sold_goes_on_as_if_it_had_never_stopped() -> None:
    steady = opened(["a", "b"])
    expected = run(steady, 40)
    before, restarted = opened(["a", "b"]), opened(["a", "b"])
    for sold in run(before, 20):
        some = np.flatnonzero(sold.clicks > 0)
        restarted.recall(sold.step, some, sold.clicks[some], sold.spend_micros[some])
    after = run(restarted, 20, first=FIRST + 20)
    for name in COUNTS:
        assert np.array_equal(columns(after, name), columns(expected[20:], name))
    assert np.array_equal(restarted.books.spend_micros, steady.books.spend_micros)
    assert np.array_equal(restarted.books.conversions, steady.books.conversions)


def test_the_world_at_a_time_does_not_depend_on_what_was_asked_before() -> None:
    series = [series_of("a", platform) for platform in PROFILES]
    asked = Landscape(series, seed=7)
    for day in (19_000.0, 19_000.05, 19_000.2, 19_002.0, 19_000.05, 18_999.9):
        found, fresh = asked.at(day), Landscape(series, seed=7).at(day)
        assert np.array_equal(found.cvr, fresh.cvr)
        assert np.array_equal(found.price_log, fresh.price_log)


@pytest.mark.parametrize("cap", [1, 99, 999_999, 1_234_567, 50_000_000])
def test_a_platform_never_spends_past_the_published_cap(cap: int) -> None:
    market = opened(bid=8_000_000, cap=cap)
    sold = run(market, 60)
    assert market.books.spend_micros.max() <= cap
    assert np.array_equal(columns(sold, "spend_micros").sum(axis=0), market.books.spend_micros)


def test_a_platform_uses_the_cap_it_was_given() -> None:
    cap = 20_000_000
    market = opened(bid=8_000_000, cap=cap, platforms=["google", "meta"])
    run(market, 60)
    assert (market.books.spend_micros > cap - 8_000_000).all()  # less than one more click


def test_a_raised_cap_lets_a_platform_go_on() -> None:
    market = opened(bid=8_000_000, cap=5_000_000, platforms=["google"])
    run(market, 60)
    before = int(market.books.spend_micros[0])
    market.offer("a", "google", bid_micros=8_000_000, cap_micros=50_000_000)
    run(market, 60, first=FIRST + 60)
    assert 5_000_000 >= before < market.books.spend_micros[0] <= 50_000_000


def test_without_a_bid_nothing_is_sold() -> None:
    market = opened(bid=0)
    sold = run(market, 20)
    assert columns(sold, "impressions").sum() == 0
    assert market.books.spend_micros.sum() == 0
    assert not any(one.has_bid.any() for one in sold)


def test_no_click_costs_more_than_the_bid_and_the_mean_costs_less() -> None:
    bid = 700_001
    sold = run(opened(["a", "b", "c"], bid=bid), 60)
    clicks, spend = columns(sold, "clicks"), columns(sold, "spend_micros")
    assert (spend <= clicks * bid).all()
    assert spend.sum() < 0.9 * bid * clicks.sum()
    assert ((spend > 0) <= (clicks > 0)).all()


def test_a_higher_bid_wins_more_and_pays_more_for_a_click() -> None:
    won, paid = [], []
    for bid in (200_000, 400_000, 800_000, 1_600_000, 3_200_000):
        books = (market := opened(["a", "b", "c", "d"], bid=bid)).books
        run(market, 60)
        won.append(int(books.clicks.sum()))
        paid.append(books.spend_micros.sum() / books.clicks.sum())
    assert won == sorted(won)
    assert won[-1] > 3 * won[0]
    assert paid == sorted(paid)


def test_conversions_come_in_after_their_clicks() -> None:
    market = opened(["a", "b", "c"], bid=5_000_000)
    during = columns(run(market, 30), "conversions").sum()
    for one in market.series:
        market.offer(one.campaign, one.platform, bid_micros=0, cap_micros=0)
    after = columns(run(market, 240, first=FIRST + 30), "conversions").sum()
    truth = market.truth(FIRST + 15)
    expected = float((market.books.clicks * truth.cvr).sum())
    assert after > 0.05 * during
    assert during + after == pytest.approx(expected, rel=0.15)


def test_traffic_has_hours_and_weekdays() -> None:
    market = opened(platforms=["linkedin"])
    steps = range(FIRST // 420 * 420, FIRST // 420 * 420 + 420)  # a week of days of a minute
    busy = np.array([market.truth(step).opportunities_a_day[0] for step in steps]).reshape(7, 60)
    by_day = busy.sum(axis=1)
    assert busy[:, 20:36].mean() > 3.0 * busy[:, 0:6].mean()  # office hours, night
    assert sorted(by_day)[1] < 0.5 * sorted(by_day)[2]  # two days are a weekend


def test_prices_and_odds_drift_but_stay_near_their_level() -> None:
    market = opened(["a", "b", "c", "d"])
    states = [market.truth(step) for step in range(FIRST, FIRST + 6000, 60)]
    prices = np.array([one.price_log for one in states])
    spread = prices.std(axis=0)
    assert (spread > 0.02).all()
    assert (spread < 0.6).all()
    steps = np.abs(np.diff([market.truth(s).price_log for s in range(FIRST, FIRST + 60)], axis=0))
    assert steps.max() < 0.25  # no jumps between neighbours


def test_platforms_suit_campaigns_differently() -> None:
    market = opened([f"c{i}" for i in range(40)])
    truth = market.truth(FIRST)
    cost = (np.exp(truth.price_log) / truth.cvr).reshape(40, len(PROFILES))
    best = set(cost.argmin(axis=1).tolist())
    assert len(best) >= 4
    assert (cost.max(axis=1) > 2.0 * cost.min(axis=1)).all()


def test_an_offer_before_its_series_is_open_is_kept_for_it() -> None:
    market = Market(seed=7, step_ms=1000, day_seconds=DAY_S)
    market.offer("a", "google", bid_micros=2_000_000, cap_micros=10**9)
    assert market.step(FIRST).clicks.size == 0
    market.add([(series_of("a", "google"), 0)])
    assert sum(int(one.clicks[0]) for one in run(market, 20, first=FIRST + 1)) > 0


def test_a_currency_without_cents_has_larger_prices() -> None:
    dollars, yen = (opened_one(series_of("a", "google", currency)) for currency in ("USD", "JPY"))
    assert yen.truth(FIRST).price_log[0] - dollars.truth(FIRST).price_log[0] == pytest.approx(
        np.log(100.0)
    )


def opened_one(series: Series) -> Market:
    market = Market(seed=7, step_ms=1000, day_seconds=DAY_S)
    market.add([(series, 0)])
    return market


def test_a_platform_of_an_unknown_name_is_a_market_too() -> None:
    market = opened(platforms=["billboards"], bid=3_000_000)
    run(market, 30)
    assert market.books.clicks[0] > 0
