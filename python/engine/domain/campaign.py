"""A campaign: what an advertiser asked for, and where it is in its life."""

from enum import Enum

import msgspec

from engine.domain.lifecycle import State

__all__ = ["Campaign", "Definition", "Flight", "Guardrails", "PlatformBounds", "Strategy"]


class Strategy(Enum):
    """What to get the most of. `DYNAMIC` picks by what the definition names."""

    DYNAMIC = "dynamic"
    MAXIMISE_CONVERSIONS = "maximise-conversions"
    TARGET_CPA = "target-cpa"
    TARGET_ROAS = "target-roas"
    MAXIMISE_REACH = "maximise-reach"
    EVEN_PACING = "even-pacing"


class Flight(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The stretch of time a budget is meant for: [starts_at, ends_at), epoch seconds."""

    starts_at: float
    ends_at: float


class Guardrails(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Caps that no decision may pass."""

    min_bid_micros: int = 10_000
    max_bid_micros: int = 100_000_000
    max_change: float = 0.5  # largest change of a bid in one round, as a fraction of the last
    daily_cap_micros: int | None = None
    max_daily_change: float | None = None  # in one day, as a fraction of the bid it began with
    hold_seconds: float = 0.0  # how long a bid that has changed stays
    min_confidence: float = 0.0  # below it a bid does not rise
    blocked_platforms: tuple[str, ...] = ()
    blocked_hours: tuple[str, ...] = ()  # rules of domain.dayparts, by the campaign's time zone


class PlatformBounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A platform of a campaign, with bounds of its own (None: the campaign's).

    `ad_account` and `entity` link it to what a gateway steers there; without them nothing is.
    """

    min_bid_micros: int | None = None
    max_bid_micros: int | None = None
    daily_cap_micros: int | None = None
    ad_account: str | None = None  # by the platform's own name: 1234567890, act_123
    entity: str | None = None  # of that ad account: campaigns/1, adGroups/55, adsets/7


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What was asked for. Money in micros of `currency`, days by `timezone` (IANA)."""

    id: str
    budget_micros: int
    flight: Flight
    platforms: dict[str, PlatformBounds]
    name: str = ""
    currency: str = "USD"
    timezone: str = "UTC"
    strategy: Strategy = Strategy.DYNAMIC
    conversion_value_micros: int | None = None
    target_cpa_micros: int | None = None
    target_roas: float | None = None
    target_reach: int | None = None  # impressions
    min_spend_micros: int | None = None  # over the flight: what must be possible, not a goal
    account: str | None = None  # whose caps hold over all campaigns that name it
    guardrails: Guardrails = Guardrails()
    labels: dict[str, str] = {}


class Campaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A definition with its state, as the KV bucket keeps it."""

    definition: Definition
    state: State
    changed_at: float  # epoch seconds
    changed_by: str = ""
    note: str = ""  # why the state changed, for people
    v: int = 1
