"""The gateway: follows what is decided, and holds the ad accounts that are its own.

Which are its own follows from which gateways are alive, as partitions do with workers: a group of
ad accounts belongs to the gateway whose hash with it is highest. One that is silent is taken for
dead. Both may be judged wrongly without harm: the journal of an ad account has one owner at a
time.
"""

import asyncio
from collections.abc import Callable
from hashlib import blake2b

import structlog

from engine.clock import Clock, Pause
from engine.domain.accounts import Halt, Share
from engine.domain.codec import decode_entry
from engine.domain.ids import partition_of
from engine.errors import (
    ConflictError,
    EngineError,
    MalformedMessageError,
    PlatformError,
)
from engine.fleet.membership import Membership
from engine.gateway.claims import Claims
from engine.gateway.desk import Desk
from engine.gateway.directory import Directory
from engine.gateway.runner import Runner, desk_of
from engine.gateway.settings import Accounts, AccountSettings
from engine.gateway.shared import SharedBreaker
from engine.gateway.traced import Traced
from engine.messaging.changes import decode_breaker, decode_order
from engine.messaging.gateway_status import (
    AccountStatus,
    GatewayStatus,
    decode_gateway_status,
    encode_gateway_status,
)
from engine.messaging.ports import Broker, Message
from engine.messaging.records import Decide, decode_record
from engine.messaging.subjects import gateway_subject
from engine.platforms.port import Platform

__all__ = ["Gateway"]

STATUS_S = 1.0
SUSPICION_S = 3.5
LOOK_S = 0.25
STUCK_S = 15.0
AGAIN_S = 2.0
LONGEST_AGAIN_S = 60.0

_log = structlog.get_logger(__name__)


class Gateway:
    """One process of the gateways. `run` works until `stop`, then gives everything back.

    `make` returns the adapter of an ad account, without touching the network; it raises
    PlatformError or ConfigError.
    """

    def __init__(
        self,
        *,
        broker: Broker,
        clock: Clock,
        name: str,
        accounts: Accounts,
        make: Callable[[AccountSettings], Platform],
        interval: float = 2.0,
        grace: float = 15.0,
        version: str = "",
        status_every: float = STATUS_S,
        suspicion: float = SUSPICION_S,
    ) -> None:
        self.name = name
        self.runners: dict[tuple[str, str], Runner] = {}  # those that are at work
        self._broker = broker
        self._clock = clock
        self._accounts = accounts
        self._make = make
        self._interval = interval
        self._grace = grace
        self._version = version
        self._status_every = status_every
        self._suspicion = suspicion
        self._claims = Claims()
        self._desks: dict[tuple[str, str], Desk] = {}
        self._platforms: dict[tuple[str, str], Platform] = {}
        self._broken: dict[tuple[str, str], tuple[str, float]] = {}
        self._breakers: dict[tuple[str, str], SharedBreaker] = {}
        self._directory = Directory({})
        self._traced = Traced()
        self._halted: set[int] = set()
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._not_before: dict[tuple[str, str], float] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self._looking = Pause(clock)
        self._saying = Pause(clock)
        self._said_at: float | None = None
        self._started_at = 0.0
        self._stops = 0
        self._leaving: asyncio.Timeout | None = None

    # what probes ask

    @property
    def is_live(self) -> bool:
        """Return whether the loop turns."""
        return self._said_at is None or self._clock.monotonic() - self._said_at < STUCK_S

    def hindrances(self) -> list[str]:
        """Return what keeps this gateway from its work, in words."""
        found = []
        if self._said_at is None:
            found.append("it has not begun")
        if self._looking.is_over:
            found.append("it is stopping")
        if not self._broker.is_connected:
            found.append("the broker is away")
        return found

    def status(self) -> dict[str, object]:
        """Return what /status tells."""
        hindrances = self.hindrances()
        return {
            "gateway": self.name,
            "version": self._version,
            "live": self.is_live,
            "ready": not hindrances,
            "hindrances": hindrances,
            "connected": self._broker.is_connected,
            "halted": bool(self._halted),
            "accounts": self.accounts(),
        }

    def accounts(self) -> list[AccountStatus]:
        """Return how the ad accounts are that this gateway holds, or cannot hold."""
        held = [one.status() for one in self.runners.values()]
        for (platform, ad_account), (reason, at) in self._broken.items():
            held.append(
                AccountStatus(
                    platform=platform,
                    ad_account=ad_account,
                    is_live=False,
                    is_held=False,
                    last_error=reason,
                    last_error_at=at,
                )
            )
        return held

    def stop(self) -> None:
        """Ask for the end: finish the batches in hand, give the ad accounts back. Never blocks."""
        self._stops += 1
        self._looking.end()
        if self._stops > 1 and self._leaving is not None and not self._leaving.expired():
            self._leaving.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Work until stopped."""
        if self._looking.is_over:
            return
        self._open()
        fleet = Membership(self.name, now=self._clock.monotonic(), suspicion=self._suspicion)
        broker, journal = self._broker, self._broker.journal
        self._started_at = self._clock.now()
        try:
            async with (
                broker.gateways.listen(lambda name, said: self._heard(fleet, name, said)),
                broker.campaigns.follow(self._on_entry, after=0, controls=True) as campaigns,
                broker.chain.follow(self._on_record, after=0) as records,
                journal.follow(self._on_breaker, subject="engine.breaker.>", after=0) as breakers,
                journal.follow(self._on_order, subject="engine.orders.*.*", after=0) as orders,
                asyncio.TaskGroup() as group,
            ):
                saying = group.create_task(self._keep_saying(), name="status")
                for follower in (campaigns, records, breakers, orders):
                    await follower.caught_up()
                _log.info(
                    "gateway_started",
                    gateway=self.name,
                    version=self._version,
                    accounts=len(self._desks),
                    live=sum(one.live for one in self._accounts.accounts),
                )
                await self._look_after_the_accounts(fleet, group)
                await self._give_everything_back()
                saying.cancel()
        finally:
            for platform in self._platforms.values():
                await platform.aclose()
        _log.info("gateway_stopped", gateway=self.name)

    def _open(self) -> None:
        """Make adapters and desks. One whose credentials do not do costs the others nothing."""
        mono = self._clock.monotonic()
        for one in self._accounts.accounts:
            key = (one.platform, one.ad_account)
            try:
                platform = self._make(one)
            except PlatformError as error:
                self._broken[key] = (str(error)[:300], self._clock.now())
                _log.error("ad_account_broken", ad_account="/".join(key), reason=str(error))
                continue
            self._platforms[key] = platform
            sharing = sum(other.platform == one.platform for other in self._accounts.accounts)
            self._desks[key] = desk_of(
                one, platform=platform, gate=self._accounts.gate, sharing=sharing, now=mono
            )
            for scope in ((one.platform, ""), key):
                if scope not in self._breakers:
                    self._breakers[scope] = SharedBreaker(
                        platform=scope[0],
                        ad_account=scope[1],
                        journal=self._broker.journal,
                        clock=self._clock,
                        gateway=self.name,
                        settings=self._accounts.breaker,
                    )
        self._directory = Directory(self._desks)

    # what is heard

    def _on_entry(self, message: Message) -> None:
        if not message.payload:
            return
        try:
            entry = decode_entry(f"campaigns {message.sequence}", message.payload)
        except MalformedMessageError as error:
            _log.warning("campaign_unreadable", reason=str(error))
            return
        if isinstance(entry, Share):
            return
        if isinstance(entry, Halt):
            self._on_halt(message.partition, is_halted=entry.is_halted)
            return
        for desk, places in self._directory.campaign(entry).items():
            runner = self.runners.get((desk.platform, desk.ad_account))
            if runner is not None:
                runner.moved(places)
        if partition_of(entry.definition.id) in self._halted or entry.state.is_final:
            self._wake()

    def _on_halt(self, partition: int, *, is_halted: bool) -> None:
        was = bool(self._halted)
        (self._halted.add if is_halted else self._halted.discard)(partition)
        for desk in self._desks.values():
            desk.halted(partition, is_halted=is_halted)
        if bool(self._halted) != was:
            _log.warning("halted" if is_halted else "halt_over", gateway=self.name)
        self._wake()

    def _on_record(self, message: Message) -> None:
        try:
            record = decode_record(f"decision at {message.sequence}", message.payload)
        except MalformedMessageError as error:
            _log.warning("decision_unreadable", reason=str(error))
            return
        if isinstance(record, Decide):
            self._directory.decide(record, message.sequence)
            if message.trace:
                self._traced.put(record.partition, message.sequence, message.trace)

    def _on_breaker(self, message: Message) -> None:
        try:
            found = decode_breaker("engine.breaker", message.payload)
        except MalformedMessageError as error:
            _log.warning("breaker_unreadable", reason=str(error))
            return
        breaker = self._breakers.get((found.platform, found.ad_account))
        if breaker is not None:
            breaker.heard(message)

    def _on_order(self, message: Message) -> None:
        try:
            order = decode_order("engine.orders", message.payload)
        except MalformedMessageError as error:
            _log.warning("order_unreadable", reason=str(error))
            return
        desk = self._desks.get((order.platform, order.ad_account))
        if desk is not None:
            desk.ordered(order.settings, until=order.until_ms / 1000)
            _log.info("order_heard", order=order.id, by=order.by, settings=len(order.settings))
            self._wake()

    def _wake(self) -> None:
        for runner in self.runners.values():
            runner.wake()

    # who is alive

    async def _keep_saying(self) -> None:
        while True:
            await self._say(is_leaving=self._looking.is_over)
            await self._saying.sleep(self._status_every)

    async def _say(self, *, is_leaving: bool) -> None:
        status = GatewayStatus(
            gateway=self.name,
            version=self._version,
            started_at=self._started_at,
            at=self._clock.now(),
            is_halted=bool(self._halted),
            draining=is_leaving,
            accounts=self.accounts(),
        )
        self._said_at = self._clock.monotonic()
        await self._broker.gateways.beat(self.name, encode_gateway_status(status))

    def _heard(self, fleet: Membership, name: str, payload: bytes) -> None:
        try:
            status = decode_gateway_status(gateway_subject(name), payload)
        except MalformedMessageError as error:
            _log.warning("status_unreadable", reason=str(error))
            return
        fleet.heard(
            name,
            [_number(f"{a.platform}/{a.ad_account}") for a in status.accounts if a.is_held],
            age=status.at - status.started_at,
            is_leaving=status.draining,
            now=self._clock.monotonic(),
        )

    # the ad accounts

    async def _look_after_the_accounts(self, fleet: Membership, group: asyncio.TaskGroup) -> None:
        looked_at = self._clock.monotonic()
        while not self._looking.is_over:
            now = self._clock.monotonic()
            if not self._broker.is_connected or now - looked_at > LOOK_S + self._suspicion / 2:
                fleet.deaf_until(now)
            elif fleet.may_judge(now):
                self._settle(fleet, group, now)
            looked_at = now
            await self._looking.sleep(LOOK_S)

    def _settle(self, fleet: Membership, group: asyncio.TaskGroup, now: float) -> None:
        """Take what is ours and free; give back what is another's who can take it."""
        alive, settled = fleet.alive(now), fleet.settled(now)
        elsewhere = fleet.held_by_others(now)
        for one in self._accounts.accounts:
            key = (one.platform, one.ad_account)
            if key not in self._desks:
                continue
            owner, taker = _owner(one.key, alive), _owner(one.key, settled)
            runner = self.runners.get(key)
            if runner is not None:
                if self.name not in (owner, taker):
                    runner.stop()
            elif (
                owner == self.name
                and _number("/".join(key)) not in elsewhere
                and now >= self._not_before.get(key, now)
            ):
                self._hold(one, key, group)

    def _hold(self, one: AccountSettings, key: tuple[str, str], group: asyncio.TaskGroup) -> None:
        runner = Runner(
            settings=one,
            platform=self._platforms[key],
            desk=self._desks[key],
            broker=self._broker,
            breakers=(self._breakers[one.platform, ""], self._breakers[key]),
            claims=self._claims,
            clock=self._clock,
            owner=self.name,
            interval=self._interval,
            began=lambda _: self._saying.wake(),
            traced=self._traced,
        )
        self.runners[key] = runner
        self._tasks[key] = group.create_task(self._run(runner, key), name=f"ad account {key}")

    async def _run(self, runner: Runner, key: tuple[str, str]) -> None:
        """Run an ad account to its end. What befalls one does not touch the others."""
        try:
            await runner.run()
            self._failures.pop(key, None)
        except ConflictError as error:
            _log.warning("ad_account_lost", ad_account="/".join(key), reason=str(error))
            self._not_before[key] = self._clock.monotonic() + self._suspicion
        except Exception as error:
            is_meant = isinstance(error, EngineError)
            _log.error(
                "ad_account_failed",
                ad_account="/".join(key),
                reason=str(error) if is_meant else repr(error),
                exc_info=None if is_meant else error,
            )
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            wait = min(LONGEST_AGAIN_S, AGAIN_S * 2.0 ** min(failures - 1, 10))
            self._not_before[key] = self._clock.monotonic() + wait
        finally:
            self._desks[key].columns.in_flight[:] = False
            del self.runners[key]
            self._tasks.pop(key, None)
            self._saying.wake()

    async def _give_everything_back(self) -> None:
        _log.info("gateway_stopping", gateway=self.name, accounts=len(self.runners))
        self._saying.wake()
        for runner in self.runners.values():
            runner.stop()
        tasks = set(self._tasks.values())
        if tasks:
            grace = 0.0 if self._stops > 1 else self._grace
            try:
                async with asyncio.timeout(grace) as self._leaving:
                    await asyncio.wait(tasks)
            except TimeoutError:
                _log.warning("left_without_release", accounts=sorted(map("/".join, self.runners)))
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            finally:
                self._leaving = None
        await self._say(is_leaving=True)


def _owner(key: str, alive: frozenset[str]) -> str:
    """Return whose a group of ad accounts is (rendezvous hashing, as for partitions)."""
    return max(alive, key=lambda name: blake2b(f"{key}/{name}".encode(), digest_size=8).digest())


def _number(key: str) -> int:
    """Return an ad account as a number, as `Membership` knows what others hold."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
