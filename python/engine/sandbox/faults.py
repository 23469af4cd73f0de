"""Troubles that a sandbox makes when it is told to: what platforms do on bad days.

A fault is planned for the next so many calls of a kind, and used up by them. Which answer a
platform gives in that case is its server's business.
"""

import asyncio
from collections.abc import Callable
from enum import Enum

import msgspec

from engine.clock import Clock

__all__ = ["Call", "Fault", "Faults", "Trouble"]


class Call(Enum):
    """What a call is about."""

    REPORT = "report"
    INSPECT = "inspect"
    APPLY = "apply"
    ACCOUNTS = "accounts"


class Trouble(Enum):
    """What goes wrong."""

    UNAVAILABLE = "unavailable"  # refused before anything was done
    LOST_ANSWER = "lost-answer"  # done, and then nobody said so
    BROKEN_OFF = "broken-off"  # half of an answer, then an end
    SILENT = "silent"  # taken, and never answered, nor done
    THROTTLED = "throttled"  # too many calls: `retry_after_s`
    QUOTA = "quota"  # a day's quota is used up: `retry_after_s`
    DENIED = "denied"  # the credentials do not reach it
    EXPIRED = "expired"  # the credentials are no longer good
    CONFLICT = "conflict"  # somebody else changes the same now
    GARBLED = "garbled"  # an answer that cannot be read
    SLOW = "slow"  # answered well, after `seconds`


_AFTER_THE_WORK = {Trouble.LOST_ANSWER, Trouble.BROKEN_OFF, Trouble.GARBLED}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One trouble of one call."""

    trouble: Trouble
    retry_after_s: float | None = None
    seconds: float = 0.0


class Faults:
    """The control: tests and demos plan troubles here, servers take them."""

    def __init__(self) -> None:
        self._planned: dict[Call, list[Fault]] = {call: [] for call in Call}
        self._for_ever = asyncio.Event()
        self.taken: list[tuple[Call, Trouble]] = []

    def plan(
        self,
        call: Call,
        trouble: Trouble,
        *,
        times: int = 1,
        after: int = 0,
        retry_after_s: float | None = None,
        seconds: float = 0.0,
    ) -> None:
        """Make the next `times` calls of a kind go wrong, once `after` more went well."""
        fault = Fault(trouble=trouble, retry_after_s=retry_after_s, seconds=seconds)
        well = Fault(trouble=Trouble.SLOW)
        self._planned[call] += [well] * after + [fault] * times

    def clear(self) -> None:
        """Forget what was planned; silent calls stay silent."""
        for faults in self._planned.values():
            faults.clear()

    def take(self, call: Call) -> Fault | None:
        """Return what goes wrong with a call that has just come in."""
        planned = self._planned[call]
        if not planned:
            return None
        fault = planned.pop(0)
        if fault.trouble is Trouble.SLOW and fault.seconds == 0.0:
            return None
        self.taken.append((call, fault.trouble))
        return fault

    async def meet(
        self, call: Call, *, clock: Clock, refused: Callable[[Fault], Exception]
    ) -> Fault | None:
        """Make the trouble of a call that came in, or return what is to be made after the work.

        Raises what `refused` returns for one that keeps the work from being done.
        """
        fault = self.take(call)
        if fault is None:
            return None
        if fault.trouble is Trouble.SLOW:
            await clock.sleep(fault.seconds)
        elif fault.trouble is Trouble.SILENT:
            await self._for_ever.wait()
        elif fault.trouble not in _AFTER_THE_WORK:
            raise refused(fault)
        return fault
