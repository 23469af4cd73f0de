"""An answer that is overdue, and a loop that is late itself."""

import asyncio
import time

import pytest

from engine.messaging import deadline
from engine.messaging.deadline import LATE_S, Deadline
from engine.messaging.link import Delivery, UnansweredError

ANSWER = Delivery("inbox", "", None, b"here")


async def test_an_answer_that_does_not_come_is_told_as_such() -> None:
    future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
    Deadline(future, "$JS.API.INFO", timeout_s=0.01)
    with pytest.raises(UnansweredError, match=r"\$JS\.API\.INFO: no answer within 0\.01 s"):
        await future


async def test_an_answer_that_came_while_the_loop_was_held_up_counts() -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Delivery] = loop.create_future()
    Deadline(future, "$JS.API.INFO", timeout_s=0.01)
    time.sleep(0.02 + 2 * LATE_S)  # noqa: ASYNC251 - what a core at work does to the loop
    # As an answer is read: some turns after the timer's.
    loop.call_soon(loop.call_soon, loop.call_soon, future.set_result, ANSWER)
    assert await future == ANSWER


async def test_a_loop_that_is_always_late_says_so_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadline, "LATE_S", -1.0)
    monkeypatch.setattr(deadline, "LOOK_AGAIN_S", 0.0)
    future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
    Deadline(future, "$JS.API.INFO", timeout_s=0.0)
    with pytest.raises(UnansweredError):
        await future


async def test_nothing_is_told_of_an_answer_that_came_in_time() -> None:
    future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
    waiting = Deadline(future, "$JS.API.INFO", timeout_s=0.0)
    future.set_result(ANSWER)
    turned = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, turned.set)
    await turned.wait()
    waiting.cancel()
    assert await future == ANSWER
