"""Group commit: what is written while a write is on its way goes together with the next.

Each message is synced to the disk before it is acknowledged, one by one 1,100 a second here; an
atomic batch of 256 is synced as one. Each message keeps its own expectation. Should one of them not
hold, the server takes none, and each is written by itself: only that one is then refused.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from engine.errors import BrokerError, MessagingError
from engine.messaging.commit import MovedOnError

__all__ = ["GroupCommit", "GroupLog"]

MOST = 256  # messages in a batch; the server takes 1,000
MOST_BYTES = 4 * 2**20


class GroupLog(Protocol):
    """What is needed of a log."""

    async def commit(self, subject: str, payload: bytes, *, expected: int) -> int:
        """Store over sequence `expected`, however long the broker is away. Raises MovedOnError."""
        ...

    async def store_many(self, entries: Sequence[tuple[str, bytes, int]]) -> int:
        """Store (subject, payload, expected), all or none; return the last's sequence.

        Raises MovedOnError, BrokerError.
        """
        ...


class _Write(NamedTuple):
    subject: str
    payload: bytes
    expected: int
    stored: asyncio.Future[int]


class GroupCommit:
    """Writes to one log, together where several wait."""

    def __init__(self, *, log: GroupLog) -> None:
        self._log = log
        self._turn = asyncio.Lock()
        self._waiting: list[_Write] = []

    async def commit(self, subject: str, payload: bytes, *, expected: int) -> int:
        """Store over sequence `expected` of a subject; see `commit.commit`."""
        stored: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        write = _Write(subject, payload, expected, stored)
        self._waiting.append(write)
        try:
            async with self._turn:
                if not stored.done():  # otherwise somebody before took it along
                    await _a_turn()  # for those who are about to write as well
                    await self._store(self._next())
        except BaseException:
            if write in self._waiting:
                self._waiting.remove(write)
            raise
        return await stored

    def _next(self) -> list[_Write]:
        """Take the oldest writes, one a subject, as many as a batch may have."""
        taken: dict[str, _Write] = {}
        size = 0
        for write in self._waiting:
            size += len(write.payload)
            if taken and (len(taken) == MOST or size > MOST_BYTES):
                break
            taken.setdefault(write.subject, write)
        self._waiting = [one for one in self._waiting if taken.get(one.subject) is not one]
        return list(taken.values())

    async def _store(self, writes: list[_Write]) -> None:
        try:
            if len(writes) > 1 and await self._store_together(writes):
                return
            await asyncio.gather(*map(self._store_alone, writes))
        except BaseException:
            # Whoever had the turn is cancelled: the others go on. What of theirs is stored already
            # is found to be theirs.
            self._waiting[:0] = [write for write in writes if not write.stored.done()]
            raise

    async def _store_together(self, writes: list[_Write]) -> bool:
        try:
            last = await self._log.store_many(
                [(one.subject, one.payload, one.expected) for one in writes]
            )
        except (MovedOnError, BrokerError):
            return False
        for sequence, write in enumerate(writes, last - len(writes) + 1):
            if not write.stored.done():
                write.stored.set_result(sequence)
        return True

    async def _store_alone(self, write: _Write) -> None:
        try:
            sequence = await self._log.commit(write.subject, write.payload, expected=write.expected)
        except MessagingError as error:
            if not write.stored.done():
                write.stored.set_exception(error)
        else:
            if not write.stored.done():
                write.stored.set_result(sequence)


async def _a_turn() -> None:
    """Let the loop turn once: no time need pass."""
    turned = asyncio.Event()
    asyncio.get_running_loop().call_soon(turned.set)
    await turned.wait()
