"""Ad platforms under test: an adapter, the sandbox it speaks to, and the same furniture in each.

To put another platform under the contract suite: write a function that furnishes its sandbox and
yields an `UnderTest`, and add it to `PLATFORMS`.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from engine.platforms.google.access import access_of
from engine.platforms.google.adapter import GoogleAds
from engine.platforms.meta.access import access_of as meta_access
from engine.platforms.meta.adapter import Meta
from engine.platforms.port import Lever, Mutation, Platform, ReportRow, Standing, Target
from engine.platforms.simulated import Simulated
from engine.platforms.tiktok.access import access_of as tiktok_access
from engine.platforms.tiktok.adapter import TikTok
from engine.sandbox.direct import DirectGround, direct_target
from engine.sandbox.faults import Faults
from engine.sandbox.google.server import GoogleSandbox
from engine.sandbox.meta.server import MetaSandbox
from engine.sandbox.quotas import Quota
from engine.sandbox.state import Account, Entity, Level, MemoryBooks, Stat
from engine.sandbox.tiktok.server import TikTokSandbox
from support.clock import ManualClock
from support.waiting import wait_until

__all__ = [
    "PLATFORMS",
    "UnderTest",
    "google",
    "meta",
    "mutation",
    "no_loose_ends",
    "one_standing",
    "simulated",
    "tiktok",
]

TIMEZONE = "Europe/Berlin"


@dataclass(kw_only=True)
class UnderTest:
    """A platform under test. Where it has no such entity, the field is None."""

    platform: Platform
    books: MemoryBooks
    faults: Faults
    clock: ManualClock
    ad_account: str
    other_ad_account: str  # in yen
    bid: Target  # steered by a bid of 1.00
    cpa: Target  # steered by a target CPA of 20.00
    roas: Target  # steered by a target ROAS of 3.0
    budget: Target  # with a daily budget of its own, of 50.00
    shared: Target | None  # whose budget others spend from too
    learning: Target | None  # None: the platform does not tell
    paused: Target
    missing: Target
    removed: Target
    level: Level  # of `bid`
    bid_id: str  # its id in the books
    quota: Quota
    kill: Callable[[], Awaitable[None]]
    start: Callable[[], Awaitable[None]]
    impatient: Callable[[], Platform]  # the same with a deadline of a fraction of a second
    unknown: Callable[[], Platform]  # with credentials that the platform does not know
    expire: Callable[[], None]  # the credentials that were good are so no more
    others: dict[str, Any]
    tells_tests: bool = True  # which ad accounts are for tests
    delay_s: float = 17.0  # as a throttled call is told, in steps that the platform tells in
    told_delay_s: float | None = 17.0  # None: it does not tell

    def record(self, *stats: Stat) -> None:
        """Put down what `bid` did."""
        self.books.record(self.ad_account, self.level, *stats)

    async def rows(self, since: float, until: float) -> list[ReportRow]:
        """Return what the platform reports of `bid`, in order."""
        found = self.platform.report(self.ad_account, since=since, until=until)
        return sorted(
            [row async for row in found if row.target == self.bid], key=lambda row: row.starts_at
        )


def mutation(target: Target, lever: Lever, value: float, *, name: str = "m-1") -> Mutation:
    return Mutation(id=name, target=target, lever=lever, value=value)


async def one_standing(platform: Platform, target: Target) -> Standing:
    [standing] = await platform.inspect([target])
    assert standing.target == target
    return standing


@asynccontextmanager
async def no_loose_ends() -> AsyncIterator[None]:
    """Fail where a task was left behind, or ended with an error that nobody looked at."""
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks()
    heard: list[str] = []
    loop.set_exception_handler(lambda _, context: heard.append(str(context)))
    yield
    ours = {asyncio.current_task(), *before}
    # What gRPC cancels ends a moment later: its own thread says so.
    await wait_until(lambda: asyncio.all_tasks() <= ours, what="the end of all tasks")
    gc.collect()
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    assert heard == []


def furnish_google(books: MemoryBooks) -> None:
    """Put into the books of two ad accounts what the suites speak of."""
    manager = Account(id="9990000000", name="Agency", is_manager=True, timezone="UTC")
    books.open(manager)
    books.open(
        Account(
            id="1234567890",
            name="Shoes",
            timezone=TIMEZONE,
            currency="EUR",
            manager=manager.id,
            is_test=True,
        )
    )
    books.open(
        Account(
            id="2234567890", name="Kutsu", currency="JPY", timezone="Asia/Tokyo", manager=manager.id
        )
    )
    campaign, group = Level.CAMPAIGN, Level.GROUP
    budget, portfolio = Level.BUDGET, Level.PORTFOLIO

    def own(campaign: Entity) -> list[Entity]:
        campaign.budget = f"{campaign.id}0"
        return [campaign, Entity(id=campaign.budget, level=budget, daily_budget_micros=50_000_000)]

    books.add(
        "1234567890",
        *own(Entity(id="1", level=campaign, strategy="MANUAL_CPC")),
        Entity(id="11", level=group, parent="1", bid_micros=1_000_000),
        *own(Entity(id="2", level=campaign, strategy="TARGET_CPA", target_cpa_micros=20_000_000)),
        Entity(id="21", level=group, parent="2", bid_micros=900_000),
        Entity(id="22", level=group, parent="2"),
        *own(Entity(id="3", level=campaign, strategy="TARGET_ROAS", target_roas=3.0)),
        *own(Entity(id="4", level=campaign, strategy="MAXIMIZE_CONVERSIONS", is_learning=True)),
        *own(
            Entity(
                id="5",
                level=campaign,
                strategy="MAXIMIZE_CONVERSION_VALUE",
                target_roas=2.5,
                is_on=False,
            )
        ),
        *own(Entity(id="6", level=campaign, strategy="TARGET_SPEND", bid_micros=700_000)),
        Entity(
            id="90", level=budget, is_shared=True, daily_budget_micros=80_000_000, name="shared"
        ),
        Entity(
            id="7",
            level=campaign,
            strategy="MANUAL_CPC",
            budget="90",
            why_not_serving="NO_KEYWORDS",
        ),
        Entity(id="8", level=campaign, portfolio="80", budget="90", strategy=""),
        Entity(id="80", level=portfolio, strategy="TARGET_CPA", target_cpa_micros=15_000_000),
        Entity(id="9", level=campaign, strategy="MANUAL_CPC", budget="10", is_removed=True),
        Entity(id="91", level=group, parent="9", bid_micros=1_000_000),
    )
    books.add(
        "2234567890",
        *own(
            Entity(id="1", level=campaign, strategy="TARGET_CPA", target_cpa_micros=2_000_000_000)
        ),
    )


@asynccontextmanager
async def google() -> AsyncIterator[UnderTest]:
    """Yield Google Ads: the adapter over gRPC to the sandbox."""
    books, faults, clock = MemoryBooks(), Faults(), ManualClock()
    furnish_google(books)
    quota = Quota(clock=clock, timezone=None)
    async with GoogleSandbox(books=books, clock=clock, faults=faults, quota=quota) as sandbox:
        made: list[GoogleAds] = []

        def make(*, call_timeout_s: float = 10.0, **changed: str) -> GoogleAds:
            credentials = sandbox.credentials(**{"login_customer_id": "9990000000"} | changed)
            made.append(GoogleAds(access=access_of(credentials), call_timeout_s=call_timeout_s))
            return made[-1]

        def expire() -> None:
            sandbox.tokens.refresh_tokens.clear()
            sandbox.tokens.revoke()

        def target(entity: str) -> Target:
            return Target("1234567890", entity)

        try:
            yield UnderTest(
                platform=make(),
                books=books,
                faults=faults,
                clock=clock,
                ad_account="1234567890",
                other_ad_account="2234567890",
                bid=target("adGroups/11"),
                cpa=target("campaigns/2"),
                roas=target("campaigns/3"),
                budget=target("campaigns/1"),
                shared=target("campaigns/7"),
                learning=target("campaigns/4"),
                paused=target("campaigns/5"),
                missing=target("adGroups/404"),
                removed=target("campaigns/9"),
                level=Level.GROUP,
                bid_id="11",
                quota=quota,
                kill=sandbox.kill,
                start=sandbox.start,
                impatient=lambda: make(call_timeout_s=0.3),
                unknown=lambda: make(client_secret="not-it"),
                expire=expire,
                others={"sandbox": sandbox, "make": make},
            )
        finally:
            for each in made:
                await each.aclose()


@asynccontextmanager
async def simulated() -> AsyncIterator[UnderTest]:
    """Yield the simulated platform over the same books, by no network."""
    books, faults, clock = MemoryBooks(), Faults(), ManualClock()
    furnish_google(books)
    quota = Quota(clock=clock)
    ground = DirectGround(books=books, faults=faults, quota=quota)
    stranger = DirectGround(books=books, faults=faults, quota=quota, is_known=False)

    def target(level: Level, entity: str) -> Target:
        return direct_target("1234567890", level, entity)

    async def kill() -> None:
        ground.is_down.set()

    async def start() -> None:
        ground.is_down.clear()

    def expire() -> None:
        ground.is_known = False

    yield UnderTest(
        platform=Simulated(ground=ground),
        books=books,
        faults=faults,
        clock=clock,
        ad_account="1234567890",
        other_ad_account="2234567890",
        bid=target(Level.GROUP, "11"),
        cpa=target(Level.CAMPAIGN, "2"),
        roas=target(Level.CAMPAIGN, "3"),
        budget=target(Level.CAMPAIGN, "1"),
        shared=target(Level.CAMPAIGN, "7"),
        learning=target(Level.CAMPAIGN, "4"),
        paused=target(Level.CAMPAIGN, "5"),
        missing=target(Level.GROUP, "404"),
        removed=target(Level.CAMPAIGN, "9"),
        level=Level.GROUP,
        bid_id="11",
        quota=quota,
        kill=kill,
        start=start,
        impatient=lambda: Simulated(ground=ground, call_timeout_s=0.05),
        unknown=lambda: Simulated(ground=stranger),
        expire=expire,
        others={},
    )


def furnish_adsets(books: MemoryBooks) -> None:
    """Put into the books of two of Meta's ad accounts what the suites speak of."""
    books.open(Account(id="act_1", name="Shoes", timezone=TIMEZONE, currency="EUR"))
    books.open(Account(id="act_2", name="Kutsu", timezone="Asia/Tokyo", currency="JPY"))

    def campaign(number: str, **own: Any) -> Entity:  # noqa: ANN401 # fields of Entity
        return Entity(id=number, level=Level.CAMPAIGN, **own)

    def adset(number: str, parent: str, strategy: str, **own: Any) -> Entity:  # noqa: ANN401
        own = {"daily_budget_micros": 50_000_000} | own
        return Entity(id=number, level=Level.GROUP, parent=parent, strategy=strategy, **own)

    sales = "COST_CAP:OFFSITE_CONVERSIONS"
    books.add(
        "act_1",
        campaign("1"),
        adset("11", "1", "LOWEST_COST_WITH_BID_CAP:LINK_CLICKS", bid_micros=1_000_000),
        adset("12", "1", sales, target_cpa_micros=20_000_000),
        adset("13", "1", "LOWEST_COST_WITH_MIN_ROAS:VALUE", target_roas=3.0),
        adset("14", "1", "LOWEST_COST_WITHOUT_CAP:OFFSITE_CONVERSIONS"),
        adset("15", "1", sales, target_cpa_micros=20_000_000, is_learning=True),
        adset("16", "1", sales, target_cpa_micros=20_000_000, is_on=False),
        adset("17", "1", sales, target_cpa_micros=20_000_000, is_removed=True),
        adset("18", "1", sales, target_cpa_micros=20_000_000, is_lifetime=True),
        campaign("2", strategy="COST_CAP", daily_budget_micros=80_000_000),
        adset("21", "2", sales, target_cpa_micros=20_000_000, daily_budget_micros=None),
        campaign("3", is_on=False),
        adset("31", "3", sales, target_cpa_micros=20_000_000),
        adset("32", "1", sales, target_cpa_micros=9_000_000, why_not_serving="Ads rejected"),
    )
    books.add(
        "act_2",
        campaign("5"),
        adset("51", "5", sales, target_cpa_micros=2_000_000_000, daily_budget_micros=9_000_000_000),
    )


@asynccontextmanager
async def meta() -> AsyncIterator[UnderTest]:
    """Yield Meta: the adapter over HTTP to the sandbox."""
    books, faults, clock = MemoryBooks(), Faults(), ManualClock()
    furnish_adsets(books)
    quota = Quota(clock=clock, timezone=None)
    async with MetaSandbox(books=books, clock=clock, faults=faults, quota=quota) as sandbox:
        made: list[Meta] = []

        def make(*, call_timeout_s: float = 10.0, **changed: str) -> Meta:
            access = meta_access(sandbox.credentials(**changed))
            made.append(Meta(access=access, call_timeout_s=call_timeout_s))
            return made[-1]

        def target(entity: str) -> Target:
            return Target("act_1", entity)

        try:
            yield UnderTest(
                platform=make(),
                books=books,
                faults=faults,
                clock=clock,
                ad_account="act_1",
                other_ad_account="act_2",
                bid=target("adsets/11"),
                cpa=target("adsets/12"),
                roas=target("adsets/13"),
                budget=target("adsets/14"),
                shared=target("adsets/21"),
                learning=target("adsets/15"),
                paused=target("adsets/16"),
                missing=target("adsets/404"),
                removed=target("adsets/17"),
                level=Level.GROUP,
                bid_id="11",
                quota=quota,
                kill=sandbox.kill,
                start=sandbox.start,
                impatient=lambda: make(call_timeout_s=0.3),
                unknown=lambda: make(access_token="not-it"),
                expire=sandbox.tokens.clear,
                others={"sandbox": sandbox, "make": make},
                tells_tests=False,
                delay_s=120.0,
                told_delay_s=120.0,
            )
        finally:
            for each in made:
                await each.aclose()


def furnish_adgroups(books: MemoryBooks) -> None:
    """Put into the books of two of TikTok's ad accounts what the suites speak of."""
    books.open(Account(id="7001", name="Shoes", timezone=TIMEZONE, currency="EUR"))
    books.open(Account(id="7002", name="Kutsu", timezone="Asia/Tokyo", currency="JPY"))

    def campaign(number: str, **own: Any) -> Entity:  # noqa: ANN401 # fields of Entity
        return Entity(id=number, level=Level.CAMPAIGN, **own)

    def adgroup(number: str, parent: str, strategy: str, **own: Any) -> Entity:  # noqa: ANN401
        own = {"daily_budget_micros": 50_000_000} | own
        return Entity(id=number, level=Level.GROUP, parent=parent, strategy=strategy, **own)

    sales = "BID_TYPE_CUSTOM:OCPM:CONVERT"
    books.add(
        "7001",
        campaign("1"),
        adgroup("11", "1", "BID_TYPE_CUSTOM:CPC:CLICK", bid_micros=1_000_000),
        adgroup("12", "1", sales, target_cpa_micros=20_000_000),
        adgroup("13", "1", "BID_TYPE_NO_BID:OCPM:VALUE", target_roas=3.0),
        adgroup("14", "1", "BID_TYPE_NO_BID:OCPM:CONVERT"),
        adgroup("16", "1", sales, target_cpa_micros=20_000_000, is_on=False),
        adgroup("17", "1", sales, target_cpa_micros=20_000_000, is_removed=True),
        adgroup("18", "1", sales, target_cpa_micros=20_000_000, is_lifetime=True),
        campaign("2", strategy="CBO", daily_budget_micros=80_000_000),
        adgroup("21", "2", sales, target_cpa_micros=20_000_000, daily_budget_micros=None),
        campaign("3", is_on=False),
        adgroup("31", "3", sales, target_cpa_micros=20_000_000),
    )
    books.add(
        "7002",
        campaign("5"),
        adgroup(
            "51", "5", sales, target_cpa_micros=2_000_000_000, daily_budget_micros=9_000_000_000
        ),
    )


@asynccontextmanager
async def tiktok() -> AsyncIterator[UnderTest]:
    """Yield TikTok: the adapter over HTTP to the sandbox."""
    books, faults, clock = MemoryBooks(), Faults(), ManualClock()
    furnish_adgroups(books)
    quota = Quota(clock=clock)
    async with TikTokSandbox(books=books, clock=clock, faults=faults, quota=quota) as sandbox:
        made: list[TikTok] = []

        def make(*, call_timeout_s: float = 10.0, **changed: str) -> TikTok:
            access = tiktok_access(sandbox.credentials(**changed))
            made.append(TikTok(access=access, clock=clock, call_timeout_s=call_timeout_s))
            return made[-1]

        def target(entity: str) -> Target:
            return Target("7001", entity)

        try:
            yield UnderTest(
                platform=make(),
                books=books,
                faults=faults,
                clock=clock,
                ad_account="7001",
                other_ad_account="7002",
                bid=target("adgroups/11"),
                cpa=target("adgroups/12"),
                roas=target("adgroups/13"),
                budget=target("adgroups/14"),
                shared=target("adgroups/21"),
                learning=None,
                paused=target("adgroups/16"),
                missing=target("adgroups/404"),
                removed=target("adgroups/17"),
                level=Level.GROUP,
                bid_id="11",
                quota=quota,
                kill=sandbox.kill,
                start=sandbox.start,
                impatient=lambda: make(call_timeout_s=0.3),
                unknown=lambda: make(access_token="not-it"),
                expire=sandbox.tokens.clear,
                others={"sandbox": sandbox, "make": make},
                tells_tests=False,
                told_delay_s=None,
            )
        finally:
            for each in made:
                await each.aclose()


PLATFORMS: dict[str, Callable[[], AbstractAsyncContextManager[UnderTest]]] = {
    "google": google,
    "meta": meta,
    "simulated": simulated,
    "tiktok": tiktok,
}
