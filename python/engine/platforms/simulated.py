"""A simulated platform behind the port, without a network: it speaks to its ground directly.

The ground is whatever knows entities and what they did: a sandbox's books, a market. What a real
platform checks is checked here too, so that a gateway meets the same answers.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from engine.errors import PlatformUnavailableError
from engine.platforms.batches import one_ad_account
from engine.platforms.checks import mutation_refused
from engine.platforms.port import (
    AdAccount,
    Limits,
    Mutation,
    Outcome,
    ReportRow,
    Result,
    Standing,
    Target,
)

__all__ = ["Ground", "Simulated"]

_T = TypeVar("_T")
_LIMITS = Limits(operations_per_day=None, operations_per_second=1_000.0, batch=1_000)


class Ground(Protocol):
    """What a simulated platform stands on."""

    async def answer(self, call: str, operations: int, work: Callable[[], _T]) -> _T:
        """Return what work gives, as a platform would: in time, late, or not. Raises PlatformError.

        `call` is accounts, inspect, report or apply.
        """
        ...

    def accounts(self) -> Sequence[AdAccount]:
        """Return the ad accounts there are."""
        ...

    def standing(self, target: Target) -> Standing | None:
        """Return how an entity stands, None where there is none."""
        ...

    def rows(self, ad_account: str, *, since: float, until: float) -> Iterable[ReportRow]:
        """Return what entities did in the hours, by the ad account's clock, that overlap a time."""
        ...

    def refusal(self, mutation: Mutation) -> str:
        """Return why the platform itself refuses a mutation; "" where it does not."""
        ...

    def move(self, mutation: Mutation) -> None:
        """Set a lever."""
        ...


class Simulated:
    """An adapter that needs no credentials and no network."""

    def __init__(
        self,
        *,
        ground: Ground,
        name: str = "simulated",
        limits: Limits = _LIMITS,
        call_timeout_s: float = 30.0,
    ) -> None:
        self._ground = ground
        self._name = name
        self._limits = limits
        self._call_timeout_s = call_timeout_s

    @property
    def name(self) -> str:
        return self._name

    @property
    def limits(self) -> Limits:
        return self._limits

    async def aclose(self) -> None:
        pass

    async def accounts(self) -> list[AdAccount]:
        return list(await self._ask("accounts", 1, self._ground.accounts))

    async def inspect(self, targets: Sequence[Target]) -> list[Standing]:
        if not targets:
            return []
        found = await self._ask(
            "inspect", 1, lambda: [self._ground.standing(target) for target in targets]
        )
        return [standing for standing in found if standing is not None]

    async def report(
        self, ad_account: str, *, since: float, until: float
    ) -> AsyncIterator[ReportRow]:
        rows = await self._ask(
            "report", 1, lambda: list(self._ground.rows(ad_account, since=since, until=until))
        )
        for row in rows:
            yield row

    async def apply(
        self, mutations: Sequence[Mutation], *, is_dry_run: bool = False
    ) -> list[Outcome]:
        if not mutations:
            return []
        one_ad_account(mutations, most=self._limits.batch)
        return await self._ask(
            "apply", len(mutations), lambda: [self._one(m, is_dry_run) for m in mutations]
        )

    def _one(self, mutation: Mutation, is_dry_run: bool) -> Outcome:
        reason = mutation_refused(mutation, self._ground.standing(mutation.target))
        reason = reason or self._ground.refusal(mutation)
        if reason:
            return Outcome(mutation.id, Result.REJECTED, reason, "refused")
        if not is_dry_run:
            self._ground.move(mutation)
        return Outcome(mutation.id, Result.APPLIED)

    async def _ask(self, call: str, operations: int, work: Callable[[], _T]) -> _T:
        try:
            async with asyncio.timeout(self._call_timeout_s):
                return await self._ground.answer(call, operations, work)
        except TimeoutError:
            reason = f"no answer within {self._call_timeout_s} s"
            raise PlatformUnavailableError(self._name, reason) from None
