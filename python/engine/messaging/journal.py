"""The records of gateways, told in terms of two logs: changes are for months, reports for now."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.errors import BrokerError, ConflictError
from engine.messaging.commit import MovedOnError
from engine.messaging.logs import Log
from engine.messaging.ports import Deliver, Follower, Message
from engine.messaging.streams import MAX_RECORD

__all__ = ["LogJournal"]


class LogJournal:
    """A `Journal` in ENGINE_CHANGES and ENGINE_REPORTED."""

    def __init__(self, *, changes: Log, reported: Log) -> None:
        self._changes = changes
        self._reported = reported

    async def head(self, subject: str) -> Message | None:
        return await self._log(subject).get(subject)

    async def append(self, subject: str, payload: bytes, *, expected: int) -> int:
        if len(payload) > MAX_RECORD:
            raise BrokerError(f"{subject}: a record of {MAX_RECORD} bytes, found {len(payload)}")
        try:
            return await self._log(subject).commit(subject, payload, expected=expected)
        except MovedOnError as error:
            raise ConflictError(subject, expected) from error

    async def read(self, subject: str, *, after: int = 0) -> AsyncIterator[Message]:
        async for sequence, delivery in self._log(subject).scan([subject], after=after):
            yield Message(-1, sequence, delivery.payload)

    @asynccontextmanager
    async def follow(
        self, deliver: Deliver, *, subject: str, after: int | None = 0
    ) -> AsyncIterator[Follower]:
        async with self._log(subject).follow(deliver, filters=[subject], after=after) as follower:
            yield follower

    def _log(self, subject: str) -> Log:
        return self._reported if subject.startswith("engine.reported.") else self._changes
