"""Circuit breakers that all gateways share, through the journal.

Each gateway counts its own calls. Who finds that a breaker must open, may be probed or closes, says
so on top of the newest record; whoever is second adopts what the first one said. So of all gateways
one probes at a time, and none asks a platform again that another has just found dead.
"""

import random

import structlog

from engine.clock import Clock
from engine.errors import BrokerError, ConflictError, MalformedMessageError
from engine.gateway.breaker import Breaker, BreakerSettings, State
from engine.messaging.changes import Breaker as Shared
from engine.messaging.changes import decode_breaker, encode_journal
from engine.messaging.ports import Journal, Message
from engine.messaging.subjects import breaker_subject

__all__ = ["SharedBreaker"]

_log = structlog.get_logger(__name__)


class SharedBreaker:
    """A breaker of a platform, or of one of its ad accounts."""

    def __init__(
        self,
        *,
        platform: str,
        ad_account: str = "",
        journal: Journal,
        clock: Clock,
        gateway: str,
        settings: BreakerSettings | None = None,
    ) -> None:
        self.breaker = Breaker(settings)
        self.subject = breaker_subject(platform, ad_account)
        self._platform = platform
        self._ad_account = ad_account
        self._journal = journal
        self._clock = clock
        self._gateway = gateway
        self._sequence = 0  # of the newest record

    @property
    def state(self) -> str:
        return self.breaker.state.value

    @property
    def until(self) -> float | None:
        """Return when an open one lets a probe through."""
        return None if self.breaker.state is State.CLOSED else self.breaker.until

    def heard(self, message: Message) -> None:
        """Take in a record, ours or another's."""
        if message.sequence <= self._sequence:
            return
        self._sequence = message.sequence
        try:
            found = decode_breaker(self.subject, message.payload)
        except MalformedMessageError as error:
            _log.warning("breaker_unreadable", reason=str(error))
            return
        if found.owner != self._gateway or State(found.state) is not self.breaker.state:
            self.breaker.adopt(
                State(found.state),
                until=found.until_ms / 1000,
                opened=found.opened,
                reason=found.reason,
            )

    async def may_call(self) -> bool:
        """Return whether a call may be made; of a probe, whether it is ours to make."""
        now = self._clock.now()
        if self.breaker.may_call(now):
            return True
        if not self.breaker.may_probe(now):
            return False
        before, sequence = (self.breaker.state, self.breaker.until), self._sequence
        self.breaker.probe(now)
        if await self._say():
            _log.info("platform_probed", breaker=self.subject)
            return True
        if self._sequence == sequence:  # nobody could be asked who was first
            self.breaker.state, self.breaker.until = before
        return False

    async def succeeded(self) -> None:
        """Note a call that did."""
        if self.breaker.succeeded(self._clock.now()):
            _log.info("breaker_closed", breaker=self.subject)
            await self._say()

    async def failed(self, reason: str) -> None:
        """Note a call that failed."""
        if self.breaker.failed(self._clock.now(), reason=reason, luck=random.random()):
            await self._opened()

    async def open(self, reason: str) -> None:
        """Open at once: the next call would fail for the same reason."""
        self.breaker.open(self._clock.now(), reason=reason, luck=random.random())
        await self._opened()

    async def _opened(self) -> None:
        wait = self.breaker.until - self._clock.now()
        reason = self.breaker.reason
        _log.warning("breaker_open", breaker=self.subject, seconds=round(wait, 1), reason=reason)
        await self._say()

    async def _say(self) -> bool:
        """Store the state over the newest record; return False where somebody else was first."""
        now = self._clock.now()
        record = Shared(
            platform=self._platform,
            ad_account=self._ad_account,
            state=self.breaker.state.value,
            until_ms=round(self.breaker.until * 1000),
            opened=self.breaker.opened,
            owner=self._gateway,
            reason=self.breaker.reason[:200],
            at_ms=round(now * 1000),
        )
        try:
            self._sequence = await self._journal.append(
                self.subject, encode_journal(record), expected=self._sequence
            )
        except ConflictError:
            try:
                newest = await self._journal.head(self.subject)
            except BrokerError:
                return False
            if newest is not None:
                self.heard(newest)
            return False
        return True
