"""The auction's rules against a slow, obvious loop."""

import numpy as np
import pytest

from bench.quality.auction import LOST, Chances, Result, hold


def obvious(
    bid: list[float],
    others: list[list[float]],
    true_value: list[float],
    chances: Chances,
    dropped: set[int],
    *,
    first_price: bool,
) -> tuple[list[int], list[float], list[bool], list[bool]]:
    slots, prices, shown, converted = [], [], [], []
    for i, (own, rivals) in enumerate(zip(bid, others, strict=True)):
        slot = next((k for k in (0, 1, 2) if own > rivals[k]), LOST)
        if own <= 1e-4 or i in dropped:
            slot = LOST
        seen = slot < LOST
        if slot >= 1:
            seen = seen and chances.second[i] < 0.8
        if slot == 2:
            seen = seen and chances.third[i] < 0.6
        slots.append(slot)
        prices.append(0.0 if slot == LOST else own if first_price else rivals[slot])
        shown.append(bool(seen))
        converted.append(bool(seen and chances.conversion[i] < true_value[i]))
    return slots, prices, shown, converted


def a_round(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray, Chances]:
    random = np.random.default_rng(seed)
    others = -np.sort(-np.exp(random.normal(0, 1, (n, 3))), axis=1)
    bid = np.exp(random.normal(0, 1, n)) * (random.random(n) < 0.8)
    return bid, others, random.random(n) * 0.3, Chances(*random.random((4, n)))


@pytest.mark.parametrize("first_price", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_slots_prices_exposures_and_conversions_are_those_of_the_obvious_loop(
    seed: int, first_price: bool
) -> None:
    bid, others, value, chances = a_round(seed)
    result = hold(bid, others, value, 1e9, chances, first_price=first_price)
    slots, prices, shown, converted = obvious(
        bid.tolist(), others.tolist(), value.tolist(), chances, set(), first_price=first_price
    )
    assert result.slot.tolist() == slots
    assert result.price.tolist() == prices
    assert result.exposed.tolist() == shown
    assert result.converted.tolist() == converted
    assert result.won.tolist() == [slot < LOST for slot in slots]
    assert result.cost == pytest.approx(sum(p for p, s in zip(prices, shown, strict=True) if s))
    assert result.value == pytest.approx(
        sum(v for v, s in zip(value.tolist(), shown, strict=True) if s)
    )


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95])
@pytest.mark.parametrize("first_price", [False, True])
def test_wins_are_dropped_in_a_random_order_until_they_fit(share: float, first_price: bool) -> None:
    bid, others, value, chances = a_round(7)
    free = hold(bid, others, value, 1e9, chances, first_price=first_price)
    remaining = free.cost * share
    result = hold(bid, others, value, remaining, chances, first_price=first_price)
    assert result.cost <= remaining
    dropped = np.flatnonzero(free.won & ~result.won)
    kept = np.flatnonzero(result.won)
    assert not len(kept) or chances.drop[dropped].max() < chances.drop[kept].min()
    slots, prices, shown, _ = obvious(
        bid.tolist(),
        others.tolist(),
        value.tolist(),
        chances,
        set(dropped.tolist()),
        first_price=first_price,
    )
    assert (result.slot.tolist(), result.price.tolist()) == (slots, prices)
    assert result.exposed.tolist() == shown
    assert (result.bid[dropped] == 0).all()


def test_a_drop_takes_about_the_excess_and_not_much_more() -> None:
    bid, others, value, chances = a_round(8, n=5000)
    free = hold(bid, others, value, 1e9, chances, first_price=False)
    result = hold(bid, others, value, free.cost * 0.7, chances, first_price=False)
    assert result.cost > free.cost * 0.6


def test_a_tie_is_lost() -> None:
    assert tied(0.5).slot.tolist() == [LOST]
    assert tied(1.0).slot.tolist() == [2]


def tied(bid: float) -> Result:
    none = np.zeros(1)
    chances = Chances(second=none, third=none, conversion=none, drop=none)
    others = np.array([[2.0, 1.0, 0.5]])
    return hold(np.array([bid]), others, none, 1e9, chances, first_price=False)


def test_slots_are_shown_as_often_as_their_exposure_says() -> None:
    n = 40_000
    random = np.random.default_rng(3)
    chances = Chances(*random.random((4, n)))
    others = np.tile([3.0, 2.0, 1.0], (n, 1))
    for bid, exposure in ((3.5, 1.0), (2.5, 0.8), (1.5, 0.48)):
        result = hold(np.full(n, bid), others, np.zeros(n), 1e9, chances, first_price=False)
        assert result.exposed.mean() == pytest.approx(exposure, abs=0.01)
