"""What the gateway needs of an ad platform: to report, to inspect, to apply, and to say its limits.

Four methods, the same for every platform; one contract suite (tests/contract) holds adapters to
them. An adapter speaks to one platform with one set of credentials, for as many ad accounts as
these reach. It keeps no queue, does not retry, knows no quota of its own and decides nothing: it
asks once, within a time, and says what came of it. All errors are `PlatformError`s; which of its
classes it is decides what the gateway does next. Money is micros of the ad account's currency.
"""

from collections.abc import AsyncIterator, Sequence
from enum import Enum
from typing import Protocol

import msgspec

__all__ = [
    "AdAccount",
    "Lever",
    "Limits",
    "Mutation",
    "Outcome",
    "Platform",
    "ReportRow",
    "Result",
    "Standing",
    "Target",
]


class Target(msgspec.Struct, frozen=True, order=True):
    """What is steered on a platform: an entity of an ad account, by the platform's own names."""

    ad_account: str  # google: customer id, digits; meta: act_<digits>; tiktok: advertiser id
    entity: str  # google: campaigns/1, adGroups/2 …; meta: adsets/3; tiktok: adgroups/4


class Lever(Enum):
    """What of an entity can be moved. Values are in micros where not said otherwise."""

    BID = "bid"  # the most for a click
    TARGET_CPA = "target-cpa"  # what a conversion should cost, under the platform's own bidding
    TARGET_ROAS = "target-roas"  # a ratio: 3.5
    DAILY_BUDGET = "daily-budget"
    SERVING = "serving"  # 1: on, 0: paused


class AdAccount(msgspec.Struct, frozen=True):
    """An ad account as the platform knows it."""

    id: str
    name: str
    currency: str  # ISO 4217
    timezone: str  # IANA; its days and quotas go by it
    is_test: bool = False
    money_step_micros: int = 10_000  # its billable unit: amounts are multiples of it


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How an entity stands on the platform now: the truth that a gateway reconciles with."""

    target: Target
    is_serving: bool  # switched on; whether it does serve: `why_not_serving`
    steered_by: Lever  # the bid lever that counts; DAILY_BUDGET: it has none of its own
    bid_micros: int | None = None
    target_cpa_micros: int | None = None
    target_roas: float | None = None
    daily_budget_micros: int | None = None
    is_budget_shared: bool = False  # other entities spend from it too: it is not moved
    is_learning: bool = False  # the platform's bidding is in its learning phase
    why_not_serving: str = ""  # of the platform: disapproved, account suspended …


class Mutation(msgspec.Struct, frozen=True, kw_only=True):
    """One lever of one entity, moved to one value: what a change is to a platform."""

    id: str  # of the change: the same after a crash, and on every retry
    target: Target
    lever: Lever
    value: float  # micros are whole; TARGET_ROAS is a ratio; SERVING is 0 or 1


class Result(Enum):
    """What came of a mutation."""

    APPLIED = "applied"
    REJECTED = "rejected"  # for good: the same would be refused again
    FAILED = "failed"  # it may do later; it is certain that it was not applied


class Outcome(msgspec.Struct, frozen=True):
    """What came of one mutation of a batch."""

    id: str  # of the mutation
    result: Result
    reason: str = ""  # for people
    code: str = ""  # the platform's own


class ReportRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one entity did in one stretch of time, as the platform tells it now.

    A later report of the same target and stretch replaces this one: conversions come late and are
    restated. Rows of a stretch that has not ended yet are what there is so far.
    """

    target: Target
    starts_at: float  # epoch seconds; [starts_at, ends_at)
    ends_at: float
    impressions: int
    clicks: int
    spend_micros: int
    milliconversions: int  # thousandths: attribution gives fractions
    revenue_micros: int = 0
    order_ids: tuple[str, ...] = ()  # of its conversions, where the platform tells them


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform allows, as far as it is written in its terms; servers' hints go before."""

    operations_per_day: int | None  # mutated items of all ad accounts under one token
    operations_per_second: float
    batch: int  # most mutations of one `apply`
    calls_in_flight: int = 4
    budget_changes_per_hour: int | None = None  # of one entity
    min_bid_micros: int = 10_000
    bid_step_micros: int = 10_000  # multiples of it, and of the ad account's money_step_micros
    min_daily_budget_micros: int = 1_000_000
    report_step_s: int = 3600  # the shortest stretch of a report
    report_delay_s: int = 900  # how far behind reports are, usually
    restated_days: int = 3  # how long conversions are still restated, usually
    quota_renewed_in: str = "UTC"  # time zone of its day
    is_quota_sliding: bool = False  # it has no day: what counts is the last 24 hours


class Platform(Protocol):
    """An adapter to an ad platform. Made without touching the network; closed by `aclose`."""

    @property
    def name(self) -> str:
        """Return the name under which campaigns know it: google, meta and so on."""
        ...

    @property
    def limits(self) -> Limits:
        """Return what the platform allows under these credentials."""
        ...

    async def accounts(self) -> list[AdAccount]:
        """Return the ad accounts that the credentials reach."""
        ...

    async def inspect(self, targets: Sequence[Target]) -> list[Standing]:
        """Return how entities stand, in any order; one that does not exist is left out."""
        ...

    def report(self, ad_account: str, *, since: float, until: float) -> AsyncIterator[ReportRow]:
        """Iterate what all entities of an ad account did in the stretches that overlap a time.

        Stretches are whole steps (`limits.report_step_s`) by the ad account's clock; where it is
        set back, the hour that comes twice is one stretch of two. An ad group's row stands beside
        its campaign's: the two are not to be added.
        """
        ...

    async def apply(
        self, mutations: Sequence[Mutation], *, is_dry_run: bool = False
    ) -> list[Outcome]:
        """Apply mutations of one ad account, at most `limits.batch`; one outcome each, in order.

        One that is refused does not stop the others. A dry run has the platform check them, where
        it can, and changes nothing. Mutations carry values, not differences: to apply one twice
        leaves the platform as to apply it once.

        Raises:
            PlatformUnavailableError: what was applied is not known: `inspect` tells.
            PlatformThrottledError, PlatformQuotaError, PlatformCredentialsError: nothing was.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
