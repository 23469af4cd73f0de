"""Breakers that gateways share: one probe of all of them, and one state."""

from engine.gateway.breaker import BreakerSettings
from engine.gateway.shared import SharedBreaker
from engine.messaging.memory import MemoryBroker, MemoryServer
from support.clock import ManualClock

SETTINGS = BreakerSettings(calls=4, least=2, open_s=10.0, probe_s=60.0)


class Two:
    """The breaker of one platform, as two gateways see it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.server = MemoryServer()
        self.a, self.b = (self._breaker(name) for name in ("a", "b"))

    def _breaker(self, name: str) -> SharedBreaker:
        broker = MemoryBroker(server=self.server, name=name, clock=self.clock)
        return SharedBreaker(
            platform="google",
            journal=broker.journal,
            clock=self.clock,
            gateway=name,
            settings=SETTINGS,
        )

    async def opened(self) -> None:
        for _ in range(2):
            await self.a.failed("no answer")

    async def told(self, breaker: SharedBreaker) -> None:
        """Let a breaker hear all that is in the journal."""
        broker = MemoryBroker(server=self.server, clock=self.clock)
        async for message in broker.journal.read(breaker.subject):
            breaker.heard(message)


async def test_one_gateway_finds_a_platform_dead_and_the_other_leaves_it_alone() -> None:
    two = Two()
    await two.opened()
    assert two.a.state == "open"
    await two.told(two.b)
    assert two.b.state == "open"
    assert not await two.b.may_call()


async def test_of_two_gateways_one_probes() -> None:
    two = Two()
    await two.opened()
    await two.told(two.b)
    await two.clock.advance(20.0)
    assert await two.b.may_call(), "its probe"
    assert not await two.a.may_call(), "it has heard nothing yet, and is second"
    assert two.a.state == "half-open"
    await two.b.succeeded()
    await two.told(two.a)
    assert (two.a.state, two.b.state) == ("closed", "closed")


async def test_a_probe_that_fails_keeps_all_away_for_longer() -> None:
    two = Two()
    await two.opened()
    await two.told(two.b)
    await two.clock.advance(20.0)
    assert await two.b.may_call()
    await two.b.failed("no answer")
    await two.told(two.a)
    assert two.a.until is not None
    assert two.b.until is not None
    assert abs(two.a.until - two.b.until) < 0.001
    assert two.a.until - two.clock.now() >= 15.0
    assert not await two.a.may_call()


async def test_a_prober_that_died_is_followed_by_another() -> None:
    two = Two()
    await two.opened()
    await two.told(two.b)
    await two.clock.advance(20.0)
    assert await two.b.may_call()
    await two.told(two.a)
    await two.clock.advance(30.0)
    assert not await two.a.may_call()
    await two.clock.advance(31.0)
    assert await two.a.may_call()
