"""What a budget is expected to bring: platforms by what they bring, up to the traffic seen.

Each platform gives clicks at its CPC, as many a day as it has been seen to give, and each click
converts at its CVR. Money goes first where it brings most conversions; beyond the traffic seen
nothing is expected, so what is expected rises with the budget and then stays. A campaign that has a
target reach holds once that many impressions were shown, so less is spent where it comes first.

CPC and CVR are the book's forecasts, the same that decisions go by. Parts of the uncertainty are
relative standard deviations of independent factors, so their squares add up; platforms are
independent but for the campaign's CVR that they share, which is left out. The interval is
lognormal, 95 %.
"""

import math
from collections.abc import Sequence

import msgspec

from engine.domain.prospect import Prospect

__all__ = ["Expectation", "Outlook", "PlatformExpectation", "Quantity", "Reach", "expect"]

Z = 1.959964
FEW_CLICKS, FEW_CONVERSIONS, SHORT_S = 100, 5.0, 3600.0
USUAL_SPREAD = 0.5  # of traffic, where nothing says
LEAST_SPREAD = 0.05  # of CPC and traffic: days to come are never known better than that


class Outlook(msgspec.Struct, frozen=True):
    """What is known of one platform."""

    platform: str
    clicks: int
    conversions: float
    spend_micros: int
    impressions: int
    seconds: float  # over which these were seen
    traffic_spread: float | None  # relative sd of the clicks of a day; None: not known
    prospect: Prospect | None  # None: no worker has decided for it yet


class Quantity(msgspec.Struct, frozen=True):
    """An expected value and its 95 % interval."""

    value: float
    low: float
    high: float


class PlatformExpectation(msgspec.Struct, frozen=True):
    """One platform's part. The three uncertainties are relative standard deviations."""

    platform: str
    spend_micros: int
    most_spend_micros: int  # what the traffic seen can take
    impressions: float
    clicks: float
    conversions: float
    cpc_micros: float
    cvr: float
    confidence: float
    cvr_uncertainty: float
    cpc_uncertainty: float
    traffic_uncertainty: float


class Reach(msgspec.Struct, frozen=True):
    """How near the budget comes to the target reach; all in impressions."""

    target: int
    shown: int  # of these, in the samples kept
    chance: float  # that the budget shows the rest


class Expectation(msgspec.Struct, frozen=True):
    """What a budget is expected to bring. Money in micros."""

    budget_micros: int
    days: float
    spend_micros: int
    most_spend_micros: int
    impressions: Quantity
    clicks: Quantity
    conversions: Quantity
    value_micros: Quantity | None  # None where conversions have no value
    cpa_micros: Quantity | None  # None where no conversion is expected
    reach: Reach | None  # None where the campaign has no target reach
    platforms: tuple[PlatformExpectation, ...]
    thin: tuple[str, ...]  # why the data are too thin to rely on this; empty where they are not


class _Platform:
    """One platform's rates and how sure they are."""

    def __init__(self, outlook: Outlook, prospect: Prospect, days: float) -> None:
        self.outlook = outlook
        self.confidence = prospect.confidence.value
        self.cvr = prospect.cvr.value
        self.cvr_sd = 1 / math.sqrt(prospect.conversions)
        seen = outlook.spend_micros / outlook.clicks
        forecast = prospect.cpc_micros
        self.cpc = max(forecast.value if forecast and forecast.value > 0 else seen, 1.0)
        self.cpc_sd = 0.5
        if forecast is not None and forecast.high is not None:
            self.cpc_sd = min((forecast.high - forecast.low) / (2 * Z * self.cpc), 1.0)
        self.cpc_sd = max(self.cpc_sd, LEAST_SPREAD)
        self.shown_a_click = outlook.impressions / outlook.clicks
        day = outlook.clicks / outlook.seconds * 86_400
        self.most_clicks = day * days
        self.most_spend = self.most_clicks * self.cpc
        spread = outlook.traffic_spread
        self.traffic_sd = (USUAL_SPREAD if spread is None else spread) / math.sqrt(max(days, 1.0))
        # No stretch of days is known better than the hours it is concluded from.
        self.traffic_sd = math.hypot(self.traffic_sd, 1 / math.sqrt(outlook.clicks), LEAST_SPREAD)

    def brings(self, is_for_reach: bool) -> float:
        """Return what a click stands for: impressions, or conversions."""
        return self.shown_a_click if is_for_reach else self.cvr

    def part(self, spend: float) -> PlatformExpectation:
        clicks = spend / self.cpc
        # Below the traffic seen, more or less of it costs nothing: the money buys the same clicks.
        share = spend / self.most_spend if self.most_spend else 0.0
        return PlatformExpectation(
            platform=self.outlook.platform,
            spend_micros=round(spend),
            most_spend_micros=round(self.most_spend),
            impressions=clicks * self.shown_a_click,
            clicks=clicks,
            conversions=clicks * self.cvr,
            cpc_micros=self.cpc,
            cvr=self.cvr,
            confidence=self.confidence,
            cvr_uncertainty=self.cvr_sd,
            cpc_uncertainty=self.cpc_sd,
            traffic_uncertainty=self.traffic_sd * share,
        )


def expect(
    outlooks: Sequence[Outlook],
    *,
    budget_micros: int,
    days: float,
    value_micros: int | None,
    target_reach: int | None = None,
    is_for_reach: bool = False,
) -> Expectation:
    """Return what a budget over some days is expected to bring, from what is known so far.

    `is_for_reach`: money goes first where it shows most, not where it sells most.
    """
    seen = [one for one in outlooks if one.clicks > 0 and one.seconds > 0]
    clicks = sum(one.clicks for one in seen)
    conversions = sum(one.conversions for one in seen)
    platforms = [_Platform(one, one.prospect, days) for one in seen if one.prospect is not None]
    platforms.sort(key=lambda one: one.brings(is_for_reach) / one.cpc, reverse=True)
    left, spends = float(budget_micros), []
    for one in platforms:
        spends.append(min(left, one.most_spend))
        left -= spends[-1]
    parts = [one.part(spend) for one, spend in zip(platforms, spends, strict=True)]
    shown = _total([(p.impressions, _bought_sd(p)) for p in parts])
    reach = None
    if target_reach is not None:
        before = sum(one.impressions for one in outlooks)
        room = float(max(target_reach - before, 0))
        reach = Reach(target_reach, before, _chance(shown, room))
        if shown.value > room:  # it holds then, on all its platforms
            part = room / shown.value
            parts = [one.part(spend * part) for one, spend in zip(platforms, spends, strict=True)]
        shown = Quantity(*(min(one, room) for one in (shown.value, shown.low, shown.high)))
    won = _total([(p.conversions, _sd(p)) for p in parts])
    spend = sum((one.spend_micros for one in parts), 0)
    return Expectation(
        budget_micros=budget_micros,
        days=days,
        spend_micros=spend,
        most_spend_micros=sum(one.most_spend_micros for one in parts),
        impressions=shown,
        clicks=_total([(p.clicks, _bought_sd(p)) for p in parts]),
        conversions=won,
        value_micros=None if value_micros is None else _times(won, value_micros),
        cpa_micros=_over(spend, won),
        reach=reach,
        platforms=tuple(parts),
        thin=tuple(_thin(seen, clicks, conversions)),
    )


def _bought_sd(part: PlatformExpectation) -> float:
    return math.hypot(part.cpc_uncertainty, part.traffic_uncertainty)


def _chance(quantity: Quantity, wanted: float) -> float:
    """Return the chance that at least so much comes; the interval says how widely it is spread."""
    if wanted <= 0:
        return 1.0
    if quantity.value <= 0:
        return 0.0
    sd = math.log(quantity.high / quantity.value) / Z
    above = math.log(quantity.value / wanted)
    return 0.5 * math.erfc(-above / (sd * math.sqrt(2))) if sd > 0 else float(above >= 0)


def _sd(part: PlatformExpectation) -> float:
    parts = (part.cvr_uncertainty, part.cpc_uncertainty, part.traffic_uncertainty)
    return math.sqrt(sum(one * one for one in parts))


def _total(parts: Sequence[tuple[float, float]]) -> Quantity:
    """Return a sum of (value, relative sd) with its interval."""
    value = sum(one for one, _ in parts)
    if value <= 0:
        return Quantity(0.0, 0.0, 0.0)
    relative = math.sqrt(sum((one * sd) ** 2 for one, sd in parts)) / value
    wide = math.exp(Z * math.sqrt(math.log1p(relative * relative)))
    return Quantity(value, value / wide, value * wide)


def _times(quantity: Quantity, factor: float) -> Quantity:
    return Quantity(quantity.value * factor, quantity.low * factor, quantity.high * factor)


def _over(spend: float, won: Quantity) -> Quantity | None:
    if won.low <= 0 or spend <= 0:
        return None
    return Quantity(spend / won.value, spend / won.high, spend / won.low)


def _thin(seen: Sequence[Outlook], clicks: int, conversions: float) -> list[str]:
    reasons = []
    if clicks < FEW_CLICKS:
        reasons.append(f"{clicks} clicks, wanted {FEW_CLICKS}")
    if conversions < FEW_CONVERSIONS:
        reasons.append(f"{conversions:g} conversions, wanted {FEW_CONVERSIONS:g}")
    longest = max((one.seconds for one in seen), default=0.0)
    if longest < SHORT_S:
        reasons.append(f"{longest / 60:.0f} minutes of samples, wanted {SHORT_S / 60:.0f}")
    return reasons
