"""A gateway on every platform there is an adapter for: decisions out, hours in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.domain.campaign import Flight, PlatformBounds
from engine.domain.decision import Binding
from engine.gateway.service import Gateway
from engine.messaging.changes import Done, Intend
from engine.messaging.ports import Message
from engine.platforms.port import Lever, Target
from engine.sandbox.state import SLOT_S, Stat
from support.gateway import Floor, account
from support.platforms import PLATFORMS, UnderTest, one_standing
from support.waiting import wait_until


@pytest.fixture(params=sorted(PLATFORMS))
async def here(request: pytest.FixtureRequest) -> AsyncIterator[UnderTest]:
    async with PLATFORMS[request.param]() as under_test:
        yield under_test


class Linked:
    """A gateway on a platform, and campaigns that are linked to its entities."""

    def __init__(self, floor: Floor, gateway: Gateway, here: UnderTest) -> None:
        self.floor = floor
        self.gateway = gateway
        self.name = here.platform.name
        self._here = here

    async def decide(self, campaign: str, **fields: Any) -> None:  # noqa: ANN401
        await self.floor.decide(campaign, platform=self.name, **fields)

    async def reaches(self, target: Target, **wanted: object) -> None:
        async def stands() -> bool:
            standing = await one_standing(self._here.platform, target)
            return all(getattr(standing, name) == value for name, value in wanted.items())

        seen: list[bool] = [False]
        for _ in range(400):
            seen[0] = await stands()
            if seen[0]:
                return
            await self.floor.clock.sleep(0.02)
        raise AssertionError(
            f"{target}: {wanted} wanted, {await one_standing(self._here.platform, target)}"
        )


@asynccontextmanager
async def linked(here: UnderTest, **targets: Target) -> AsyncIterator[Linked]:
    floor = Floor()
    name = here.platform.name
    now = floor.clock.now()
    for campaign, target in targets.items():
        bounds = PlatformBounds(ad_account=target.ad_account, entity=target.entity)
        await floor.publish(
            campaign,
            platforms={name: bounds},
            currency="EUR",
            timezone="Europe/Berlin",
            flight=Flight(now - 7200, now + 86_400),
        )
    settings = account(platform=name, ad_account=here.ad_account, poll_every=0.3, time_out=5.0)
    async with floor.gateway(accounts=[settings], platforms={name: here.platform}) as gateway:
        yield Linked(floor, gateway, here)


async def test_decisions_move_the_lever_that_counts(here: UnderTest) -> None:
    async with linked(here, clicks=here.bid, sales=here.cpa, worth=here.roas) as on:
        await on.decide("clicks", bid=1_234_567)
        await on.decide("sales", bid=900_000, cvr=0.05)
        await on.decide("worth", bid=400_000, cvr=0.07)
        await on.reaches(here.bid, bid_micros=1_230_000)
        await on.reaches(here.cpa, target_cpa_micros=18_000_000)
        await on.reaches(here.roas, target_roas=3.5)  # 20.00 x 0.07 / 0.40
        await on.decide("sales", bid=0, binding=Binding.DAILY_CAP)
        await on.reaches(here.cpa, is_serving=False)
        await on.decide("sales", bid=900_000)
        await on.reaches(here.cpa, is_serving=True)
    results = [
        result.result
        for record in await on.floor.journal(here.ad_account, on.name)
        if isinstance(record, Done)
        for result in record.results
    ]
    assert set(results) == {"applied"}


async def test_what_the_platform_reports_becomes_samples(here: UnderTest) -> None:
    frames: list[Message] = []
    async with linked(here, clicks=here.bid) as on:
        slot = int(on.floor.clock.now() // SLOT_S * SLOT_S)
        here.record(
            Stat(
                entity=here.bid_id, at=slot, impressions=900, clicks=30, spend_micros=12_340_000,
                milliconversions=1500,
            )
        )  # fmt: skip
        async with on.floor.broker.frames.follow(frames.append, after=0):
            await wait_until(lambda: on.gateway.runners)
            desk = on.gateway.runners[on.name, here.ad_account].desk
            await wait_until(lambda: desk.columns.spent[0] == 12_340_000, within_s=10)
            await wait_until(lambda: frames)


async def test_an_entity_that_is_gone_is_refused_and_the_others_go_on(here: UnderTest) -> None:
    async with linked(here, clicks=here.bid, gone=here.missing) as on:
        await on.decide("gone", bid=0, binding=Binding.HALTED)
        await on.decide("clicks", bid=2_000_000)
        await on.reaches(here.bid, bid_micros=2_000_000)
        runner = on.gateway.runners[on.name, here.ad_account]
        await wait_until(lambda: runner.tally.rejected == 1, within_s=10, what="the refusal")
    intends = [r for r in await on.floor.journal(here.ad_account, on.name) if isinstance(r, Intend)]
    assert {c.lever for r in intends for c in r.changes} == {Lever.BID.value, Lever.SERVING.value}
