"""Waiting for something to become true, with a deadline: what tests do instead of sleeping."""

import asyncio
import time
from collections.abc import Callable

__all__ = ["wait_until"]


async def wait_until(
    claim: Callable[[], object], *, within_s: float = 5.0, what: str = "the claim"
) -> None:
    """Return once `claim()` is true; fail the test when it is not `within_s` seconds from now."""
    deadline = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {within_s} s")
        await asyncio.sleep(0.005)
