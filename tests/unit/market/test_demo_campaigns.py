"""The demo's campaigns: publishable, varied, seeded, worth buying for and not all at once."""

import numpy as np
import pytest

from engine.domain.campaign import Definition
from engine.domain.validation import validate
from engine.market.demo import demo_campaigns
from engine.market.landscape import series_of
from engine.market.market import Market

NOW = 1_700_000_000.0


def campaigns(count: int = 120, *, seed: int = 7, duration: float = 30.0) -> list[Definition]:
    return demo_campaigns(count, seed=seed, now=NOW, duration=duration, day_seconds=60.0)


def test_all_demo_campaigns_may_be_published() -> None:
    for one in campaigns():
        assert validate(one) is one
        assert 2 <= len(one.platforms) <= 5


def test_the_same_arguments_give_the_same_campaigns() -> None:
    assert campaigns() == campaigns()
    assert campaigns(40) == campaigns()[:40]
    assert campaigns(seed=8) != campaigns()


def test_campaigns_are_varied() -> None:
    found = campaigns()
    assert len({one.id for one in found}) == len(found)
    assert len({one.strategy for one in found}) == 6
    assert len({one.budget_micros for one in found}) > 100
    assert {one.guardrails.daily_cap_micros is None for one in found} == {True, False}


def test_flights_fit_the_run() -> None:
    for one in campaigns():
        assert NOW <= one.flight.starts_at < NOW + 15.0
        assert NOW + 15.0 < one.flight.ends_at <= NOW + 90.0


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_there_is_a_profit_to_be_found_and_a_loss_to_be_avoided(seed: int) -> None:
    found = campaigns(seed=seed)
    market = Market(seed=seed, step_ms=1000, day_seconds=60.0, origin_ms=round(NOW * 1000))
    for one in found:
        value = one.conversion_value_micros or 0
        market.add((series_of(one.id, platform), value) for platform in one.platforms)
    truth = market.truth(round(NOW) + 30)
    values = np.array(
        [one.conversion_value_micros for one in found for _ in one.platforms], np.float64
    )
    roi = values * truth.cvr - np.exp(truth.price_log)
    by_campaign = np.split(roi, np.cumsum([len(one.platforms) for one in found])[:-1])
    best = np.array([part.max() for part in by_campaign])
    worst = np.array([part.min() for part in by_campaign])
    assert 0.6 < (best > 0).mean() < 0.98
    assert (worst < 0).mean() > 0.4


def test_budgets_can_be_spent_but_not_at_once() -> None:
    found = campaigns()
    start = round(NOW)
    market = Market(seed=7, step_ms=1000, day_seconds=60.0, origin_ms=round((NOW - 20) * 1000))
    names = [(one, platform) for one in found for platform in one.platforms]
    market.add((series_of(one.id, platform), 0) for one, platform in names)
    for (one, platform), cvr in zip(names, market.truth(start).cvr.tolist(), strict=True):
        bid = round((one.conversion_value_micros or 0) * cvr)  # breaks even
        market.offer(one.id, platform, bid_micros=bid, cap_micros=one.budget_micros)
    for step in range(start, start + 30):
        market.step(step)
    bought = market.books.spend_micros.sum() / sum(one.budget_micros for one in found)
    assert 0.7 < bought < 4.0
