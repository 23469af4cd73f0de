"""Real worker processes, and the chain that they write read back by somebody else."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.domain.campaign import Campaign
from engine.domain.codec import encode_campaign
from engine.domain.ids import PARTITIONS
from engine.messaging.ports import Broker
from engine.messaging.records import Decide, Record, Release, Take, decode_record

__all__ = ["Auditor", "WorkerProcess", "publish", "worker_process"]


class WorkerProcess:
    """A worker as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    def kill(self) -> None:
        """End it without a farewell."""
        self._process.send_signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def says(self, words: str, *, within_s: float = 10.0) -> str:
        """Return the next line of stderr that holds `words`."""
        assert self._process.stderr is not None
        async with asyncio.timeout(within_s):
            while line := (await self._process.stderr.readline()).decode():
                if words in line:
                    return line
        raise AssertionError(f"the worker ended without saying {words!r}")

    async def ended(self, *, within_s: float) -> tuple[int, list[str]]:
        """Return the exit code and the lines of stderr, once it has ended."""
        async with asyncio.timeout(within_s):
            _, errors = await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode, errors.decode().splitlines()


@asynccontextmanager
async def worker_process(
    *arguments: str, environ: dict[str, str] | None = None
) -> AsyncIterator[WorkerProcess]:
    """Run `python -m engine.worker` beside the body."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("ENGINE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "engine.worker", *arguments),
        env=inherited | (environ or {}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    worker = WorkerProcess(process)
    try:
        yield worker
    finally:
        if not worker.has_ended:
            worker.kill()
            await process.communicate()


async def publish(broker: Broker, *campaigns: Campaign) -> None:
    """Write new campaigns into the table."""
    for one in campaigns:
        await broker.campaigns.put(one.definition.id, encode_campaign(one), expected=0)


class Auditor:
    """Follows every chain and checks it, as somebody who trusts nobody."""

    def __init__(self) -> None:
        self.chains: dict[int, list[Record]] = {number: [] for number in range(PARTITIONS)}
        self.faults: list[str] = []
        self._sequences: dict[int, int] = {}

    def deliver(self, partition: int, sequence: int, payload: bytes) -> None:
        """Check a record against the one before it, and keep it."""
        record = decode_record(str(partition), payload)
        chain = self.chains[partition]
        before = chain[-1] if chain else None
        if record.previous != self._sequences.get(partition, 0):
            self.faults.append(f"{partition}: {sequence} is not on top of its predecessor")
        if before is not None:
            self._compare(partition, before, record)
        self._sequences[partition] = sequence
        chain.append(record)

    def _compare(self, partition: int, before: Record, record: Record) -> None:
        wanted_epoch = before.epoch + isinstance(record, Take)
        wanted_round = before.round + isinstance(record, Decide)
        if record.epoch != wanted_epoch:
            self.faults.append(f"{partition}: epoch {record.epoch} after {before.epoch}")
        if record.round != wanted_round:
            self.faults.append(f"{partition}: round {record.round} after {before.round}")
        if not isinstance(record, Take) and record.owner != before.owner:
            self.faults.append(f"{partition}: {record.owner} wrote in the epoch of {before.owner}")
        if record.metrics_sequence < before.metrics_sequence:
            self.faults.append(f"{partition}: inputs went back at round {record.round}")

    def rounds(self, partition: int | None = None) -> list[Decide]:
        """Return the rounds seen, of one partition or all."""
        chains = self.chains.values() if partition is None else [self.chains[partition]]
        return [record for chain in chains for record in chain if isinstance(record, Decide)]

    def owners(self, partition: int) -> list[str]:
        """Return who has taken a partition, in order."""
        return [record.owner for record in self.chains[partition] if isinstance(record, Take)]

    def released(self) -> set[int]:
        """Return the partitions whose newest record is a Release."""
        return {p for p, chain in self.chains.items() if chain and isinstance(chain[-1], Release)}

    @asynccontextmanager
    async def following(self, broker: Broker) -> AsyncIterator["Auditor"]:
        """Follow the chains while the body runs."""
        async with broker.chain.follow(lambda m: self.deliver(m.partition, m.sequence, m.payload)):
            yield self
