"""The window of unacknowledged publishes, against a link told what to do."""

import asyncio
from collections.abc import Callable, Mapping
from typing import cast

import pytest

from engine.clock import SystemClock
from engine.errors import BrokerError
from engine.messaging import window as module
from engine.messaging.background import beside
from engine.messaging.link import Delivery, Link, OnDelivery, UnansweredError
from engine.messaging.window import PublishWindow

STORED = b'{"stream":"ENGINE_METRICS","seq":1}'
BUSY = b'{"error":{"code":429,"err_code":10167,"description":"too many requests"}}'
FULL = b'{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum"}}'


class LinkStub:
    """Answers each send with the next of `answers` (None: not at all; then STORED)."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []
        self.is_connected = True
        self.connection = 1
        self.waiting: dict[str, OnDelivery] = {}
        self.changed: Callable[[], None] = lambda: None

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        self.changed = call
        return lambda: None

    def expect(self, heard: OnDelivery) -> str:
        reply = f"inbox.{len(self.waiting)}.{len(self.sent)}"
        self.waiting[reply] = heard
        return reply

    def forget(self, reply: str) -> None:
        del self.waiting[reply]

    async def send(
        self, subject: str, payload: bytes, *, reply: str, headers: Mapping[str, str]
    ) -> None:
        if not self.is_connected:
            raise UnansweredError("away")
        self.sent.append(payload)
        answer = self.answers.pop(0) if self.answers else STORED
        if answer is not None:
            self.waiting[reply](Delivery(reply, "", None, answer))


def window_over(link: LinkStub, size: int = 4) -> PublishWindow:
    return PublishWindow(link=cast("Link", link), clock=SystemClock(), size=size)


async def test_what_is_answered_is_forgotten() -> None:
    link = LinkStub()
    window = window_over(link)
    for n in range(20):
        await window.publish("s", b"%d" % n, {})
    await asyncio.wait_for(window.flush(), 1)
    assert window.on_the_way == 0
    assert link.waiting == {}


async def test_what_was_refused_for_a_while_is_sent_again() -> None:
    link = LinkStub(BUSY, None)
    window = window_over(link)
    async with beside(window.run(), name="window"):
        await window.publish("s", b"one", {})
        await asyncio.wait_for(_sent(link, 2), 5)
    assert link.sent == [b"one", b"one"]


async def test_what_was_not_answered_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.05)
    link = LinkStub(None)
    window = window_over(link)
    async with beside(window.run(), name="window"):
        await window.publish("s", b"one", {})
        await asyncio.wait_for(window.flush(), 5)
    assert link.sent == [b"one", b"one"]


async def test_after_a_reconnect_everything_is_sent_again_in_order() -> None:
    link = LinkStub(None, None)
    window = window_over(link)
    async with beside(window.run(), name="window"):
        await window.publish("s", b"one", {})
        await window.publish("s", b"two", {})
        link.is_connected = False
        await window.publish("s", b"three", {})
        link.is_connected, link.connection = True, 2
        link.changed()
        await asyncio.wait_for(window.flush(), 5)
    assert link.sent == [b"one", b"two", b"one", b"two", b"three"]


async def test_what_was_just_acknowledged_is_sent_again_after_a_reconnect() -> None:
    """A server that was killed may have acknowledged it before it was written."""
    link = LinkStub()
    window = window_over(link, size=2)
    async with beside(window.run(), name="window"):
        for n in range(5):
            await window.publish("s", b"%d" % n, {})
        link.connection = 2
        link.changed()
        await asyncio.wait_for(window.flush(), 5)
        assert link.sent == [b"0", b"1", b"2", b"3", b"4"] * 2
        link.answers = [None, None]
        await window.publish("s", b"5", {})
        await window.publish("s", b"6", {})
        with pytest.raises(TimeoutError):  # the window has not grown by what was sent again
            await asyncio.wait_for(window.publish("s", b"7", {}), 0.02)


async def test_what_was_acknowledged_is_kept_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 25)
    link = LinkStub()
    window = window_over(link)
    async with beside(window.run(), name="window"):
        for n in range(8):
            await window.publish("s", b"%010d" % n, {})
        link.connection = 2
        link.changed()
        await asyncio.wait_for(window.flush(), 5)
    assert [int(payload) for payload in link.sent[8:]] == [6, 7]


async def test_a_publish_into_an_idle_window_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.05)
    link = LinkStub()
    window = window_over(link)
    async with beside(window.run(), name="window"):
        await window.publish("s", b"one", {})
        await window.flush()
        for _ in range(5):
            await asyncio.sleep(0)  # so that `run` waits without a limit
        link.answers = [None]
        await window.publish("s", b"two", {})
        await asyncio.wait_for(window.flush(), 5)
    assert link.sent == [b"one", b"two", b"two"]


async def test_a_refusal_for_good_is_raised_once_and_frees_its_room() -> None:
    link = LinkStub(FULL)
    window = window_over(link, size=1)
    with pytest.raises(BrokerError, match="message size exceeds maximum"):
        await window.publish("s", b"too large", {})
    await asyncio.wait_for(window.publish("s", b"fits", {}), 1)
    await asyncio.wait_for(window.flush(), 1)


async def test_a_publish_cancelled_for_want_of_room_leaves_the_window_whole() -> None:
    link = LinkStub(None, None)
    window = window_over(link, size=2)
    await window.publish("s", b"one", {})
    await window.publish("s", b"two", {})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(window.publish("s", b"three", {}), 0.02)
    assert window.on_the_way == 2
    for heard in list(link.waiting.values()):
        heard(Delivery("r", "", None, STORED))
    await asyncio.wait_for(window.publish("s", b"four", {}), 1)


async def _sent(link: LinkStub, count: int) -> None:
    while len(link.sent) < count:
        await asyncio.sleep(0.005)
