"""One ad account, from taking it to giving it back. What befalls it does not touch the others.

It takes the journal, finds out what its forerunner left open, asks how its entities stand, and
from then on sends what is worth it, asks for reports, and looks now and then whether the platform
is still as the journal says. Somebody else's Take ends it: it then says nothing more to the
platform.
"""

from collections.abc import Callable
from math import lcm

import structlog

from engine.clock import Clock, Pause
from engine.errors import (
    EngineError,
    MalformedMessageError,
    PlatformCredentialsError,
    PlatformError,
)
from engine.gateway.bucket import TokenBucket
from engine.gateway.claims import Claims
from engine.gateway.desire import DesireSettings
from engine.gateway.desk import Desk
from engine.gateway.gate import Gate, GateSettings
from engine.gateway.jury import Jury
from engine.gateway.ledger import Ledger
from engine.gateway.purse import Purse, day_of
from engine.gateway.reporter import Reporter
from engine.gateway.sanity import problem_of
from engine.gateway.sender import LeftAloneError, Sender
from engine.gateway.settings import AccountSettings
from engine.gateway.shared import SharedBreaker
from engine.gateway.tally import Tally
from engine.gateway.traced import Traced
from engine.messaging.background import beside
from engine.messaging.changes import Change
from engine.messaging.gateway_status import AccountStatus
from engine.messaging.ports import Broker
from engine.platforms.port import AdAccount, Lever, Platform

__all__ = ["Runner", "desk_of"]

INSPECT_EVERY_S = 3600.0
INSPECT_AGAIN_S = 60.0
"""After a Take: what the forerunner had sent late has arrived by then."""
AGAIN_S = 5.0
LONGEST_AGAIN_S = 300.0
MOST_A_BATCH = 500

_log = structlog.get_logger(__name__)


def desk_of(
    settings: AccountSettings,
    *,
    platform: Platform,
    gate: GateSettings,
    sharing: int,
    now: float,
) -> Desk:
    """Return the desk of an ad account. `sharing`: how many share the platform's quota."""
    limits = platform.limits
    a_day = settings.operations_a_day
    if a_day is None and limits.operations_per_day is not None:
        a_day = max(limits.operations_per_day // max(sharing, 1), 1)
    rate = settings.operations_per_second or limits.operations_per_second / max(sharing, 1)
    step = float(limits.bid_step_micros)
    delay = limits.report_delay_s if settings.report_delay is None else settings.report_delay
    fields = {name: getattr(gate, name) for name in gate.__struct_fields__}
    return Desk(
        platform=settings.platform,
        ad_account=settings.ad_account,
        purse=Purse(a_day=a_day, reserve=settings.reserve),
        bucket=TokenBucket(rate=rate, burst=max(10.0 * rate, float(limits.batch)), now=now),
        gate=Gate(**fields, step=step, least_readiness=settings.readiness.least),
        desire=DesireSettings(
            off_after_s=settings.off_after,
            lag_s=settings.poll_every + delay,
            moves_budgets=settings.budgets,
            least_budget=float(limits.min_daily_budget_micros),
            step=step,
        ),
        hourly=limits.budget_changes_per_hour,
    )


class Runner:
    """See the head of this file. `run` once; `stop` lets it finish the batch in hand and leave."""

    def __init__(
        self,
        *,
        settings: AccountSettings,
        platform: Platform,
        desk: Desk,
        broker: Broker,
        breakers: tuple[SharedBreaker, SharedBreaker],
        claims: Claims,
        clock: Clock,
        owner: str,
        interval: float,
        began: Callable[["Runner"], None],
        traced: Traced | None = None,
    ) -> None:
        self.settings = settings
        self.desk = desk
        self.tally = Tally()
        self.is_owned = False
        self.account: AdAccount | None = None
        self.reporter: Reporter | None = None
        self._platform = platform
        self._broker = broker
        self._breakers = breakers
        self._clock = clock
        self._claims = claims
        self._owner = owner
        self._interval = interval
        self._step = 1  # micros
        self._began = began
        self._sending = Pause(clock)
        self._polling = Pause(clock)
        self._inspected_at = -1e18  # monotonic
        self._taken_at = 0.0
        self._has_inspected_again = False
        self._ledger = Ledger(
            platform=settings.platform,
            ad_account=settings.ad_account,
            journal=broker.journal,
            clock=clock,
            owner=owner,
        )
        self._jury = Jury(
            desk=desk, ledger=self._ledger, tally=self.tally, clock=clock, settings=settings
        )
        self._sender = Sender(
            platform=platform,
            desk=desk,
            ledger=self._ledger,
            breakers=breakers,
            clock=clock,
            tally=self.tally,
            is_live=settings.live,
            time_out=settings.time_out,
            traced=traced,
        )

    @property
    def key(self) -> str:
        return f"{self.settings.platform}/{self.settings.ad_account}"

    @property
    def is_stopping(self) -> bool:
        return self._sending.is_over

    def stop(self) -> None:
        """Ask for the end."""
        self._sending.end()
        self._polling.end()

    def wake(self) -> None:
        """Look at once: there is something to stop."""
        self._sending.wake()

    def moved(self, places: set[int]) -> None:
        """Note entities that are linked anew."""
        if places:
            self._inspected_at = -1e18  # monotonic
            if self.reporter is not None:
                self.reporter.moved(places)

    async def run(self) -> None:
        """Hold the ad account until stopped. Raises ConflictError where it is lost."""
        await self._get_to_know()
        if self.is_stopping or self.account is None:
            return
        recalled = await self._ledger.take(is_live=self.settings.live)
        self.is_owned = True
        self._taken_at = self._clock.monotonic()
        self._began(self)
        _log.info(
            "ad_account_taken",
            journal=self._ledger.subject,
            epoch=self._ledger.epoch,
            live=self.settings.live,
        )
        try:
            self.desk.begin()
            if recalled.open is not None:
                await self._sender.reconcile(*recalled.open)
            for change, result, at in recalled.settled:
                self.desk.recall(change, result, at)
                self._jury.remember(change, result, at, is_judged=change.id in recalled.verdicts)
            self._begin_day(self._clock.now(), recalled.used)
            self.reporter = self._new_reporter(self.account)
            await self.reporter.recall()
            async with beside(self._keep_polling(self.reporter), name=f"poll {self.key}"):
                await self._keep_sending()
            await self._ledger.release()
            _log.info("ad_account_released", journal=self._ledger.subject)
        finally:
            self.is_owned = False

    # getting to know it

    async def _get_to_know(self) -> None:
        """Ask the platform about the ad account, until it answers."""
        wait = AGAIN_S
        while not self.is_stopping:
            try:
                known = await self._sender.ask(self._platform.accounts)
                found = {one.id: one for one in known}.get(self.settings.ad_account)
                if found is None:
                    raise PlatformCredentialsError(
                        self.settings.platform,
                        f"ad account {self.settings.ad_account} wanted, the credentials reach "
                        + (", ".join(sorted(one.id for one in known)[:5]) or "none"),
                    )
                self.account = found
                self._step = lcm(self._platform.limits.bid_step_micros, found.money_step_micros)
                self.desk.know(found.currency, step_micros=self._step)
                return
            except PlatformError as error:
                self._note(error)
            await self._sending.sleep(wait)
            wait = min(wait * 2, LONGEST_AGAIN_S)

    def _new_reporter(self, account: AdAccount) -> Reporter:
        return Reporter(
            platform=self._platform,
            account=account,
            desk=self.desk,
            sender=self._sender,
            frames=self._broker.frames,
            journal=self._broker.journal,
            claims=self._claims,
            clock=self._clock,
            tally=self.tally,
            settings=self.settings,
            owner=self._owner,
        )

    # sending

    async def _keep_sending(self) -> None:
        while not self.is_stopping:
            try:
                if not self._is_closed():
                    await self._probe()
                if self._is_due_to_inspect():
                    await self._inspect()
                while await self._send_a_batch() and not self.is_stopping:
                    pass
            except PlatformError as error:
                self._note(error)
            await self._sending.sleep(self._interval)

    async def _send_a_batch(self) -> bool:
        """Send what is most pressing; return whether there may be more at once."""
        now, mono = self._clock.now(), self._clock.monotonic()
        began = self._begin_day(now)
        most = min(self.settings.batch or MOST_A_BATCH, self._platform.limits.batch)
        is_closed = self._is_closed()
        day_s = day_of(now, self.account.timezone if self.account else "UTC")
        picked = self.desk.pick(
            now,
            mono=mono,
            day_left_s=max(day_s[0] + day_s[1] - now, 60.0),
            most=most if is_closed else 0,
            urgent_only=not is_closed,
        )
        changes = self._sound(picked, now)
        if not changes:
            return False
        before = len(picked)
        await self._sender.send(changes, day=began)
        for change in changes:
            place = self.desk.place_of(change.entity)
            if place is not None:
                self._jury.sent(change, place, self._clock.now())
        return before == most

    def _is_closed(self) -> bool:
        return all(one.state == "closed" for one in self._breakers)

    async def _probe(self) -> None:
        """Ask about one entity, where it is our turn: an answer closes the breakers."""
        entity = next((link.entity for _, link in self.desk.links()), None)
        if entity is None:
            await self._sender.ask(self._platform.accounts)
            return
        for standing in await self._sender.inspect([entity]):
            self.desk.stands(standing, is_dry_run=not self.settings.live)

    def _sound(self, picked: list[Change], now: float) -> list[Change]:
        """Return the changes that pass the last look."""
        sound = []
        for change in picked:
            place = self.desk.place_of(change.entity)
            most = 2.0**53
            if place is not None and change.lever == Lever.BID.value and change.why != "order":
                most = float(self.desk.columns.most_bid[place])
            problem = problem_of(
                change,
                limits=self._platform.limits,
                step_micros=self._step,
                most_micros=most,
            )
            if problem:
                self.tally.refused_here += 1
                self.desk.settle(change, "rejected", now)
                self.desk.purse.spend(-1)
                _log.error("change_refused_here", entity=change.entity, reason=problem)
            else:
                sound.append(change)
        return sound

    def _begin_day(self, now: float, recalled: tuple[int, int] = (0, 0)) -> float:
        """Let the purse know the day of the quota; return when it began."""
        began, day_s = day_of(now, self._platform.limits.quota_renewed_in)
        purse = self.desk.purse
        used = recalled[1] if recalled[0] == int(began) else 0
        if purse.began_at == began:
            purse.used = max(purse.used, used)
        purse.begin(began, day_s=day_s, used=used)
        return began

    # how things stand

    def _is_due_to_inspect(self) -> bool:
        mono = self._clock.monotonic()
        if not self._has_inspected_again and mono - self._taken_at > INSPECT_AGAIN_S:
            self._has_inspected_again = True
            return True
        return mono - self._inspected_at > INSPECT_EVERY_S

    async def _inspect(self) -> None:
        """Ask how all linked entities stand."""
        entities = [link.entity for _, link in self.desk.links()]
        began = self._clock.monotonic()
        step = max(self._platform.limits.batch, 1)
        for first in range(0, len(entities), step):
            part = entities[first : first + step]
            for standing in await self._sender.inspect(part):
                self.desk.stands(standing, is_dry_run=not self.settings.live)
            self.desk.purse.spend(1)
        self._inspected_at = began

    # reports

    async def _keep_polling(self, reporter: Reporter) -> None:
        wait = AGAIN_S
        while not self._polling.is_over:
            try:
                if await reporter.poll():
                    await self._jury.judge(reporter.hours)
                wait = AGAIN_S
                await self._polling.sleep(self.settings.poll_every)
            except PlatformError as error:
                self._note(error)
                await self._polling.sleep(min(wait, self.settings.poll_every))
                wait = min(wait * 2, LONGEST_AGAIN_S)
            except MalformedMessageError as error:
                _log.error("reports_unreadable", reason=str(error))
                await self._polling.sleep(LONGEST_AGAIN_S)

    # what it says of itself

    def status(self) -> AccountStatus:
        """Return what the gateway says of this ad account."""
        desk, tally, now = self.desk, self.tally, self._clock.now()
        open_ = next((one for one in self._breakers if one.state != "closed"), self._breakers[0])
        held = dict(desk.held_back())
        return AccountStatus(
            platform=desk.platform,
            ad_account=desk.ad_account,
            is_live=self.settings.live,
            breaker=open_.state,
            breaker_until=open_.until,
            operations_left=desk.purse.left,
            operations_a_day=desk.purse.a_day,
            operations_reserved=desk.purse.reserved,
            rate_per_s=round(desk.bucket.rate, 3),
            waiting=desk.waiting,
            at_risk_micros_per_h=round(desk.waiting_worth, 1),
            held_back=held,
            anomalies={kind: len(found) for kind, found in self.anomalies().items()},
            applied=tally.applied,
            rejected=tally.rejected,
            failed=tally.failed,
            retried=tally.retried,
            improved=tally.improved,
            worse=tally.worse,
            inconclusive=tally.inconclusive,
            linked=desk.linked,
            unlinked=len(desk.unlinked),
            refused_here=tally.refused_here,
            duplicate_sales=tally.duplicate_sales,
            unknown_sales=tally.unknown_sales,
            report_age_s=None if tally.reported_at is None else round(now - tally.reported_at, 1),
            last_error=tally.last_error,
            last_error_at=tally.last_error_at,
        )

    def anomalies(self) -> dict[str, list[int]]:
        return {} if self.reporter is None else self.reporter.found

    def _note(self, error: EngineError) -> None:
        if isinstance(error, LeftAloneError) or not isinstance(error, PlatformError):
            return
        if str(error)[:300] != self.tally.last_error:
            _log.warning("platform_failed", journal=self._ledger.subject, reason=str(error))
        self.tally.note(error, self._clock.now())
