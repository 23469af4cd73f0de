"""What a campaign was meant to have spent by a time."""

import math

from engine.domain.campaign import Definition

__all__ = ["planned_micros"]

_DAY_SECONDS = 86_400.0


def planned_micros(definition: Definition, at: float) -> int:
    """Return the even plan at a time in epoch seconds: 0 before the flight, all of it after.

    A daily cap lowers the plan of a flight so short that it can bind in every day the flight
    touches (by UTC: a plan is a yardstick, the caps themselves go by the campaign's time zone).
    """
    flight = definition.flight
    length = flight.ends_at - flight.starts_at
    share = (at - flight.starts_at) / length if length > 0 else float(at >= flight.ends_at)
    budget = definition.budget_micros
    cap = definition.guardrails.daily_cap_micros
    if cap is not None:
        first = math.floor(flight.starts_at / _DAY_SECONDS)
        days = math.ceil(flight.ends_at / _DAY_SECONDS) - first
        budget = min(budget, cap * max(days, 1))
    return round(budget * min(max(share, 0.0), 1.0))
