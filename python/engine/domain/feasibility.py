"""Constraints that cannot hold together, as far as a definition alone can say; and what to relax.

A conflict that is certain refuses the definition; one that a good market might yet resolve is a
warning. What only data can say (a least bid above what a click may cost at the best CVR known) the
core finds round by round: `Binding.INFEASIBLE`.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from engine.domain.campaign import Definition
from engine.domain.dayparts import open_hours
from engine.domain.money import from_micros

__all__ = ["Conflict", "conflicts_of", "days_of"]

USUAL_CVR = 0.2
"""A CVR above this is seldom: who needs one has probably set a bound too high."""


class Conflict(msgspec.Struct, frozen=True):
    """Constraints that cannot hold together: which to relax, and how far."""

    field: str  # the constraint to relax, by its path in the definition
    wanted: str  # how far
    found: str  # what stands against what
    is_certain: bool = True  # else: a warning

    def __str__(self) -> str:
        return f"{self.field}: wanted {self.wanted}, found {self.found}"


def conflicts_of(definition: Definition) -> Iterator[Conflict]:
    """Yield the conflicts of a definition whose fields are each in range."""
    yield from _nothing_to_bid_on(definition)
    yield from _spend(definition)
    yield from _bids(definition)
    yield from _patience(definition)


def days_of(definition: Definition) -> int:
    """Return how many days of its time zone a flight touches: what a daily cap is multiplied by."""
    zone = ZoneInfo(definition.timezone)
    flight = definition.flight
    first = datetime.fromtimestamp(flight.starts_at, UTC).astimezone(zone).date()
    # The instant of the end is not in the flight any more.
    last = datetime.fromtimestamp(flight.ends_at, UTC) - timedelta(milliseconds=1)
    return (last.astimezone(zone).date() - first).days + 1


def _nothing_to_bid_on(definition: Definition) -> Iterator[Conflict]:
    rails, flight = definition.guardrails, definition.flight
    if not _open_platforms(definition):
        yield Conflict(
            "guardrails.blocked_platforms",
            "at least one platform that is not blocked",
            f"all of them, {', '.join(definition.platforms)}",
        )
    if rails.blocked_hours and not open_hours(
        rails.blocked_hours,
        timezone=definition.timezone,
        starts_at=flight.starts_at,
        ends_at=flight.ends_at,
    ):
        yield Conflict(
            "guardrails.blocked_hours",
            "at least one hour of the flight that is not blocked",
            f"every hour of it in {', '.join(map(repr, rails.blocked_hours))}",
        )


def _spend(definition: Definition) -> Iterator[Conflict]:
    rails, budget = definition.guardrails, definition.budget_micros
    least = definition.min_spend_micros
    if least is not None and least > budget:
        yield Conflict(
            "min_spend_micros",
            f"at most the budget ({from_micros(budget)}), or a larger budget",
            from_micros(least),
        )
    days = days_of(definition)
    cap = _daily_cap(definition)
    if cap is None:
        return
    most = cap * days
    place = "guardrails.daily_cap_micros"
    if rails.daily_cap_micros is None or cap < rails.daily_cap_micros:
        place = "platforms"
    found = f"{from_micros(cap)} a day, {from_micros(most)} in the {days} days of the flight"
    if least is not None and most < least <= budget:
        needed = from_micros(-(-least // days))
        wanted = f"daily caps of at least {needed}, or a min_spend of at most {from_micros(most)}"
        yield Conflict(place, f"{wanted} (it is {from_micros(least)})", found)
    elif most < budget:
        needed = from_micros(-(-budget // days))
        wanted = f"daily caps of at least {needed} to spend the budget of {from_micros(budget)}"
        yield Conflict(place, wanted, found, is_certain=False)


def _bids(definition: Definition) -> Iterator[Conflict]:
    cheapest = {
        name: _least_bid(definition, name)
        for name in _open_platforms(definition) or definition.platforms
    }
    name, least = min(cheapest.items(), key=lambda item: item[1])
    rails = definition.guardrails
    cap = rails.daily_cap_micros
    if cap is not None and cap < least:
        yield Conflict(
            "guardrails.daily_cap_micros",
            f"at least the lowest min_bid ({from_micros(least)}), or a lower min_bid",
            f"{from_micros(cap)}, which buys no click",
        )
    worth, goal = _worth(definition)
    if worth is None:
        return
    if least > worth:
        yield Conflict(
            "guardrails.min_bid_micros",
            f"at most {goal} ({from_micros(worth)}), or a higher {goal}",
            f"{from_micros(least)} a click on {name}: too much even if every click converted",
            is_certain=goal != "conversion_value",  # a worth is no limit that anybody asked for
        )
    elif least > USUAL_CVR * worth:
        fits = from_micros(int(USUAL_CVR * worth))
        yield Conflict(
            "guardrails.min_bid_micros",
            f"at most {fits}, or a higher {goal}",
            f"{from_micros(least)} a click, which {goal} ({from_micros(worth)}) allows only where "
            f"{least / worth:.0%} of the clicks convert",
            is_certain=False,
        )
    if definition.budget_micros < worth and definition.target_cpa_micros == worth:
        yield Conflict(
            "budget_micros",
            f"at least one conversion at target_cpa ({from_micros(worth)})",
            from_micros(definition.budget_micros),
            is_certain=False,
        )


def _patience(definition: Definition) -> Iterator[Conflict]:
    rails, flight = definition.guardrails, definition.flight
    length = flight.ends_at - flight.starts_at
    if rails.hold_seconds >= length:
        yield Conflict(
            "guardrails.hold_seconds",
            f"less than the flight ({length:g} s)",
            f"{rails.hold_seconds:g}: the first bid would never change",
            is_certain=False,
        )
    change = rails.max_daily_change
    if change is not None and change < rails.max_change / 10:
        yield Conflict(
            "guardrails.max_daily_change",
            f"more than a tenth of max_change ({rails.max_change:g})",
            f"{change:g}: one round's change takes {math.ceil(rails.max_change / change)} days",
            is_certain=False,
        )


def _open_platforms(definition: Definition) -> list[str]:
    blocked = definition.guardrails.blocked_platforms
    return [name for name in definition.platforms if name not in blocked]


def _daily_cap(definition: Definition) -> int | None:
    """Return the most to spend in a day: the campaign's cap, or the platforms' together."""
    caps = [definition.platforms[name].daily_cap_micros for name in _open_platforms(definition)]
    own = definition.guardrails.daily_cap_micros
    if not caps or None in caps:
        return own
    together = sum(cap for cap in caps if cap is not None)
    return together if own is None else min(own, together)


def _least_bid(definition: Definition, name: str) -> int:
    own = definition.platforms[name].min_bid_micros
    return max(definition.guardrails.min_bid_micros, own or 0)


def _worth(definition: Definition) -> tuple[int | None, str]:
    """Return what one conversion may cost, and the field that says so."""
    value, cpa = definition.conversion_value_micros, definition.target_cpa_micros
    brings = None if value is None else int(value / (definition.target_roas or 1.0))
    if cpa is not None and (brings is None or cpa <= brings):
        return cpa, "target_cpa"
    if brings is not None and definition.target_roas is not None:
        return brings, "conversion_value / target_roas"
    return brings, "conversion_value"
