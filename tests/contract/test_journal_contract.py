"""What every broker promises of the journal that gateways write."""

import asyncio

import pytest

from engine.errors import BrokerError, ConflictError
from engine.messaging.changes import Breaker, decode_breaker, encode_journal
from engine.messaging.ports import Broker, Message
from engine.messaging.streams import MAX_RECORD
from engine.messaging.subjects import breaker_subject, changes_subject, reported_subject
from support.broker import Backend
from support.waiting import wait_until

GOOGLE, META = changes_subject("google", "1234567890"), changes_subject("meta", "act_7")


async def test_a_journal_that_has_not_begun_has_no_head(broker: Broker) -> None:
    assert await broker.journal.head(GOOGLE) is None


async def test_records_are_appended_on_top_of_each_other_by_one_writer(backend: Backend) -> None:
    async with backend.client("a") as a, backend.client("b") as b:
        first = await a.journal.append(GOOGLE, b"take", expected=0)
        other = await b.journal.append(META, b"take", expected=0)
        with pytest.raises(ConflictError):
            await b.journal.append(GOOGLE, b"mine", expected=0)
        second = await b.journal.append(GOOGLE, b"take too", expected=first)
        with pytest.raises(ConflictError):
            await a.journal.append(GOOGLE, b"intend", expected=first)
        head = await a.journal.head(GOOGLE)
        assert head == Message(-1, second, b"take too")
        assert first < other < second or first < second


async def test_a_journal_is_read_by_ad_account_by_platform_or_whole(broker: Broker) -> None:
    one = await broker.journal.append(GOOGLE, b"1", expected=0)
    await broker.journal.append(META, b"2", expected=0)
    await broker.journal.append(GOOGLE, b"3", expected=one)
    subject = changes_subject("*", "*")
    assert [m.payload async for m in broker.journal.read(subject)] == [b"1", b"2", b"3"]
    assert [m.payload async for m in broker.journal.read(GOOGLE, after=one)] == [b"3"]
    assert [m.payload async for m in broker.journal.read(changes_subject("meta", "*"))] == [b"2"]


async def test_what_was_reported_is_kept_apart_and_the_newest_is_read(broker: Broker) -> None:
    subject = reported_subject("google", "1234567890")
    sequence = 0
    for n in range(6):
        sequence = await broker.journal.append(subject, bytes([n]), expected=sequence)
    head = await broker.journal.head(subject)
    assert head is not None
    assert head.payload == bytes([5])
    assert await broker.journal.head(GOOGLE) is None
    with pytest.raises(ConflictError):
        await broker.journal.append(subject, b"", expected=sequence - 1)


async def test_breakers_are_heard_by_all_gateways_as_they_change(backend: Backend) -> None:
    async with backend.client("a") as a, backend.client("b") as b:
        heard: list[Breaker] = []

        def deliver(message: Message) -> None:
            heard.append(decode_breaker("", message.payload))

        for platform, ad_account in (("google", ""), ("meta", "act_7")):
            record = Breaker(platform=platform, ad_account=ad_account, state="open")
            subject = breaker_subject(platform, ad_account)
            await a.journal.append(subject, encode_journal(record), expected=0)
        async with b.journal.follow(deliver, subject="engine.breaker.>") as follower:
            await follower.caught_up()
            await wait_until(lambda: len(heard) == 2)
            probe = Breaker(platform="google", state="half-open", owner="a")
            subject = breaker_subject("google")
            head = await a.journal.head(subject)
            assert head is not None
            await a.journal.append(subject, encode_journal(probe), expected=head.sequence)
            await wait_until(lambda: len(heard) == 3)
        assert [(one.platform, one.ad_account, one.state) for one in heard] == [
            ("google", "", "open"),
            ("meta", "act_7", "open"),
            ("google", "", "half-open"),
        ]


async def test_an_append_waits_for_a_broker_that_is_away_and_is_stored_once(
    backend: Backend,
) -> None:
    async with backend.client() as broker:
        await backend.down()
        task = asyncio.create_task(broker.journal.append(GOOGLE, b"take", expected=0))
        await wait_until(lambda: not broker.is_connected)
        await backend.up()
        sequence = await task
        found = [m.sequence async for m in broker.journal.read(GOOGLE)]
        assert found == [sequence]


async def test_a_record_that_no_message_can_hold_is_refused_at_once(broker: Broker) -> None:
    with pytest.raises(BrokerError, match="a record of"):
        await broker.journal.append(GOOGLE, bytes(MAX_RECORD + 1), expected=0)
