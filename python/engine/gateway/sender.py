"""Sends an ad account's changes: intent first, then the platform, then the outcome.

    Intend stored ─► apply ─► answered: Done
                        └───► no answer: ask how things stand, until the platform tells: Done

One batch is on its way at a time. A batch without an answer may have been applied, so nothing
else is sent before `inspect` has told; a gateway that is killed leaves the Intend for whoever
takes over, who does the same. Changes carry values, not differences, so applying one twice
changes nothing; it does not come to that while the platform can tell.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from engine.clock import Clock
from engine.errors import (
    ConflictError,
    PlatformCredentialsError,
    PlatformError,
    PlatformQuotaError,
    PlatformRejectedError,
    PlatformThrottledError,
    PlatformUnavailableError,
)
from engine.gateway.desk import Desk
from engine.gateway.ledger import Ledger
from engine.gateway.shared import SharedBreaker
from engine.gateway.tally import Tally
from engine.gateway.traced import Traced
from engine.messaging import traces
from engine.messaging.changes import Change, Intend, Settled
from engine.platforms.port import Lever, Mutation, Outcome, Platform, Standing, Target

__all__ = ["LeftAloneError", "Sender"]

_T = TypeVar("_T")

FENCE_S = 2.0
"""So long after an intent was stored nobody else can have taken the ad account for silent."""
INSPECT_AFTER_S = 1.0
"""What was cut off is given so long to come through, before the platform is asked."""
LONGEST_WAIT_S = 60.0
THROTTLED_S = 5.0  # where the platform does not say
NEAR = 1e-6

_log = structlog.get_logger(__name__)


class LeftAloneError(PlatformError):
    """A breaker is open: the platform is not called."""


class Sender:
    """See the head of this file."""

    def __init__(
        self,
        *,
        platform: Platform,
        desk: Desk,
        ledger: Ledger,
        breakers: Sequence[SharedBreaker],  # of the platform, and of the ad account
        clock: Clock,
        tally: Tally,
        is_live: bool,
        time_out: float,
        traced: Traced | None = None,
    ) -> None:
        self._platform = platform
        self._desk = desk
        self._ledger = ledger
        self._breakers = breakers
        self._clock = clock
        self._tally = tally
        self._is_live = is_live
        self._time_out = time_out
        self._traced = traced or Traced()
        self._ids: dict[tuple[str, str, float], str] = {}  # of changes that failed

    async def ask(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Make one call of the platform, within the time-out, where the breakers let it through.

        Raises PlatformError; LeftAloneError where nothing was asked.
        """
        now = self._clock.now()
        for breaker in self._breakers:  # none is probed while another is left alone
            if not (breaker.breaker.may_call(now) or breaker.breaker.may_probe(now)):
                raise LeftAloneError(self._platform.name, "left alone for a while")
        for breaker in self._breakers:
            if not await breaker.may_call():
                raise LeftAloneError(self._platform.name, "left alone for a while")
        try:
            async with asyncio.timeout(self._time_out):
                found = await call()
        except TimeoutError:
            unanswered = PlatformUnavailableError(
                self._platform.name, f"no answer in {self._time_out:g} s"
            )
            await self._failed(unanswered)
            raise unanswered from None
        except PlatformError as error:
            await self._failed(error)
            raise
        except Exception as error:
            broken = PlatformUnavailableError(self._platform.name, f"the adapter broke: {error!r}")
            await self._failed(broken)
            raise broken from error
        for breaker in self._breakers:
            await breaker.succeeded()
        return found

    async def send(self, changes: list[Change], *, day: float) -> None:
        """Send changes that the desk has picked. Raises ConflictError: the ad account is lost."""
        changes = [self._named(one) for one in changes]
        tracing = traces.active()
        if tracing is None:
            await self._send(changes, day=day)
            return
        about: dict[str, str | int | float] = {
            "engine.changes": len(changes),
            "engine.journal": self._ledger.subject,
        }
        parents = self._traced.of(changes)
        with tracing.span("change", kind="client", parents=parents, attributes=about):
            await self._send(changes, day=day)

    async def _send(self, changes: list[Change], *, day: float) -> None:
        used = self._desk.purse.used
        is_dry_run = not self._is_live
        began = self._clock.monotonic()
        intend = await self._ledger.intend(changes, is_dry_run=is_dry_run, day=day, used=used)
        # A process that was stopped for a while between the two must not send what is old.
        if self._clock.monotonic() - began > FENCE_S and not await self._ledger.is_ours():
            raise ConflictError(self._ledger.subject, intend)
        mutations = [_mutation(one, self._desk.ad_account) for one in changes]
        try:
            outcomes = await self.ask(
                lambda: self._platform.apply(mutations, is_dry_run=is_dry_run)
            )
        except PlatformError as error:
            if isinstance(error, PlatformUnavailableError) and self._is_live:
                await self._find_out(intend, changes)
            else:
                await self._refused(intend, changes, error)
            return
        await self._finish(intend, changes, _settled(outcomes, changes))

    async def reconcile(self, intend: int, record: Intend) -> None:
        """Find out what became of the batch that the gateway before us had sent, or not."""
        if record.is_dry_run:
            lost = [Settled(id=one.id, result="failed", reason="dry run") for one in record.changes]
            await self._finish(intend, record.changes, lost, how="inspected")
            return
        await self._find_out(intend, record.changes)

    async def inspect(self, entities: Sequence[str]) -> list[Standing]:
        """Return how entities stand. Raises PlatformError."""
        targets = [Target(self._desk.ad_account, one) for one in entities]
        return await self.ask(lambda: self._platform.inspect(targets))

    async def _find_out(self, intend: int, changes: list[Change]) -> None:
        """Ask how the entities of a batch stand, until the platform tells."""
        _log.warning("outcome_unknown", journal=self._ledger.subject, changes=len(changes))
        wait = INSPECT_AFTER_S
        while True:
            await self._clock.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_S)
            try:
                entities = list(dict.fromkeys(one.entity for one in changes))
                standings = await self.inspect(entities)
            except PlatformError as error:
                if not isinstance(error, LeftAloneError):
                    self._tally.note(error, self._clock.now())
                continue
            by_entity = {one.target.entity: one for one in standings}
            results = [_seen(one, by_entity.get(one.entity)) for one in changes]
            await self._finish(intend, changes, results, how="inspected")
            for standing in standings:
                self._desk.stands(standing)
            return

    async def _refused(self, intend: int, changes: list[Change], error: PlatformError) -> None:
        """Nothing of the batch was applied: say so, and wait as the kind of error wants it."""
        now = self._clock.now()
        result = "rejected" if isinstance(error, PlatformRejectedError) else "failed"
        if isinstance(error, LeftAloneError | PlatformThrottledError):
            self._desk.purse.spend(-len(changes))
        await self._finish(
            intend,
            changes,
            [
                Settled(id=one.id, result=result, reason=str(error)[:300], code=error.code)
                for one in changes
            ],
            is_lost_whole=True,
        )
        if not isinstance(error, LeftAloneError):
            self._tally.note(error, now)

    async def _finish(
        self,
        intend: int,
        changes: list[Change],
        results: list[Settled],
        *,
        how: str = "answered",
        is_lost_whole: bool = False,
    ) -> None:
        """Note what became of a batch. `is_lost_whole`: it failed for no fault of its changes."""
        now = self._clock.now()
        by_id = {one.id: one for one in results}
        for change in changes:
            result = by_id[change.id]
            is_lost = result.result == "failed" and (how == "inspected" or is_lost_whole)
            self._desk.settle(change, "lost" if is_lost else result.result, now)
            self._tally.settled(result.result)
            key = (change.entity, change.lever, change.value)
            if result.result == "failed":
                self._ids[key] = change.id
            else:
                self._ids.pop(key, None)
        await self._ledger.done(intend, results, how=how)
        counts = {name: sum(one.result == name for one in results) for name in _RESULTS}
        _log.info(
            "changes_sent",
            journal=self._ledger.subject,
            dry_run=not self._is_live,
            how=how,
            first=next((one.reason for one in results if one.reason), ""),
            **counts,
        )

    async def _failed(self, error: PlatformError) -> None:
        """Note a failed call: for the breakers, and for how fast the platform may be asked."""
        desk = self._desk
        if isinstance(error, PlatformQuotaError):
            # Meta's quota is an hour's, Google's window slides: what they say goes before the day.
            wait = error.retry_after_s
            desk.purse.exhaust(until=self._clock.now() + wait if wait else None)
        if isinstance(error, PlatformThrottledError):
            delay = THROTTLED_S if error.retry_after_s is None else error.retry_after_s
            desk.bucket.penalise(delay, now=self._clock.monotonic())
        if isinstance(error, PlatformUnavailableError):
            for breaker in self._breakers:
                await breaker.failed(str(error))
        elif isinstance(error, PlatformCredentialsError):
            await self._breakers[-1].open(str(error))
        else:
            for breaker in self._breakers:  # it answers: that is what a breaker is about
                await breaker.succeeded()

    def _named(self, change: Change) -> Change:
        """Return a change with its id: that of the one that failed, where it is the same."""
        known = self._ids.get((change.entity, change.lever, change.value))
        if known is not None:
            self._tally.retried += 1
        fields = {name: getattr(change, name) for name in change.__struct_fields__}
        return Change(**(fields | {"id": known or self._ledger.new_id()}))


_RESULTS = ("applied", "rejected", "failed")


def _mutation(change: Change, ad_account: str) -> Mutation:
    return Mutation(
        id=change.id,
        target=Target(ad_account, change.entity),
        lever=Lever(change.lever),
        value=change.value,
    )


def _settled(outcomes: Sequence[Outcome], changes: Sequence[Change]) -> list[Settled]:
    """Return outcomes as the journal keeps them; what has none has failed."""
    by_id = {one.id: one for one in outcomes}
    results = []
    for change in changes:
        found = by_id.get(change.id)
        if found is None:
            results.append(Settled(id=change.id, result="failed", reason="no outcome was told"))
        else:
            results.append(
                Settled(
                    id=change.id,
                    result=found.result.value,
                    reason=found.reason[:300],
                    code=found.code,
                )
            )
    return results


def _seen(change: Change, standing: Standing | None) -> Settled:
    """Return what a standing says of a change whose outcome is not known."""
    if standing is None:
        return Settled(id=change.id, result="rejected", reason="the entity is not there")
    found = {
        Lever.SERVING: float(standing.is_serving),
        Lever.BID: standing.bid_micros,
        Lever.TARGET_CPA: standing.target_cpa_micros,
        Lever.TARGET_ROAS: standing.target_roas,
        Lever.DAILY_BUDGET: standing.daily_budget_micros,
    }[Lever(change.lever)]
    if found is not None and math.isclose(found, change.value, rel_tol=NEAR):
        return Settled(id=change.id, result="applied", reason="found in force")
    return Settled(id=change.id, result="failed", reason="found not in force")
