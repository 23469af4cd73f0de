"""What the demo's gateway did on each platform, as it says itself, and in words."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec

from engine.errors import MalformedMessageError
from engine.messaging.gateway_status import AccountStatus, decode_gateway_status
from engine.messaging.ports import Broker
from engine.messaging.subjects import gateway_subject

__all__ = ["PlatformTotals", "PlatformWatch"]

_MOST_REASONS = 3


class PlatformTotals(msgspec.Struct, kw_only=True):
    """Changes of one platform: what came of them, and what is held back now, by reason."""

    applied: int = 0
    rejected: int = 0
    failed: int = 0
    waiting: int = 0
    held_back: dict[str, int] = {}

    def in_words(self) -> str:
        """Return a line for people."""
        reasons = Counter(self.held_back).most_common(_MOST_REASONS)
        why = ", ".join(f"{reason} {count:,}" for reason, count in reasons if count)
        parts = [f"{self.applied:,} changes applied"]
        parts += [f"{self.rejected:,} refused"] if self.rejected else []
        parts += [f"{self.failed:,} failed"] if self.failed else []
        parts += [f"{sum(self.held_back.values()):,} held back" + (f" ({why})" if why else "")]
        return ", ".join(parts)


class PlatformWatch:
    """Hears what gateways say, and keeps the newest of each ad account."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._newest: dict[tuple[str, str], AccountStatus] = {}

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Listen while in the context."""
        async with self._broker.gateways.listen(self._heard):
            yield

    def is_held(self) -> bool:
        """Return whether some ad account is at work."""
        return any(status.is_held for status in self._newest.values())

    def totals(self) -> Mapping[str, PlatformTotals]:
        """Return the totals of each platform, by name."""
        found: dict[str, PlatformTotals] = {}
        for (platform, _), status in sorted(self._newest.items()):
            totals = found.setdefault(platform, PlatformTotals(held_back={}))
            totals.applied += status.applied
            totals.rejected += status.rejected
            totals.failed += status.failed
            totals.waiting += status.waiting
            held = Counter(totals.held_back) + Counter(status.held_back)
            totals.held_back = dict(held)
        return found

    def _heard(self, name: str, payload: bytes) -> None:
        try:
            status = decode_gateway_status(gateway_subject(name), payload)
        except MalformedMessageError:
            return  # of another version, or not a gateway's: nothing of ours
        for account in status.accounts:
            if account.is_held or account.last_error:
                self._newest[account.platform, account.ad_account] = account
