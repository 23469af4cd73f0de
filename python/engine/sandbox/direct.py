"""A sandbox's books as the ground of a simulated platform: the same troubles, without a network."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from engine.domain.money import MICROS, has_minor_units
from engine.errors import (
    PlatformCredentialsError,
    PlatformQuotaError,
    PlatformThrottledError,
    PlatformUnavailableError,
)
from engine.platforms.hours import hour_stretch, local_hour, zone_of
from engine.platforms.port import AdAccount, Lever, Mutation, ReportRow, Standing, Target
from engine.sandbox.faults import Call, Fault, Faults, Trouble
from engine.sandbox.quotas import Quota
from engine.sandbox.state import Account, Books, Entity, Level, Stat

__all__ = ["DirectGround", "direct_target"]

_T = TypeVar("_T")
_HOUR = 3600
_STEERED = (
    (Lever.TARGET_CPA, "target_cpa_micros"),
    (Lever.TARGET_ROAS, "target_roas"),
    (Lever.BID, "bid_micros"),
)


def direct_target(ad_account: str, level: Level, entity: str) -> Target:
    """Return the target of an entity: group/1, campaign/2."""
    return Target(ad_account, f"{level.value}/{entity}")


class DirectGround:
    """Books, faults and a quota behind `platforms.simulated`."""

    def __init__(
        self,
        *,
        books: Books,
        quota: Quota,
        faults: Faults | None = None,
        name: str = "simulated",
        is_known: bool = True,
    ) -> None:
        self.is_down = asyncio.Event()
        self.is_known = is_known  # whether it lets these credentials in
        self._books = books
        self._quota = quota
        self._faults = faults or Faults()
        self._name = name

    async def answer(self, call: str, operations: int, work: Callable[[], _T]) -> _T:
        if not self.is_known:
            raise PlatformCredentialsError(self._name, "the credentials are not known")
        if self.is_down.is_set():
            raise PlatformUnavailableError(self._name, "the platform is down")
        fault = self._faults.take(Call(call))
        if fault is not None:
            await self._before(fault)
        refusal = self._quota.take(operations)
        if refusal is not None:
            self._throttle(is_of_the_day=refusal.is_of_the_day, wait=refusal.retry_after_s)
        done = work()
        if fault is not None and fault.trouble is not Trouble.SLOW:
            raise PlatformUnavailableError(self._name, "the answer was lost")
        return done

    def accounts(self) -> Sequence[AdAccount]:
        return [_ad_account(each) for each in self._books.accounts() if not each.is_manager]

    def standing(self, target: Target) -> Standing | None:
        entity = self._entity(target)
        if entity is None:
            return None
        above = self._books.entity(target.ad_account, Level.CAMPAIGN, entity.parent)
        holder = above or entity
        budget = self._books.entity(target.ad_account, Level.BUDGET, holder.budget)
        values = [(lever, getattr(entity, name)) for lever, name in _STEERED]
        found = [(lever, value) for lever, value in values if value is not None]
        lever = found[0][0] if found else Lever.DAILY_BUDGET
        return Standing(
            target=target,
            is_serving=entity.is_on,
            steered_by=lever,
            bid_micros=entity.bid_micros if lever is Lever.BID else None,
            target_cpa_micros=entity.target_cpa_micros if lever is Lever.TARGET_CPA else None,
            target_roas=entity.target_roas if lever is Lever.TARGET_ROAS else None,
            daily_budget_micros=(budget or entity).daily_budget_micros,
            is_budget_shared=budget is not None and budget.is_shared,
            is_learning=holder.is_learning,
            why_not_serving=entity.why_not_serving,
        )

    def rows(self, ad_account: str, *, since: float, until: float) -> Iterable[ReportRow]:
        zone = zone_of(_account(self._books, ad_account).timezone)
        for level in (Level.CAMPAIGN, Level.GROUP):
            hours: dict[tuple[str, float, float], list[Stat]] = {}
            stats = self._books.stats(
                ad_account, level, since=since - 2 * _HOUR, until=until + 2 * _HOUR
            )
            for stat in stats:
                begins, ends = hour_stretch(*local_hour(stat.at, zone), zone)
                if begins < until and since < ends:
                    hours.setdefault((stat.entity, begins, ends), []).append(stat)
            for (entity, begins, ends), of_hour in hours.items():
                target = direct_target(ad_account, level, entity)
                yield _row(target, begins, ends, of_hour)

    def refusal(self, mutation: Mutation) -> str:
        if mutation.lever in (Lever.SERVING, Lever.TARGET_ROAS):
            return ""
        unit = _ad_account(_account(self._books, mutation.target.ad_account)).money_step_micros
        return (
            f"a multiple of {unit} wanted, found {mutation.value}" if mutation.value % unit else ""
        )

    def move(self, mutation: Mutation) -> None:
        target = mutation.target
        entity = self._entity(target)
        assert entity is not None
        if mutation.lever is Lever.DAILY_BUDGET:
            above = self._books.entity(target.ad_account, Level.CAMPAIGN, entity.parent) or entity
            entity = self._books.entity(target.ad_account, Level.BUDGET, above.budget) or entity
        self._books.move(target.ad_account, entity.level, entity.id, mutation.lever, mutation.value)

    async def _before(self, fault: Fault) -> None:
        match fault.trouble:
            case Trouble.UNAVAILABLE | Trouble.CONFLICT:
                raise PlatformUnavailableError(self._name, fault.trouble.value)
            case Trouble.THROTTLED | Trouble.QUOTA:
                is_of_the_day = fault.trouble is Trouble.QUOTA
                self._throttle(is_of_the_day=is_of_the_day, wait=fault.retry_after_s)
            case Trouble.DENIED | Trouble.EXPIRED:
                raise PlatformCredentialsError(self._name, fault.trouble.value)
            case Trouble.SILENT:
                await self._until_down()
            case _:
                pass

    async def _until_down(self) -> None:
        await self.is_down.wait()
        raise PlatformUnavailableError(self._name, "the platform went down")

    def _throttle(self, *, is_of_the_day: bool, wait: float | None) -> None:
        error = PlatformQuotaError if is_of_the_day else PlatformThrottledError
        raise error(self._name, "too many operations", retry_after_s=wait)

    def _entity(self, target: Target) -> Entity | None:
        level, _, number = target.entity.partition("/")
        if level not in {each.value for each in Level}:
            return None
        entity = self._books.entity(target.ad_account, Level(level), number)
        return None if entity is None or entity.is_removed else entity


def _account(books: Books, ad_account: str) -> Account:
    for account in books.accounts():
        if account.id == ad_account:
            return account
    raise PlatformCredentialsError("simulated", f"an ad account wanted, found {ad_account!r}")


def _ad_account(account: Account) -> AdAccount:
    return AdAccount(
        id=account.id,
        name=account.name,
        currency=account.currency,
        timezone=account.timezone,
        is_test=account.is_test,
        money_step_micros=10_000 if has_minor_units(account.currency) else MICROS,
    )


def _row(target: Target, begins: float, ends: float, stats: list[Stat]) -> ReportRow:
    return ReportRow(
        target=target,
        starts_at=begins,
        ends_at=ends,
        impressions=sum(stat.impressions for stat in stats),
        clicks=sum(stat.clicks for stat in stats),
        spend_micros=sum(stat.spend_micros for stat in stats),
        milliconversions=sum(stat.milliconversions for stat in stats),
        revenue_micros=sum(stat.revenue_micros for stat in stats),
        order_ids=tuple(order for stat in stats for order in stat.order_ids),
    )
