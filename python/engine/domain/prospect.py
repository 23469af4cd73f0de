"""What is forecast of a campaign on a platform, as people and programs read it."""

import msgspec

from engine.domain.decision import Condition

__all__ = ["Prospect", "Rate", "Trust"]


class Rate(msgspec.Struct, frozen=True):
    """A forecast with its 95 % interval, and by which way of forecasting it was made."""

    value: float
    low: float
    high: float | None  # None: nothing says yet how far forecasts err
    by: str  # level, line, average, season or model


class Trust(msgspec.Struct, frozen=True):
    """How far the data of a window can be trusted: the product of its parts, each 0 to 1."""

    value: float
    sample_size: float
    age: float
    spread: float
    completeness: float


class Prospect(msgspec.Struct, frozen=True):
    """What is forecast of a campaign on a platform. Money in micros."""

    platform: str
    cpc_micros: Rate | None
    cvr: Rate  # as decisions go by it; the interval is of the rate itself
    reported_cvr: Rate | None  # as the next report is expected to show it
    raw_cvr: float | None  # conversions over clicks of the window, however few
    clicks_an_hour: Rate | None
    condition: Condition
    confidence: Trust
    samples: int
    clicks: int
    conversions: float  # that the CVR rests on
