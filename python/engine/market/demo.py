"""Campaigns for a demonstration: varied, seeded, and cut to what the market can sell."""

from collections.abc import Sequence

import msgspec
import numpy as np

from engine.domain.campaign import Definition, Flight, Guardrails, PlatformBounds, Strategy
from engine.market.auction import auction
from engine.market.landscape import Landscape, series_of
from engine.market.profiles import PROFILES

__all__ = ["demo_campaigns"]

_GOODS = (
    "shoes", "coats", "bikes", "tents", "lamps", "sofas", "books", "games", "teas", "soaps",
    "watches", "cameras", "phones", "radios", "pianos", "plants", "toys", "trips", "courses",
    "rings",
)  # fmt: skip
_OCCASIONS = (
    "spring", "summer", "autumn", "winter", "launch", "clearance", "holiday", "weekend",
    "student", "family", "outlet", "premium",
)  # fmt: skip

# How likely a campaign uses a platform. Everybody is on the big ones.
_POPULARITY = {
    "google": 0.85, "meta": 0.80, "tiktok": 0.50, "amazon": 0.45, "microsoft": 0.40,
    "linkedin": 0.20, "pinterest": 0.25, "snapchat": 0.20,
}  # fmt: skip

_LEAST_BUDGET = 1_000_000
_CENT = 10_000


class _Prospect(msgspec.Struct, frozen=True):
    """What the market would give a campaign: the ground its terms are set on."""

    value_micros: int  # of a conversion
    cpa_micros: float  # mean, at bids that break even
    spend_a_second: float  # at those bids
    impressions_a_second: float
    best_bid_micros: float  # the highest bid that breaks even


class _Goal(msgspec.Struct, frozen=True):
    """What a campaign wants, and the target that goes with it."""

    strategy: Strategy
    cpa_micros: int | None = None
    roas: float | None = None
    reach: int | None = None


def demo_campaigns(
    count: int,
    *,
    seed: int,
    now: float,
    duration: float,
    day_seconds: float = 86_400.0,
    platforms: Sequence[str] = (),
) -> list[Definition]:
    """Return definitions with flights around [now, now + duration) and budgets that can be spent.

    Most promise a profit on some of their platforms and a loss on others; about one in ten promises
    none anywhere. Same arguments, same campaigns. Amounts are in USD, in whole cents. `platforms`:
    those to choose from; all that the market knows where none are named.
    """
    names = tuple(platforms or PROFILES)
    return [_campaign(i, seed, now, duration, day_seconds, names) for i in range(count)]


def _campaign(
    i: int, seed: int, now: float, duration: float, day_seconds: float, names: Sequence[str]
) -> Definition:
    rng = np.random.default_rng([seed, i])
    good, occasion = _GOODS[i % len(_GOODS)], _OCCASIONS[int(rng.integers(len(_OCCASIONS)))]
    name = f"{occasion}-{good}-{i:04d}"
    platforms = _platforms(rng, names)
    prospect = _prospect(name, platforms, seed, day_seconds, float(rng.normal()))
    flight = _flight(rng, now, duration)
    # Less than there is to buy, so that when and where to spend matters.
    share = float(rng.uniform(0.25, 0.7))
    seconds = min(flight.ends_at, now + duration) - flight.starts_at
    stretch = (flight.ends_at - flight.starts_at) / seconds
    budget = _cents(max(share * prospect.spend_a_second * seconds * stretch, _LEAST_BUDGET))
    goal = _goal(rng, prospect, flight)
    return Definition(
        id=name,
        name=f"{occasion} {good}".capitalize(),
        budget_micros=budget,
        flight=flight,
        platforms={platform: PlatformBounds() for platform in platforms},
        strategy=goal.strategy,
        conversion_value_micros=prospect.value_micros,
        guardrails=Guardrails(
            max_bid_micros=_cents(2.0 * prospect.best_bid_micros),
            daily_cap_micros=_cents(budget * 0.8) if rng.random() < 0.12 else None,
        ),
        labels={"demo": "yes", "good": good},
        target_cpa_micros=goal.cpa_micros,
        target_roas=goal.roas,
        target_reach=goal.reach,
    )


def _platforms(rng: np.random.Generator, names: Sequence[str]) -> tuple[str, ...]:
    weights = np.array([_POPULARITY[name] for name in names])
    size = min(int(rng.integers(2, 6)), len(names))
    chosen = rng.choice(len(names), size=size, replace=False, p=weights / weights.sum())
    return tuple(names[i] for i in sorted(chosen))


def _prospect(
    campaign: str, platforms: Sequence[str], seed: int, day_seconds: float, luck: float
) -> _Prospect:
    """Set a conversion's value by what clicks cost, and look what bids that break even buy."""
    truth = Landscape([series_of(campaign, one) for one in platforms], seed=seed).mean()
    # Where half of all auctions are won: what a conversion costs on each platform.
    price = np.exp(truth.price_log)
    cost = np.sort(price / truth.cvr)
    # Between the two cheapest, times a margin of about 1.4: some platforms pay, others do not.
    value = float(np.sqrt(cost[0] * cost[min(1, len(cost) - 1)])) * 1.4 * float(np.exp(0.35 * luck))
    bids = value * truth.cvr
    odds = auction(truth, bids)
    impressions = truth.opportunities_a_day * odds.share
    clicks = impressions * truth.ctr
    spend = float((clicks * odds.cpc_micros).sum())
    conversions = float((clicks * truth.cvr).sum())
    return _Prospect(
        value_micros=max(_cents(value), _CENT),
        cpa_micros=spend / conversions if conversions else value,
        spend_a_second=spend / day_seconds,
        impressions_a_second=float(impressions.sum()) / day_seconds,
        best_bid_micros=float(bids.max()),
    )


def _flight(rng: np.random.Generator, now: float, duration: float) -> Flight:
    """Most flights fill the run; some begin late, end early, or go on long after it."""
    kind = float(rng.random())
    begins, ends = now, now + duration
    if kind > 0.92:
        ends = now + 3.0 * duration
    elif kind > 0.80:
        ends = now + float(rng.uniform(0.6, 0.9)) * duration
    elif kind > 0.68:
        begins = now + float(rng.uniform(0.1, 0.35)) * duration
    return Flight(starts_at=round(begins, 3), ends_at=round(ends, 3))


def _goal(rng: np.random.Generator, prospect: _Prospect, flight: Flight) -> _Goal:
    """Return a strategy and the terms that it needs; six in ten leave the choice to the engine."""
    kind = float(rng.random())
    if kind < 0.60:
        return _Goal(Strategy.DYNAMIC)
    if kind < 0.72:
        return _Goal(Strategy.MAXIMISE_CONVERSIONS)
    if kind < 0.82:
        return _Goal(Strategy.TARGET_CPA, cpa_micros=_cents(1.1 * prospect.cpa_micros))
    if kind < 0.90:
        return _Goal(Strategy.TARGET_ROAS, roas=round(float(rng.uniform(1.0, 1.4)), 2))
    if kind < 0.96:
        return _Goal(Strategy.EVEN_PACING)
    seconds = flight.ends_at - flight.starts_at
    reach = int(prospect.impressions_a_second * seconds * 0.5)
    return _Goal(Strategy.MAXIMISE_REACH, reach=max(reach, 1))


def _cents(micros: float) -> int:
    return max(round(micros / _CENT), 1) * _CENT
