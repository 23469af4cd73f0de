"""The book of a partition, in the words of the domain: campaigns in, decisions out."""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Self
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine import _core
from engine._core import CoreError, Estimate, Forecast, Ingested, Window, WindowForecast
from engine.core.rows import (
    ACCOUNT_ROW,
    CAMPAIGN_ROW,
    DECISION_ROW,
    LEDGER_ROW,
    SERIES_DECISION_ROW,
    SERIES_ROW,
)
from engine.domain.accounts import Share
from engine.domain.campaign import Campaign, Definition, Strategy
from engine.domain.dayparts import words_of
from engine.domain.decision import Condition
from engine.domain.ids import account_key, campaign_key, series_key
from engine.domain.lifecycle import State
from engine.domain.money import LARGEST_MICROS, unit_micros
from engine.domain.prospect import Prospect, Rate, Trust

__all__ = [
    "Book",
    "CoreError",
    "Estimate",
    "Forecast",
    "Front",
    "Ingested",
    "Point",
    "Round",
    "Window",
    "WindowForecast",
    "midnights_ms",
    "offsets_ms",
]

_STRATEGY = {strategy: code for code, strategy in enumerate(Strategy)}
# A scheduled campaign is the book's to start: it holds until the flight begins, to the round.
_MAY_BID = frozenset({State.ACTIVE, State.SCHEDULED})


class Round(msgspec.Struct, frozen=True):
    """The decisions of one round: structured arrays, read-only, all campaigns ascending by key."""

    decisions: NDArray[np.void]  # DECISION_ROWs
    series: NDArray[np.void]  # SERIES_DECISION_ROWs; those of a decision begin at its `first`
    settled_micros: int
    reserved_micros: int


class Point(msgspec.Struct, frozen=True):
    """What a whole flight would have cost and brought by its end."""

    multiplier: float  # what bids go as
    spend_micros: float
    brings: float  # conversions; impressions where the goal is reach, clicks without any worth


class Front(msgspec.Struct, frozen=True):
    """What a campaign's landscapes allow over the rest of its flight, and where it stands."""

    points: tuple[Point, ...]  # ascending: the cheapest way to each result, whatever the budget
    stands: Point  # where it is going under its present multiplier, within its budget
    waste: float  # of what was spent, what lies above the cheapest for as much; 0 to 1
    confidence: float  # how far the landscapes are known, 0 to 1


class _Saved(msgspec.Struct, frozen=True):
    """A snapshot: the core's own, and the names that the core does not know."""

    core: bytes
    names: dict[str, list[str]]  # platforms by campaign
    calendars: list[tuple[str, int]]
    v: int = 1


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Saved)


class Book:
    """All campaigns of a partition: windows, forecasts, pacing and ledger.

    A round is a pure function of the calls before it and its time: same calls, same bytes. What is
    refused raises CoreError, and changes nothing. Its calls may come from several threads: they
    take turns, and work without the GIL.
    """

    def __init__(self, *, window: int = 64, tick_ms: int = 1, interval_ms: int = 2000) -> None:
        self._core = _core.Book(window=window, tick_ms=tick_ms, interval_ms=interval_ms)
        self._names: dict[str, tuple[str, ...]] = {}
        self._calendars: dict[tuple[str, int], int] = {}  # numbers by zone and year, from 1

    def __len__(self) -> int:
        """Return how many campaigns there are."""
        return len(self._core)

    @property
    def series(self) -> int:
        """Return how many series there are, those that their campaigns dropped included."""
        return self._core.series

    @property
    def names(self) -> dict[int, str]:
        """Return campaign ids by the core's key."""
        return {campaign_key(name): name for name in self._names}

    @property
    def platforms(self) -> dict[int, str]:
        """Return platforms by the core's series key."""
        return {
            series_key(name, platform): platform
            for name, platforms in self._names.items()
            for platform in platforms
        }

    def put(self, campaigns: Sequence[Campaign]) -> None:
        """Add or replace campaigns, all of them or (CoreError) none.

        One replaced keeps the windows, ledger and pacing of the series it still has; those it drops
        bid no more, but what they spent and may still spend stays counted.
        """
        rows = np.zeros(len(campaigns), CAMPAIGN_ROW)
        series: list[tuple[int, int, int, int, int]] = []
        for row, campaign in zip(rows, campaigns, strict=True):
            definition = campaign.definition
            for field, value in _fields(definition).items():
                row[field] = value
            row["is_active"] = campaign.state in _MAY_BID
            row["calendar"] = self._calendar(definition, campaign.changed_at)
            series.extend(_series(definition))
        self._core.put(rows.tobytes(), np.array(series, SERIES_ROW).tobytes())
        for campaign in campaigns:
            self._names[campaign.definition.id] = tuple(campaign.definition.platforms)

    def put_shares(self, shares: Sequence[Share]) -> None:
        """Add or replace this partition's shares of accounts, all of them or (CoreError) none.

        A campaign that names an account must not bid before the account's share is known.
        """
        rows = np.zeros(len(shares), ACCOUNT_ROW)
        for row, share in zip(rows, shares, strict=True):
            row["account"] = account_key(share.account.id)
            for field in ("total_cap_micros", "daily_cap_micros", "later_daily_cap_micros"):
                amount = getattr(share, field)
                _in_range(field, amount or 0, LARGEST_MICROS)
                row[field] = -1 if amount is None else amount
            if share.later_from is not None:
                _in_range("later_from", share.later_from, _LATEST)
                row["later_from_ms"] = round(share.later_from * 1000)
            row["is_halted"] = share.is_halted
        self._core.put_accounts(rows.tobytes())

    def set_halted(self, is_halted: bool) -> None:
        """Halt all campaigns from the next round on, or let them go on."""
        self._core.set_halted(is_halted)

    def remove(self, campaign: str) -> bool:
        """Forget a campaign with all it had; return whether there was one."""
        self._names.pop(campaign, None)
        return self._core.remove(campaign_key(campaign))

    def ingest(self, frame: bytes) -> Ingested:
        """Count a whole frame in; one that was counted before changes nothing.

        Raises CoreError where the frame as a whole is malformed.
        """
        return self._core.ingest(frame)

    def decide(self, at_ms: int) -> Round:
        """Decide the round due at a time, later than the round before."""
        decided = self._core.decide(at_ms)
        return Round(
            decisions=np.frombuffer(decided.decisions, DECISION_ROW),
            series=np.frombuffer(decided.series, SERIES_DECISION_ROW),
            settled_micros=decided.settled_micros,
            reserved_micros=decided.reserved_micros,
        )

    def forecast(self, campaign: str, platform: str, at_ms: int) -> Forecast:
        """Return what is forecast of a campaign on a platform: its next report, a click's worth.

        All that was ingested is counted in. Between reports nothing but the confidence's age
        changes; conversions that do not come lower the CVR from round to round.
        """
        return self._core.forecast(series_key(campaign, platform), at_ms)

    def prospect(self, campaign: str, platform: str, at_ms: int) -> Prospect:
        """Return the same as plain values, for people and programs to read."""
        found = self.forecast(campaign, platform, at_ms)
        sample_size, age, spread, completeness = found.confidence_parts
        return Prospect(
            platform=platform,
            cpc_micros=_rate(found.cpc_micros),
            cvr=_known_rate(found.cvr),
            reported_cvr=_rate(found.reported_cvr),
            raw_cvr=found.raw_cvr,
            clicks_an_hour=_rate(found.clicks_an_hour),
            condition=Condition[found.condition],
            confidence=Trust(found.confidence, sample_size, age, spread, completeness),
            samples=found.samples,
            clicks=found.clicks,
            conversions=found.conversions,
        )

    def pareto(self, campaign: str, at_ms: int) -> Front:
        """Return a campaign's front of spend and what it brings, as known at a time.

        Raises CoreError where there is no such campaign.
        """
        found = self._core.pareto(campaign_key(campaign), at_ms)
        return Front(
            points=tuple(Point(*point) for point in found.points),
            stands=Point(*found.stands),
            waste=found.waste,
            confidence=found.confidence,
        )

    def verify(self) -> None:
        """Recount every window and the ledger from their parts; raise CoreError on a difference."""
        self._core.verify()

    def ledger(self) -> NDArray[np.void]:
        """Return LEDGER_ROWs, ascending by the campaign's key."""
        return np.frombuffer(self._core.ledger(), LEDGER_ROW)

    def raise_settled(self, campaign: int, settled_micros: int) -> None:
        """Raise a campaign's settled spend (by key) to at least what the chain has recorded."""
        self._core.raise_settled(campaign, settled_micros)

    def raise_cap(self, series: int, cap_micros: int) -> None:
        """Raise a series' cap (by key) to at least what the chain has recorded as given.

        Everything up to it is then held to be spent.
        """
        self._core.raise_cap(series, cap_micros)

    def snapshot(self) -> bytes:
        """Return the whole state, checksummed."""
        return _encoder.encode(
            _Saved(
                core=self._core.snapshot(),
                names={name: list(platforms) for name, platforms in self._names.items()},
                calendars=list(self._calendars),
            )
        )

    @classmethod
    def restore(cls, snapshot: bytes) -> Self:
        """Return the book a snapshot was taken of: from here on, its decisions are the same.

        Raises CoreError where the snapshot is damaged.
        """
        try:
            saved = _decoder.decode(snapshot)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CoreError(f"snapshot: {error}") from error
        if saved.v != 1:
            raise CoreError(f"snapshot: version must be 1, was {saved.v}")
        book = cls.__new__(cls)
        book._core = _core.Book.restore(saved.core)
        book._names = {name: tuple(platforms) for name, platforms in saved.names.items()}
        book._calendars = {key: number for number, key in enumerate(saved.calendars, start=1)}
        return book

    def _calendar(self, definition: Definition, changed_at: float) -> int:
        """Return the number of the calendar of a definition's days; the core learns new ones.

        It begins with the flight, or with the year in which the campaign was last changed: a flight
        that began long ago has days of its zone once more.
        """
        if definition.timezone == "UTC":
            return 0
        flight = definition.flight
        _in_range("flight.starts_at", flight.starts_at, _LATEST)
        _in_range("flight.ends_at", flight.ends_at, _LATEST)
        begins_at = max(flight.starts_at, min(changed_at, flight.ends_at))
        year = datetime.fromtimestamp(begins_at, UTC).year
        key = (definition.timezone, year)
        if key not in self._calendars:
            number = len(self._calendars) + 1
            self._core.set_calendar(number, list(midnights_ms(*key)), list(offsets_ms(*key)))
            self._calendars[key] = number
        return self._calendars[key]


_LATEST = 4_102_444_800  # the year 2100, in epoch seconds
_LONGEST_HOLD_S = 2**32 / 1000 - 1


@lru_cache(maxsize=4096)
def midnights_ms(timezone: str, year: int) -> tuple[int, ...]:
    """Return when the days of a time zone begin, from a week before a year to two years after it.

    Epoch milliseconds, ascending: 800 or so. Later days have 24 hours until the campaign changes.
    Where clocks skip midnight the day begins when they do. Raises CoreError for an unknown zone.
    """
    try:
        zone = ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise CoreError(f"timezone must be an IANA name, was {timezone!r}") from error
    first = date(year, 1, 1) - timedelta(days=7)
    days = (date(year + 2, 1, 7) - first).days
    begins = (
        datetime.combine(first + timedelta(days=day), datetime.min.time(), zone)
        for day in range(days)
    )
    # A zone that skipped a whole day (Samoa in 2011) would name one instant twice.
    return tuple(sorted({round(begin.timestamp() * 1000) for begin in begins}))


@lru_cache(maxsize=4096)
def offsets_ms(timezone: str, year: int) -> tuple[tuple[int, int], ...]:
    """Return from when on a zone's clocks are how far ahead of UTC, for the days of midnights_ms.

    Pairs of epoch milliseconds and milliseconds, ascending, the first from the first midnight on.
    """
    zone = ZoneInfo(timezone)

    def ahead(at_ms: int) -> int:
        offset = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).utcoffset()
        return 0 if offset is None else round(offset.total_seconds() * 1000)

    midnights = midnights_ms(timezone, year)
    found = [(midnights[0], ahead(midnights[0]))]
    for begins, ends in pairwise(midnights):
        if ahead(ends) == found[-1][1]:
            continue
        # Clocks change once in a day, if at all: halve the day until the second is found.
        low, high = begins // 1000, ends // 1000
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if ahead(middle * 1000) == found[-1][1] else (low, middle)
        found.append((high * 1000, ahead(high * 1000)))
    return tuple(found)


def _rate(found: Estimate | None) -> Rate | None:
    return None if found is None else _known_rate(found)


def _known_rate(found: Estimate) -> Rate:
    high = found.high if math.isfinite(found.high) else None
    return Rate(found.value, found.low, high, found.by.lower())


def _fields(definition: Definition) -> dict[str, int | float | tuple[int, ...]]:
    """Return the fields of a CAMPAIGN_ROW that follow from a definition alone."""
    guardrails, flight = definition.guardrails, definition.flight
    amounts: dict[str, int | None] = {
        "budget_micros": definition.budget_micros,
        "conversion_value_micros": definition.conversion_value_micros,
        "target_cpa_micros": definition.target_cpa_micros,
        "target_reach": definition.target_reach,
        "daily_cap_micros": guardrails.daily_cap_micros,
        "min_bid_micros": guardrails.min_bid_micros,
        "max_bid_micros": guardrails.max_bid_micros,
    }
    for field, amount in amounts.items():
        _in_range(field, amount or 0, LARGEST_MICROS)
    _in_range("flight.starts_at", flight.starts_at, _LATEST)
    _in_range("flight.ends_at", flight.ends_at, _LATEST)
    _in_range("platforms", len(definition.platforms), 2**16 - 1)
    _in_range("guardrails.hold_seconds", guardrails.hold_seconds, _LONGEST_HOLD_S)
    try:
        blocked_hours = words_of(guardrails.blocked_hours)
    except ValueError as error:
        raise CoreError(f"guardrails.blocked_hours must be {error}") from None
    fields: dict[str, int | float | tuple[int, ...]] = {
        "campaign": campaign_key(definition.id),
        "starts_at_ms": round(flight.starts_at * 1000),
        "ends_at_ms": round(flight.ends_at * 1000),
        "target_roas": definition.target_roas or 0.0,
        "max_change": guardrails.max_change,
        "unit_micros": unit_micros(definition.currency),
        "strategy": _STRATEGY[definition.strategy],
        "series_count": len(definition.platforms),
        "hold_ms": round(guardrails.hold_seconds * 1000),
        "max_daily_change": guardrails.max_daily_change or 0.0,
        "min_confidence": guardrails.min_confidence,
        "account": 0 if definition.account is None else account_key(definition.account),
        "blocked_hours": blocked_hours,
    }
    return fields | {field: amount or 0 for field, amount in amounts.items()}


def _series(definition: Definition) -> list[tuple[int, int, int, int, int]]:
    """Return the SERIES_ROWs of a definition."""
    rows = []
    for platform, bounds in definition.platforms.items():
        amounts = (
            bounds.min_bid_micros or 0,
            bounds.max_bid_micros or 0,
            bounds.daily_cap_micros or 0,
        )
        for amount in amounts:
            _in_range(f"platforms.{platform}", amount, LARGEST_MICROS)
        is_blocked = int(platform in definition.guardrails.blocked_platforms)
        rows.append((series_key(definition.id, platform), *amounts, is_blocked))
    return rows


def _in_range(field: str, found: float, most: float) -> None:
    """Refuse what a row could not hold; the core checks the rest."""
    if not 0 <= found <= most:
        raise CoreError(f"{field} must be 0 to {most}, was {found}")
