"""`engine forecast`: what a budget is expected to bring."""

import bisect
import difflib
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from engine.backtest.expectation import Expectation, PlatformExpectation, Quantity, Reach, expect
from engine.cli.output import as_json, complain, say
from engine.cli.session import AsJson, Nats, Session, run
from engine.core.book import Front
from engine.domain.campaign import Definition, Strategy
from engine.domain.money import MICROS, to_micros
from engine.domain.prospect import Prospect, Rate
from engine.errors import ConfigError, DefinitionError
from engine.wiring import load
from engine.worker.recorded import recorded_of
from engine.worker.settings import WorkerSettings

__all__ = ["command", "prospect_lines"]

DONE, TOO_THIN = 0, 1
DAY_S = 86_400.0
LONGEST_DAYS = 366.0
WAYS = {
    "level": "the window's level",
    "line": "the window's line",
    "average": "a moving average",
    "season": "the time of day",
    "model": "the answer to the bid",
}


def command(
    campaign: str,
    *,
    budget: str,
    days: float | None = None,
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """Say what a budget is expected to bring a campaign, from what the fleet has recorded.

    Spend, impressions, clicks, conversions, value and CPA, each with a 95 % interval; then the
    front of the campaign's flight: what more or less money would bring, where it stands, and its
    waste. Money goes first where it brings most; beyond the traffic that was seen, more money
    brings nothing more, and neither does it beyond a target reach, whose chance is said. The exit
    code is 1 where nothing was seen to conclude from.

    Parameters
    ----------
    campaign
        The campaign's id.
    budget
        How much, in the campaign's currency.
    days
        For how long; what is left of the campaign's flight where not given.
    """
    micros = _amount(budget)
    if days is not None and not 0 < days <= LONGEST_DAYS:
        raise ConfigError(f"--days: above 0, up to {LONGEST_DAYS:g}, found {days:g}")
    settings = load(WorkerSettings)

    async def work(session: Session) -> int:
        definition = await _definition(session, campaign)
        length = days if days is not None else _left(definition, session.clock.now())
        recorded = await recorded_of(
            definition, broker=session.broker, clock=session.clock, settings=settings
        )
        found = expect(
            recorded.outlooks,
            budget_micros=micros,
            days=length,
            value_micros=definition.conversion_value_micros,
            target_reach=definition.target_reach,
            is_for_reach=definition.strategy is Strategy.MAXIMISE_REACH,
        )
        if json:
            known = [one.prospect for one in recorded.outlooks if one.prospect is not None]
            as_json(
                {
                    "campaign": campaign,
                    "currency": definition.currency,
                    "expected": found,
                    "forecasts": [_prospect_json(one) for one in known],
                    "front": recorded.front,
                }
            )
        else:
            _say(definition, found, {one.platform: one.prospect for one in recorded.outlooks})
            if found.platforms and recorded.front is not None:
                _say_front(definition, recorded.front)
        return DONE if found.platforms else TOO_THIN

    return run(work, nats=nats)


def _amount(text: str) -> int:
    try:
        micros = to_micros(Decimal(text) if text.isascii() and text.isdigit() else text)
    except ValueError as error:
        raise ConfigError(f"--budget: {error}") from None
    if micros <= 0:
        raise ConfigError(f"--budget: an amount above 0, found {text!r}")
    return micros


async def _definition(session: Session, campaign: str) -> Definition:
    stored = await session.repository.get(campaign)
    if stored is not None:
        return stored.campaign.definition
    known = [one.campaign.definition.id async for one in session.repository.all()]
    near = difflib.get_close_matches(campaign, known, n=1, cutoff=0.6)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise DefinitionError("campaign", f"a published campaign{hint}", campaign)


def _left(definition: Definition, now: float) -> float:
    """Return the days of the flight that are left; all of them before it, one after it."""
    flight = definition.flight
    left = flight.ends_at - max(now, flight.starts_at)
    return left / DAY_S if left > 0 else 1.0


def _say(
    definition: Definition, found: Expectation, prospects: Mapping[str, Prospect | None]
) -> None:
    unit = definition.currency
    if not found.platforms:
        complain(f"{definition.id}: nothing was seen yet that a forecast could be made from")
        return
    if found.thin:
        complain(f"{definition.id}: data are thin ({'; '.join(found.thin)}): do not rely on this")
    say(f"{definition.id}: {_money(found.budget_micros)} {unit} over {found.days:.3g} days")
    say(f"  {'spend':<12} {_money(found.spend_micros)} {unit}")
    say(f"  {'impressions':<12} {_count(found.impressions)}")
    say(f"  {'clicks':<12} {_count(found.clicks)}")
    say(f"  {'conversions':<12} {_count(found.conversions)}")
    if found.value_micros is not None:
        say(f"  {'value':<12} {_amount_of(found.value_micros, unit)}")
    if found.cpa_micros is not None:
        say(f"  {'CPA':<12} {_amount_of(found.cpa_micros, unit)}")
    for one in found.platforms:
        say(_platform(one))
        prospect = prospects[one.platform]
        for line in () if prospect is None else prospect_lines(prospect):
            say(f"    {line}")
    if found.reach is not None:
        say(f"  {_reach(found.reach)}")
    if found.spend_micros < min(found.budget_micros, found.most_spend_micros):
        say(f"  the target reach ends it: {_money(found.spend_micros)} {unit} are expected to do")
    elif found.spend_micros < found.budget_micros:
        most = _money(found.most_spend_micros)
        say(f"  the traffic seen takes {most} {unit}: more money is not expected to bring more")


def _reach(one: Reach) -> str:
    return (
        f"target reach {one.target:,} impressions, {one.shown:,} of them in the samples kept: "
        f"a chance of {one.chance:.0%} to get there"
    )


_STEPS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # of the budget


def _say_front(definition: Definition, front: Front) -> None:
    """Print what the flight brings for parts of its budget, by the campaign's landscapes."""
    unit, goal = definition.currency, _brings(definition)
    stands = front.stands
    say(
        f"  its flight goes for {_money(stands.spend_micros)} {unit} and "
        f"{stands.brings:,.1f} {goal} by its end (multiplier {stands.multiplier:.2f}), "
        f"waste so far {front.waste:.0%}, landscapes known to {front.confidence:.0%}"
    )
    spent = [point.spend_micros for point in front.points]
    brought = [point.brings for point in front.points]
    for step in _STEPS:
        budget = step * definition.budget_micros
        if spent[0] <= budget <= spent[-1]:
            brings = _between(spent, brought, budget)
            say(f"  {_money(budget):>14} {unit} in all would bring {brings:,.1f} {goal}")
    if spent[-1] < max(_STEPS) * definition.budget_micros:
        most = f"{_money(spent[-1])} {unit}"
        say(f"  no more than {most} can be spent at what it may bid: {brought[-1]:,.1f} {goal}")


def _brings(definition: Definition) -> str:
    if definition.strategy is Strategy.MAXIMISE_REACH:
        return "impressions"
    has_worth = definition.conversion_value_micros or definition.target_cpa_micros
    return "conversions" if has_worth else "clicks"


def _between(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """Return the height of a line through ascending points."""
    at = bisect.bisect_left(xs, x, lo=1, hi=len(xs) - 1)
    width = xs[at] - xs[at - 1]
    part = (x - xs[at - 1]) / width if width > 0 else 1.0
    return ys[at - 1] + part * (ys[at] - ys[at - 1])


def _platform(one: PlatformExpectation) -> str:
    return (
        f"  {one.platform}: {_money(one.spend_micros)} of at most {_money(one.most_spend_micros)}, "
        f"CPC {one.cpc_micros / MICROS:.4f}, CVR {one.cvr:.4f}, unsure by "
        f"CVR {one.cvr_uncertainty:.0%}, CPC {one.cpc_uncertainty:.0%}, "
        f"traffic {one.traffic_uncertainty:.0%}"
    )


def prospect_lines(one: Prospect) -> list[str]:
    """Return what is forecast of a platform, a line for each rate, and how far to trust it."""
    parts = one.confidence
    raw = "" if one.raw_cvr is None else f"; the window alone says {one.raw_cvr:.2%}"
    lines = [
        f"CVR {_rate(one.cvr, 100, 2)} %, from {one.conversions:.1f} conversions{raw}",
        f"confidence {parts.value:.2f}: sample size {parts.sample_size:.2f}, age {parts.age:.2f}, "
        f"spread {parts.spread:.2f}, completeness {parts.completeness:.2f}",
        f"market {one.condition.name.lower()}, {one.clicks} clicks in {one.samples} reports",
    ]
    if one.clicks_an_hour is not None:
        lines.insert(
            0, f"clicks an hour {_rate(one.clicks_an_hour, 1, 1)}{_by(one.clicks_an_hour)}"
        )
    if one.cpc_micros is not None:
        lines.insert(0, f"CPC {_rate(one.cpc_micros, 1 / MICROS, 4)}{_by(one.cpc_micros)}")
    return lines


def _rate(rate: Rate, unit: float, digits: int) -> str:
    value, low = (f"{one * unit:,.{digits}f}" for one in (rate.value, rate.low))
    return value if rate.high is None else f"{value} ({low} to {rate.high * unit:,.{digits}f})"


def _by(rate: Rate) -> str:
    return f", by {WAYS[rate.by]}"


def _prospect_json(one: Prospect) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(one)
    return fields | {"condition": one.condition.name.lower()}


def _money(micros: float) -> str:
    return f"{micros / MICROS:,.2f}"


def _count(found: Quantity) -> str:
    return f"{found.value:,.1f} ({found.low:,.1f} to {found.high:,.1f})"


def _amount_of(found: Quantity, unit: str) -> str:
    return f"{_money(found.value)} ({_money(found.low)} to {_money(found.high)}) {unit}"
