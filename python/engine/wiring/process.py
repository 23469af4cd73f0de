"""A service as a process: signals, the exit code, and one line where it could not go on.

0: it worked until it was asked to stop. 1: it could not go on. 2: the settings make no sense.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol

from engine.errors import ConfigError, EngineError
from engine.messaging.credentials import masked

__all__ = ["Service", "run_service", "stopped_by_signals"]


class Service(Protocol):
    """Something that works until it is stopped."""

    async def run(self) -> None:
        """Work until stopped, then finish what is in hand and return."""
        ...

    def stop(self) -> None:
        """Ask for the end, without waiting for it; asked again, be quicker about it."""
        ...


def run_service(start: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> int:
    """Run a service's coroutine on a loop of its own; return the process's exit code.

    What goes wrong on purpose (EngineError) is said in one line on stderr, without a traceback.
    """
    signal.signal(signal.SIGTERM, _leave)  # until the service takes signals itself
    try:
        asyncio.run(start())
    except EngineError as error:
        return _said(name, error)
    except BaseExceptionGroup as group:
        meant, unforeseen = group.split(EngineError)
        if meant is None or unforeseen is not None:
            raise
        return _said(name, _first(meant))
    except KeyboardInterrupt:  # before the service could take signals itself
        return 0
    return 0


@asynccontextmanager
async def stopped_by_signals(service: Service) -> AsyncIterator[None]:
    """Let SIGTERM and SIGINT stop the service while the context lasts."""
    loop = asyncio.get_running_loop()
    caught = (signal.SIGTERM, signal.SIGINT)
    for number in caught:
        loop.add_signal_handler(number, service.stop)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)
        signal.signal(signal.SIGTERM, _leave)  # asked again while it says goodbye


def _leave(_number: int, _frame: object) -> None:
    sys.exit(0)


def _said(name: str, error: BaseException) -> int:
    print(f"{name}: {masked(str(error))}", file=sys.stderr)  # noqa: T201 - a person started it, and reads this
    return 2 if isinstance(error, ConfigError) else 1


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
