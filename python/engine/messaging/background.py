"""A task that lives beside a block of code: ended with it, and ending it when it fails."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["beside"]


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator[None]:
    """Run `work` while the body runs.

    A TaskGroup of one, but what the body raises comes out bare rather than in a group: a caller
    who writes `except FencedError` around `async with chain.follow(…)` must be able to catch it.
    """
    raised: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work, name=name)
            try:
                yield
            except BaseException as error:  # raised again below, once `work` has ended
                raised = error
            finally:
                task.cancel()
    except BaseExceptionGroup as failures:
        if len(failures.exceptions) == 1:
            raise failures.exceptions[0] from raised
        raise
    if raised is not None:
        raise raised
