"""RHDP-theta, the numpy prototype to beat: one shadow price a round over decaying landscapes.

The method of the project's first measurements, restated: bid on the hull of a landscape at a price
m that is solved anew each round against this round's curves, decaying into past days'. The engine's
own planner succeeds it; this is here to be compared with, and learned from, not to be used.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from bench.quality.auction import EXPOSURE
from bench.quality.baselines import traffic_profile
from bench.quality.seen import Brief, Floats, Goal, PastCampaign, PastDay, Seen, Shown

RATIOS = np.concatenate([[1.0], np.geomspace(1.02, 6, 23)])  # bid over price to beat, lower edges
BIDS, PRICES = 72, np.geomspace(0.12, 4, 64)  # lattice of bids; of m over the target
SAMPLE, SAMPLE_P, ROUNDS_KEPT = 600, 500, 2
SLOT_WEIGHT, TRUST_SD = 200.0, 0.08
DECAY, TODAY, TRAFFIC_SHRINK, SOFT_EXPONENT = 0.85, 48.0, 0.25, 3.0
FINE, FIRST_BID = 600, 0.8
BLIND = 0.7  # m over the target before anything is known


class Slots(msgspec.Struct, frozen=True, eq=False):
    """Per ratio of bid to price to beat: expected exposure, and cost over that price."""

    exposure: Floats
    cost: Floats


class Landscape(msgspec.Struct, frozen=True, eq=False):
    """The hull of what a bid brings: `bid`, exposures, cost; `marginal` cost per exposure rises."""

    bid: Floats
    exposure: Floats
    cost: Floats
    marginal: Floats


class Curves(msgspec.Struct, frozen=True, eq=False):
    """Expected conversions and cost per opportunity at every price of `PRICES`."""

    value: Floats
    cost: Floats

    def __add__(self, other: "Curves") -> "Curves":
        return Curves(value=self.value + other.value, cost=self.cost + other.cost)

    def times(self, factor: float) -> "Curves":
        return Curves(value=self.value * factor, cost=self.cost * factor)


NOTHING = Curves(value=np.zeros(len(PRICES)), cost=np.zeros(len(PRICES)))


def ratio_bin(ratio: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.clip(np.searchsorted(RATIOS, ratio, side="right") - 1, 0, len(RATIOS) - 1)


def landscape(prices: Floats, slots: Slots) -> Landscape:
    """The landscape of a sample of prices to beat, reduced to its hull."""
    prices = np.sort(prices)
    bids = np.geomspace(prices[0] * 0.9, prices[-1] * 6, BIDS)
    # Prices between bid / upper edge and bid / lower edge fall in a ratio's bin: two look-ups.
    below = np.searchsorted(prices, bids[:, None] / RATIOS)
    below = np.concatenate([below, np.zeros((BIDS, 1), np.int64)], axis=1)
    sums = np.concatenate([[0.0], np.cumsum(prices)])
    exposure = (below[:, :-1] - below[:, 1:]) @ slots.exposure / len(prices)
    cost = (sums[below[:, :-1]] - sums[below[:, 1:]]) @ slots.cost / len(prices)
    return _hull(bids, exposure, cost)


def curves(landscape: Landscape, p: Floats, target: float) -> Curves:
    """What bidding every p at every price would bring."""
    if not len(landscape.bid) or not len(p):
        return NOTHING
    p = np.sort(p)
    at = np.searchsorted(p, landscape.marginal / (PRICES * target)[:, None])
    sums = np.concatenate([np.cumsum(p[::-1])[::-1], [0.0]])
    more_exposure = np.diff(landscape.exposure, prepend=0.0)
    more_cost = np.diff(landscape.cost, prepend=0.0)
    return Curves(value=sums[at] @ more_exposure / len(p), cost=(len(p) - at) @ more_cost / len(p))


class Lessons:
    """What past days teach: the traffic's profile, the slots, each campaign's mean curves."""

    def __init__(self, past: Sequence[PastDay], rounds: int, *, first_price: bool) -> None:
        self.past = past
        self.profile = traffic_profile(past, rounds)
        self.slots = _learn_slots(past, first_price=first_price)
        self._known: dict[tuple[int, float], Curves | None] = {}

    def curves(self, campaign: int, target: float) -> Curves | None:
        """Mean curves of a campaign's past rounds; of all campaigns if it has none; cold: None."""
        key = (campaign, target)
        if key not in self._known:
            own = [(day, day.campaigns[campaign]) for day in self.past if campaign in day.campaigns]
            pool = [(day, line) for day in self.past for line in day.campaigns.values()]
            self._known[key] = self._mean(own or pool, target) if pool else None
        return self._known[key]

    def _mean(self, lines: Sequence[tuple[PastDay, PastCampaign]], target: float) -> Curves:
        total, count = NOTHING, 0
        for day, line in lines:
            for start, end in zip(day.bounds[:-1], day.bounds[1:], strict=True):
                n = int(end - start)
                if n < 10:
                    continue
                prices = _thinned(line.others[start:end, 2], 400)
                part = curves(
                    landscape(prices, self.slots), _thinned(line.p[start:end], 400), target
                )
                total, count = total + part.times(n), count + n
        return total.times(1 / max(count, 1))


class _Line:
    """What is known of one platform today."""

    def __init__(self, slots: Slots, prior: Curves | None, expected: float) -> None:
        self.tries = np.full(len(RATIOS), SLOT_WEIGHT)
        self.exposed = slots.exposure * SLOT_WEIGHT
        self.paid = slots.cost * SLOT_WEIGHT
        self.prior, self.expected = prior, expected
        self.prices: list[Floats] = []
        self.opportunities = self.cost = self.worth = self.conversions = 0.0
        self.today, self.today_count = NOTHING, 0.0
        self.landscape: Landscape | None = None

    @property
    def calibration(self) -> float:
        strength = 1 / TRUST_SD**2
        return (strength + self.conversions) / (strength + self.worth)

    def slots(self) -> Slots:
        rising = np.maximum.accumulate
        return Slots(
            exposure=rising(self.exposed / self.tries), cost=rising(self.paid / self.tries)
        )


class RhdpTheta:
    """The prototype as a policy; `goal` is what it plans for."""

    def __init__(self, *, lessons: Lessons, goal: Goal) -> None:
        self._lessons, self._goal = lessons, goal

    def start(self, brief: Brief) -> None:
        self._brief = brief
        self._seen_rounds = 0.0
        self._lines = [
            _Line(
                self._lessons.slots,
                self._lessons.curves(one.campaign, brief.target_cpa),
                one.expected_opportunities,
            )
            for one in brief.platforms
        ]

    def decide(self, t: int, seen: Sequence[Seen], remaining: float) -> Sequence[Floats]:
        total: Curves | None = None
        for line, one in zip(self._lines, seen, strict=True):
            part = self._rest_of_day(t, line, one.p)
            if part is not None:
                total = part if total is None else total + part
        price = BLIND * self._brief.target_cpa if total is None else self._solve(total)
        return [self._bids(line, one.p, price) for line, one in zip(self._lines, seen, strict=True)]

    def observe(self, t: int, platform: int, shown: Shown) -> None:
        line, n = self._lines[platform], len(shown.p)
        self._seen_rounds += 1 / len(self._lines)
        if n == 0:
            return
        line.opportunities += n
        line.cost += shown.cost
        won = shown.won & (shown.p > 0)
        least = shown.least_winning[won]
        at = ratio_bin(shown.bid[won] / least)
        size = len(RATIOS)
        line.tries += np.bincount(at, minlength=size)
        line.exposed += np.bincount(at, shown.exposed[won], size)
        line.paid += np.bincount(at, shown.price[won] * shown.exposed[won] / least, size)
        line.worth += float(shown.p[shown.exposed].sum())
        line.conversions += float(shown.converted.sum())
        prices = _thinned(shown.least_winning, SAMPLE)
        line.prices = [*line.prices, prices][-ROUNDS_KEPT:]
        now = curves(
            landscape(prices, line.slots()), _thinned(shown.p, 400), self._brief.target_cpa
        )
        line.today, line.today_count = line.today + now.times(n), line.today_count + n

    def _rest_of_day(self, t: int, line: _Line, p: Floats) -> Curves | None:
        """What the whole day brings at every price: what was won, this round, and the rest."""
        profile, n = self._lessons.profile, len(p)
        now = line.prior
        if line.prices and n:
            prices = _thinned(np.concatenate(line.prices), SAMPLE)
            line.landscape = landscape(prices, line.slots())
            scaled = _thinned(p, SAMPLE_P) * line.calibration
            now = curves(line.landscape, scaled, self._brief.target_cpa)
        if now is None:
            return None
        share = float(profile[: t + 1].sum())
        if line.prior is None:
            day = (line.opportunities + n) / max(share, 1e-9)
        else:
            seen = line.opportunities + n
            day = (line.expected * TRAFFIC_SHRINK + seen) / (TRAFFIC_SHRINK + share)
        future = day * profile[t + 1 :]
        like_now = float((future * DECAY ** np.arange(1, len(future) + 1)).sum())
        mean = line.today.times(1 / line.today_count) if line.today_count else now
        if line.prior is not None:
            trust = self._seen_rounds / (self._seen_rounds + TODAY) if line.today_count else 0.0
            mean = line.prior.times(1 - trust) + mean.times(trust)
        rest = now.times(n + like_now) + mean.times(float(future.sum()) - like_now)
        return Curves(value=rest.value + line.worth * line.calibration, cost=rest.cost + line.cost)

    def _solve(self, total: Curves) -> float:
        """The price that ends the day best, on a finer lattice than the curves'."""
        coarse = np.log(PRICES * self._brief.target_cpa)
        fine = np.linspace(coarse[0], coarse[-1], FINE)
        value = np.maximum(np.interp(fine, coarse, total.value), 1e-9)
        cost = np.interp(fine, coarse, total.cost)
        ratio = cost / value / self._brief.target_cpa
        if self._goal == "soft":
            score = value * np.maximum(ratio, 1.0) ** -SOFT_EXPONENT
        else:
            score = np.where(ratio <= 1, value, -ratio)
        affordable = cost <= self._brief.budget
        best = int(np.where(affordable, score, -1e9).argmax()) if affordable.any() else 0
        return math.exp(fine[best])

    def _bids(self, line: _Line, p: Floats, price: float) -> Floats:
        if not line.prices:
            return FIRST_BID * price * p
        if line.landscape is None:
            line.landscape = landscape(np.concatenate(line.prices), line.slots())
        hull = line.landscape
        at = np.searchsorted(hull.marginal, line.calibration * p * price, side="right") - 1
        return np.where(at >= 0, hull.bid[np.maximum(at, 0)], 0.0)


def _hull(bids: Floats, exposure: Floats, cost: Floats) -> Landscape:
    """The upper concave hull from nothing at all, as lists: numpy is slower on so few points."""
    stack = [(0.0, 0.0, 0.0)]
    for bid, value, money in zip(bids.tolist(), exposure.tolist(), cost.tolist(), strict=True):
        if value <= stack[-1][1] + 1e-12:
            continue
        while len(stack) > 1 and (value - stack[-1][1]) * (stack[-1][2] - stack[-2][2]) >= (
            stack[-1][1] - stack[-2][1]
        ) * (money - stack[-1][2]):
            stack.pop()
        stack.append((bid, value, money))
    points = np.array(stack)
    marginal = np.diff(points[:, 2]) / np.maximum(np.diff(points[:, 1]), 1e-15)
    return Landscape(
        bid=points[1:, 0],
        exposure=points[1:, 1],
        cost=points[1:, 2],
        marginal=np.maximum.accumulate(marginal) if len(marginal) else marginal,
    )


def _learn_slots(past: Sequence[PastDay], *, first_price: bool) -> Slots:
    """Slots of random bids on past days; cold: a guess between the third slot and the first."""
    if not past:
        share = np.log(RATIOS) / math.log(RATIOS[-1])
        exposure = EXPOSURE[2] + (EXPOSURE[0] - EXPOSURE[2]) * share
        return Slots(exposure=exposure, cost=exposure * (RATIOS if first_price else RATIOS**0.5))
    random, size = np.random.default_rng(0), len(RATIOS)
    tries, exposed, paid = np.zeros(size), np.zeros(size), np.zeros(size)
    shown = np.array(EXPOSURE)
    for day in past:
        for line in day.campaigns.values():
            others = _thinned(line.others, 4000)
            ratio = np.exp(random.uniform(0, math.log(6.5), len(others)))
            bid = ratio * others[:, 2]
            slot = 2 - (bid > others[:, 1]).astype(np.int64) - (bid > others[:, 0])
            price = others[np.arange(len(others)), slot]
            at = ratio_bin(ratio)
            tries += np.bincount(at, minlength=size)
            exposed += np.bincount(at, shown[slot], size)
            relative = np.minimum(price * shown[slot] / others[:, 2], 50)
            paid += np.bincount(at, relative, size)
    exposure = exposed / np.maximum(tries, 1)
    return Slots(
        exposure=exposure, cost=exposure * RATIOS if first_price else paid / np.maximum(tries, 1)
    )


def _thinned(array: Floats, most: int) -> Floats:
    """At most so many rows, evenly spread: deterministic where the prototype drew at random."""
    if len(array) <= most:
        return array
    return array[(np.arange(most) * len(array)) // most]
