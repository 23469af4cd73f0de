"""A gateway over the in-memory broker and a fake platform, and decisions made by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from engine.clock import Clock, SystemClock
from engine.domain.campaign import Flight, PlatformBounds
from engine.domain.codec import encode_campaign
from engine.domain.decision import Binding
from engine.domain.ids import partition_of
from engine.domain.lifecycle import State
from engine.gateway.gate import GateSettings
from engine.gateway.service import Gateway
from engine.gateway.settings import Accounts, AccountSettings, ReadinessSettings
from engine.messaging.changes import JournalRecord, decode_journal
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.records import Columns, Decide, Take, encode
from engine.messaging.subjects import changes_subject
from engine.platforms.port import Platform
from support.definitions import campaign
from support.platform import FakePlatform

__all__ = ["Floor", "account", "linked"]

READY = ReadinessSettings(clicks=0, conversions=0)
EAGER = GateSettings(dead_band=0.0, hold_s=0.0, budget_hold_s=0.0, largest_rise=100.0)


def account(**fields: Any) -> AccountSettings:  # noqa: ANN401
    """Return settings of ad account 123 on google: live, ready, quick."""
    wanted: dict[str, Any] = {
        "platform": "google", "ad_account": "123", "live": True, "readiness": READY,
        "poll_every": 0.2, "time_out": 2.0, "off_after": 0.0, "budgets": False, "cell": 3600.0,
    }  # fmt: skip
    return AccountSettings(**(wanted | fields))


def linked(entity: str, *, ad_account: str = "123", platform: str = "google") -> dict[str, Any]:
    """Return the platforms of a campaign that is linked to an entity."""
    return {platform: PlatformBounds(ad_account=ad_account, entity=entity)}


class Floor:
    """A broker, a platform, and what publishes to them."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.server = MemoryServer()
        self.broker = MemoryBroker(server=self.server, name="floor", clock=self.clock)
        self.platform = FakePlatform()
        self._heads: dict[int, int] = {}
        self._rounds: dict[int, int] = {}

    async def publish(
        self,
        name: str,
        *,
        expected: int = 0,
        state: State = State.ACTIVE,
        **fields: Any,  # noqa: ANN401
    ) -> int:
        now = self.clock.now()
        fields.setdefault("flight", Flight(now - 3600.0, now + 86_400.0))
        payload = encode_campaign(campaign(name, state=state, **fields))
        return await self.broker.campaigns.put(name, payload, expected=expected)

    async def decide(
        self,
        name: str,
        *,
        bid: int,
        cap: int = 10**12,
        platform: str = "google",
        cvr: float | None = 0.05,
        cpc: float | None = 400_000.0,
        binding: Binding = Binding.NONE,
    ) -> int:
        """Publish a round of one campaign's decision; return its sequence."""
        p = partition_of(name)
        common = {
            "partition": p,
            "previous": self._heads.get(p, 0),
            "epoch": 1,
            "owner": "w1",
            "at_ms": int(self.clock.now() * 1000),
            "metrics_sequence": 0,
            "campaigns_revision": 0,
        }
        if p not in self._heads:
            take = Take(round=0, **common)  # type: ignore[arg-type]
            self._heads[p] = await self.broker.chain.append(p, encode(take), expected=0)
            common["previous"] = self._heads[p]
        self._rounds[p] = self._rounds.get(p, 0) + 1
        record = Decide(
            **common,  # type: ignore[arg-type]
            round=self._rounds[p],
            decided=1,
            settled_micros=0,
            reserved_micros=0,
            platforms=[platform],
            changed=Columns(
                campaign=[name], action=[1 if bid else 0], binding=[int(binding)], best=[0],
                pacing_multiplier=[1.0], settled_micros=[0], reserved_micros=[0],
                series_count=[1], platform=[0], bid_micros=[bid], cap_micros=[cap],
                cpc_micros=[cpc], cvr=[cvr], roi_micros=[100_000.0], confidence=[0.9],
                bound_by=[int(binding)],
            ),
        )  # fmt: skip
        self._heads[p] = await self.broker.chain.append(p, encode(record), expected=self._heads[p])
        return self._heads[p]

    async def journal(
        self, ad_account: str = "123", platform: str = "google"
    ) -> list[JournalRecord]:
        subject = changes_subject(platform, ad_account)
        return [
            decode_journal(subject, message.payload)
            async for message in self.broker.journal.read(subject)
        ]

    @asynccontextmanager
    async def gateway(
        self,
        name: str = "g1",
        *,
        accounts: list[AccountSettings] | None = None,
        platforms: dict[str, Platform] | None = None,
        gate: GateSettings = EAGER,
        **fields: Any,  # noqa: ANN401
    ) -> AsyncIterator[Gateway]:
        """Run a gateway beside the body, and stop it in order."""
        by_name: dict[str, Platform] = platforms or {self.platform.name: self.platform}
        service = Gateway(
            broker=MemoryBroker(server=self.server, name=name, clock=self.clock),
            clock=self.clock,
            name=name,
            accounts=Accounts(accounts=accounts or [account()], gate=gate),
            make=lambda one: by_name[one.platform],
            interval=0.02,
            grace=2.0,
            status_every=0.05,
            suspicion=0.3,
            **fields,
        )
        task = asyncio.create_task(service.run())
        try:
            yield service
            if task.done():
                task.result()
        finally:
            service.stop()
            await asyncio.wait([task], timeout=5)
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
