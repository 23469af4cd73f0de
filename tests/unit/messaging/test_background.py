"""A task beside a block of code."""

import asyncio

import pytest

from engine.messaging.background import beside


async def for_ever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    await asyncio.sleep(0)
    raise LookupError("the work failed")


async def test_the_work_ends_with_the_body() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await for_ever()
        finally:
            ended.set()

    async with beside(work(), name="work"):
        await asyncio.sleep(0)
        assert not ended.is_set()
    assert ended.is_set()


async def test_what_the_body_raises_comes_out_bare() -> None:
    with pytest.raises(KeyError):
        async with beside(for_ever(), name="work"):
            raise KeyError("the body")


async def test_failing_work_ends_the_body_and_comes_out_bare() -> None:
    with pytest.raises(LookupError, match="the work failed"):
        async with beside(fail(), name="work"):
            await for_ever()


async def test_cancelling_the_body_stays_a_cancellation() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), beside(for_ever(), name="work"):
            await for_ever()


async def test_blocks_may_be_nested() -> None:
    with pytest.raises(LookupError):
        async with beside(for_ever(), name="outer"), beside(fail(), name="inner"):
            await for_ever()
