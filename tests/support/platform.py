"""An ad platform in memory: what it was asked, what it did, and faults on demand."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from engine.platforms.port import (
    AdAccount,
    Lever,
    Limits,
    Mutation,
    Outcome,
    ReportRow,
    Result,
    Standing,
    Target,
)

__all__ = ["LIMITS", "FakePlatform", "row"]

LIMITS = Limits(
    operations_per_day=None,
    operations_per_second=1000.0,
    batch=100,
    report_delay_s=0,
    min_daily_budget_micros=1_000_000,
)
_FIELD = {
    Lever.BID: "bid_micros",
    Lever.TARGET_CPA: "target_cpa_micros",
    Lever.TARGET_ROAS: "target_roas",
    Lever.DAILY_BUDGET: "daily_budget_micros",
    Lever.SERVING: "is_serving",
}


class FakePlatform:
    """Entities by name; `applied` counts how often each change was applied, by its id.

    `faults` are raised by the next calls, one each; with `late` set, a change is applied first and
    then the answer is lost. `gate`, where set, holds calls back until it is set again.
    """

    def __init__(self, name: str = "google", *, limits: Limits = LIMITS) -> None:
        self.name = name
        self.limits = limits
        self.known = [AdAccount("123", "Shoes", "USD", "UTC")]
        self.entities: dict[str, Standing] = {}
        self.rows: list[ReportRow] = []
        self.faults: deque[tuple[str, Exception]] = deque()  # name of a call, what it raises
        self.refuse: dict[str, Outcome] = {}  # by entity
        self.is_late = False
        self.applied: dict[str, int] = {}
        self.history: list[Mutation] = []
        self.calls: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.is_closed = False

    def stand(self, entity: str, **fields: Any) -> None:  # noqa: ANN401
        wanted: dict[str, Any] = {
            "is_serving": True, "steered_by": Lever.BID, "bid_micros": 500_000,
        } | fields  # fmt: skip
        self.entities[entity] = Standing(target=Target("123", entity), **wanted)

    def value(self, entity: str, lever: Lever) -> float | None:
        found: float | None = getattr(self.entities[entity], _FIELD[lever])
        return found

    async def accounts(self) -> list[AdAccount]:
        await self._asked("accounts")
        return self.known

    async def inspect(self, targets: Sequence[Target]) -> list[Standing]:
        await self._asked("inspect")
        return [self.entities[one.entity] for one in targets if one.entity in self.entities]

    async def report(
        self, ad_account: str, *, since: float, until: float
    ) -> AsyncIterator[ReportRow]:
        await self._asked("report")
        for one in list(self.rows):
            if (
                one.target.ad_account == ad_account
                and one.ends_at > since
                and one.starts_at < until
            ):
                yield one

    async def apply(
        self, mutations: Sequence[Mutation], *, is_dry_run: bool = False
    ) -> list[Outcome]:
        if self.is_late:
            self._apply(mutations)
        await self._asked("apply dry" if is_dry_run else "apply")
        if is_dry_run or self.is_late:
            return [Outcome(one.id, Result.APPLIED) for one in mutations]
        return self._apply(mutations)

    def _apply(self, mutations: Sequence[Mutation]) -> list[Outcome]:
        outcomes = []
        for one in mutations:
            refused = self.refuse.get(one.target.entity)
            if refused is not None:
                outcomes.append(msgspec.structs.replace(refused, id=one.id))
                continue
            value: Any = bool(one.value) if one.lever is Lever.SERVING else one.value
            if one.lever not in (Lever.SERVING, Lever.TARGET_ROAS):
                value = int(value)
            before = self.entities[one.target.entity]
            self.entities[one.target.entity] = msgspec.structs.replace(
                before, **{_FIELD[one.lever]: value}
            )
            self.applied[one.id] = self.applied.get(one.id, 0) + 1
            self.history.append(one)
            outcomes.append(Outcome(one.id, Result.APPLIED))
        return outcomes

    async def aclose(self) -> None:
        self.is_closed = True

    async def _asked(self, call: str) -> None:
        self.calls.append(call)
        await self.open.wait()
        for i, (name, error) in enumerate(self.faults):
            if name in ("any", call):
                del self.faults[i]
                raise error


def row(entity: str, starts_at: float, *, ad_account: str = "123", **fields: Any) -> ReportRow:  # noqa: ANN401
    """Return an hour's report: 1,000 shown, 50 clicks for 20.00, 2 conversions."""
    wanted: dict[str, Any] = {
        "impressions": 1000,
        "clicks": 50,
        "spend_micros": 20_000_000,
        "milliconversions": 2000,
        "ends_at": starts_at + 3600,
    } | fields
    return ReportRow(target=Target(ad_account, entity), starts_at=starts_at, **wanted)
