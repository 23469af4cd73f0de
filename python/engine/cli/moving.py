"""Many small changes at the broker at once, as many as it takes well."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

__all__ = ["IN_FLIGHT", "move_all"]

IN_FLIGHT = 32

_ItemT = TypeVar("_ItemT")
_ResultT = TypeVar("_ResultT")


async def move_all(
    items: Sequence[_ItemT],
    change: Callable[[_ItemT], Awaitable[_ResultT]],
    done: Callable[[_ResultT], None],
) -> None:
    """Change items, up to 32 at a time; `done` takes what became of each.

    Raises the first error that `change` does, having let nobody begin another.
    """
    todo = iter(items)

    async def work() -> None:
        for item in todo:
            done(await change(item))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(IN_FLIGHT, len(items))):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
