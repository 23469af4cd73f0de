"""Snapshots of books, of any size: chunks first, then a manifest that names them.

A reader sees a snapshot only by its manifest, so it sees whole ones only; the checksum tells
when a chunk has meanwhile been replaced. Small snapshots travel inside their manifest.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec
import structlog

from engine.messaging import subjects
from engine.messaging.link import Delivery
from engine.messaging.ports import Message
from engine.messaging.streams import MAX_CHUNK

__all__ = ["LogSnapshots", "SnapshotLog"]

CHUNKS_AT_ONCE = 16
"""How many chunks are on their way to a connection, over all partitions that are being read.

What a client has not read yet waits in the server, 64 MB at most: then it ends the connection.
"""

_log = structlog.get_logger(__name__)


class SnapshotLog(Protocol):
    """What snapshots need of a log."""

    async def publish(self, subject: str, payload: bytes) -> int:
        """Store and return the sequence."""
        ...

    async def get(self, subject: str) -> Message | None:
        """Return the newest message of a subject, or one a moment older."""
        ...

    async def get_sequence(self, sequence: int) -> Message | None:
        """Return the message at a sequence."""
        ...

    def scan(self, filters: Sequence[str]) -> AsyncIterator[tuple[int, Delivery]]:
        """Iterate what is stored, oldest first."""
        ...


class _Manifest(msgspec.Struct, frozen=True):
    size: int
    digest: bytes
    chunks: list[int] = []  # sequences
    inline: bytes = b""
    v: int = 1


_decoder = msgspec.msgpack.Decoder(_Manifest)


class LogSnapshots:
    """Snapshots on `engine.state.<p>`, chunks on `engine.state.<p>.<i>`.

    The stream keeps the newest three messages of each subject. Chunk i of a snapshot has a subject
    of its own, so the chunks of the newest three snapshots stay as long as their manifests.
    """

    def __init__(self, *, log: SnapshotLog) -> None:
        self._log = log
        self._reading = asyncio.Semaphore(CHUNKS_AT_ONCE)

    async def put(self, partition: int, payload: bytes) -> None:
        """Store a snapshot. Raises BrokerError where the broker stays away."""
        digest = _digest(payload)
        if len(payload) <= MAX_CHUNK:
            manifest = _Manifest(size=len(payload), digest=digest, inline=payload)
        else:
            chunks = [
                await self._log.publish(
                    subjects.state_subject(f"{partition}.{at // MAX_CHUNK}"),
                    payload[at : at + MAX_CHUNK],
                )
                for at in range(0, len(payload), MAX_CHUNK)
            ]
            manifest = _Manifest(size=len(payload), digest=digest, chunks=chunks)
        await self._log.publish(subjects.state_subject(partition), msgspec.msgpack.encode(manifest))

    async def newest(self, partition: int) -> bytes | None:
        """Return the newest whole snapshot. Raises BrokerError where the broker stays away."""
        last = await self._log.get(subjects.state_subject(partition))
        if last is None:
            return None
        payload = await self._whole(last.payload)
        if payload is not None:
            return payload
        found = [delivery.payload async for _, delivery in self._manifests(partition)]
        for encoded in reversed(found):  # the newest few: of any of them chunks may be missing
            payload = await self._whole(encoded)
            if payload is not None:
                return payload
            _log.warning("snapshot_not_whole", partition=partition)
        return None

    def _manifests(self, partition: int) -> AsyncIterator[tuple[int, Delivery]]:
        return self._log.scan([subjects.state_subject(partition)])

    async def _whole(self, encoded: bytes) -> bytes | None:
        try:
            manifest = _decoder.decode(encoded)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        chunks = await asyncio.gather(*map(self._chunk, manifest.chunks))
        payload = manifest.inline + b"".join(chunk.payload for chunk in chunks if chunk is not None)
        is_whole = len(payload) == manifest.size and _digest(payload) == manifest.digest
        return payload if is_whole else None

    async def _chunk(self, sequence: int) -> Message | None:
        async with self._reading:
            return await self._log.get_sequence(sequence)


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()
