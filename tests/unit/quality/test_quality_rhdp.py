"""The prototype's landscapes and curves against slow, obvious sums."""

import numpy as np
import pytest

from bench.quality.rhdp_theta import BIDS, PRICES, RATIOS, Slots, curves, landscape, ratio_bin

SLOTS = Slots(
    exposure=np.linspace(0.48, 1.0, len(RATIOS)), cost=np.linspace(0.48, 2.5, len(RATIOS))
)


def obvious_landscape(prices: np.ndarray) -> list[tuple[float, float, float]]:
    found = []
    for bid in np.geomspace(prices.min() * 0.9, prices.max() * 6, BIDS):
        exposure = cost = 0.0
        for price in prices:
            if bid > price:
                # A hair less: the highest bid is exactly the last edge over the highest price.
                k = int(ratio_bin(np.array([bid / price * (1 - 1e-9)]))[0])
                exposure += SLOTS.exposure[k]
                cost += price * SLOTS.cost[k]
        found.append((bid, exposure / len(prices), cost / len(prices)))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_landscape_is_the_hull_of_the_obvious_sums(seed: int) -> None:
    prices = np.exp(np.random.default_rng(seed).normal(-1, 0.7, 80))
    points = {round(bid, 9): (ev, ec) for bid, ev, ec in obvious_landscape(prices)}
    hull = landscape(prices, SLOTS)
    for bid, exposure, cost in zip(hull.bid, hull.exposure, hull.cost, strict=True):
        assert points[round(bid, 9)] == pytest.approx((exposure, cost))
    assert (np.diff(hull.marginal) >= -1e-12).all()
    costs, values = np.append(0, hull.cost), np.append(0, hull.exposure)
    for exposure, cost in points.values():
        assert exposure <= np.interp(cost, costs, values) + 1e-9


def test_curves_are_the_obvious_sums() -> None:
    random = np.random.default_rng(4)
    hull = landscape(np.exp(random.normal(-1, 0.7, 80)), SLOTS)
    p = np.exp(random.normal(-4, 0.7, 50))
    own = curves(hull, p, 60.0)
    for i in range(0, len(PRICES), 7):
        value = cost = 0.0
        for one in p:
            k = np.searchsorted(hull.marginal, one * PRICES[i] * 60.0, side="right") - 1
            if k >= 0:
                value += one * hull.exposure[k]
                cost += hull.cost[k]
        assert own.value[i] == pytest.approx(value / len(p))
        assert own.cost[i] == pytest.approx(cost / len(p))
