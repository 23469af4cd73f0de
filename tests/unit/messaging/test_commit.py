"""Compare-and-swap when answers get lost."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import FencedError, MessagingError
from engine.messaging.commit import MovedOnError, Newest, commit
from engine.messaging.link import UnansweredError
from engine.messaging.memory import MemoryBroker, MemoryServer
from support.waiting import wait_until


class HastyClock:
    """Sleeps take no time and are counted."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return 1_700_000_000.0 + sum(self.slept)

    def monotonic(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


async def records(broker: MemoryBroker, partition: int = 3) -> list[bytes]:
    return [message.payload async for message in broker.chain.read(partition)]


async def test_an_append_whose_request_is_lost_is_sent_again() -> None:
    server, clock = MemoryServer(), HastyClock()
    broker = MemoryBroker(server=server, clock=clock)
    server.lose_requests(3)
    assert await broker.chain.append(3, b"one", expected=0) == 1
    assert await records(broker) == [b"one"]
    assert len(clock.slept) == 3


async def test_an_append_whose_answer_is_lost_is_found() -> None:
    server = MemoryServer()
    broker = MemoryBroker(server=server, clock=HastyClock())
    server.lose_answers()
    assert await broker.chain.append(3, b"one", expected=0) == 1
    assert await records(broker) == [b"one"]


async def test_a_lost_read_after_a_lost_answer_is_asked_again() -> None:
    server = MemoryServer()
    broker = MemoryBroker(server=server, clock=HastyClock())
    server.lose_answers()
    server.lose_reads(2)
    assert await broker.chain.append(3, b"one", expected=0) == 1
    assert await records(broker) == [b"one"]


async def test_an_append_that_somebody_overtook_is_fenced_though_its_answer_was_lost() -> None:
    server = MemoryServer()
    slow, thief = (MemoryBroker(server=server, clock=HastyClock(), name=n) for n in "ab")
    server.lose_requests()
    append = asyncio.ensure_future(slow.chain.append(3, b"decide", expected=0))
    await asyncio.sleep(0)
    await thief.chain.append(3, b"take", expected=0)
    with pytest.raises(FencedError):
        await append
    assert await records(slow) == [b"take"]


async def test_waiting_grows_to_a_quarter_of_a_second_and_no_further() -> None:
    server, clock = MemoryServer(), HastyClock()
    broker = MemoryBroker(server=server, clock=clock)
    server.lose_requests(50)
    await broker.chain.append(3, b"one", expected=0)
    assert max(clock.slept) <= 0.25
    assert min(clock.slept[10:]) >= 0.125
    assert clock.slept[0] <= 0.02


async def test_a_broker_that_is_back_is_asked_at_once_however_long_it_was_away() -> None:
    server, clock = Scripted(["request"] * 20 + ["outage"]), HastyClock()
    broker = MemoryBroker(server=server, clock=clock)
    appending = asyncio.ensure_future(broker.chain.append(3, b"one", expected=0))
    await wait_until(lambda: not server.is_up, what="the outage")
    asked = len(clock.slept)
    server.reconnect()
    assert await appending == 1
    assert clock.slept[asked] <= 0.02  # it had waited up to a quarter of a second before


class StaleLog:
    """Stores, loses the answer, and then reads from a replica that lags behind."""

    writer = "me"

    def __init__(self) -> None:
        self.reads = [Newest(5, b"before", "me"), Newest(6, b"mine", "me")]
        self.stores = 0

    async def reachable(self) -> bool:
        return False

    async def store(self, subject: str, payload: bytes, *, expected: int) -> int:
        self.stores += 1
        if self.stores == 1:
            raise UnansweredError("lost")
        raise MovedOnError(subject, expected)

    async def newest(self, subject: str) -> Newest | None:
        return self.reads.pop(0)


async def test_a_stale_read_after_a_refusal_is_not_believed() -> None:
    log = StaleLog()
    assert await commit(log, "s", b"mine", expected=5, clock=HastyClock()) == 6
    assert log.stores == 3


async def test_a_chain_that_aged_out_is_fenced() -> None:
    class EmptyLog(StaleLog):
        async def newest(self, subject: str) -> Newest | None:
            return None

    with pytest.raises(MovedOnError):
        await commit(EmptyLog(), "s", b"mine", expected=5, clock=HastyClock())


class Scripted(MemoryServer):
    """Loses what a script says: each store is kept, loses its request, or loses its answer."""

    def __init__(self, script: list[str]) -> None:
        super().__init__()
        self.script = script

    def store_batch(self, *args: Any) -> int:  # noqa: ANN401
        fault = self.script.pop(0) if self.script else "none"
        if fault == "request":
            self.lose_requests()
        if fault == "answer":
            self.lose_answers()
        if fault == "outage":
            self.disconnect()
        return super().store_batch(*args)


@given(
    script=st.lists(st.sampled_from(["none", "request", "answer"]), max_size=60),
    lost_reads=st.integers(0, 5),
    writers=st.integers(1, 4),
)
def test_whatever_gets_lost_each_success_is_in_the_chain_once_and_in_order(
    script: list[str], lost_reads: int, writers: int
) -> None:
    async def run() -> None:
        server = Scripted(list(script))
        server.lose_reads(lost_reads)
        brokers = [
            MemoryBroker(server=server, clock=HastyClock(), name="same") for _ in range(writers)
        ]
        succeeded: list[tuple[int, bytes]] = []

        async def work(i: int, broker: MemoryBroker) -> None:
            for n in range(4):
                head = await broker.chain.head(3)
                # The same bytes in each writer, as of processes that were given one name.
                payload = b"%d" % n
                try:
                    sequence = await broker.chain.append(
                        3, payload, expected=head.sequence if head else 0
                    )
                except FencedError:
                    continue
                succeeded.append((sequence, payload))

        await asyncio.gather(*(work(i, broker) for i, broker in enumerate(brokers)))
        stored = [(m.sequence, m.payload) async for m in brokers[0].chain.read(3)]
        assert len(set(succeeded)) == len(succeeded)
        assert set(succeeded) <= set(stored)
        if writers == 1:
            assert succeeded == stored

    asyncio.run(run())


def test_moved_on_names_subject_and_expectation() -> None:
    error = MovedOnError("engine.decisions.3", 7)
    assert isinstance(error, MessagingError)
    assert str(error) == "engine.decisions.3: not at sequence 7 any more"
