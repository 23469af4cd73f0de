"""What follows a commit and must not keep the next round waiting: snapshots, changes of state."""

import asyncio
from collections import deque
from collections.abc import Iterable

import structlog

from engine.clock import Clock
from engine.errors import BrokerError, ConflictError
from engine.messaging.ports import CampaignTable, Snapshots
from engine.worker.lifecycle import Change, Lifecycle, changed

__all__ = ["Chores"]

_log = structlog.get_logger(__name__)

AGAIN_S = 1.0


class Chores:
    """One coroutine beside the rounds of a partition.

    Snapshots are a cache and changes of state are found again: what is not done may be dropped.
    """

    def __init__(
        self,
        partition: int,
        *,
        snapshots: Snapshots,
        campaigns: CampaignTable,
        clock: Clock,
        worker: str,
        lifecycle: Lifecycle,
    ) -> None:
        self._partition = partition
        self._snapshots = snapshots
        self._campaigns = campaigns
        self._clock = clock
        self._worker = worker
        self._lifecycle = lifecycle
        self._snapshot: bytes | None = None
        self._changes: deque[Change] = deque()
        self._wake = asyncio.Event()

    def keep(self, snapshot: bytes) -> None:
        """Store a snapshot; one that waits is replaced."""
        self._snapshot = snapshot
        self._wake.set()

    def change(self, changes: Iterable[Change]) -> None:
        """Write changes of state to the campaign table."""
        self._changes.extend(changes)
        if self._changes:
            self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._changes:
                await self._write(self._changes.popleft())
            if self._snapshot is not None:
                snapshot, self._snapshot = self._snapshot, None
                await self.store(snapshot)

    async def store(self, snapshot: bytes) -> None:
        """Store a snapshot now; where that fails, say so and go on without it."""
        try:
            await self._snapshots.put(self._partition, snapshot)
        except BrokerError as error:
            _log.warning("snapshot_not_stored", partition=self._partition, reason=str(error))

    async def _write(self, change: Change) -> None:
        name = change.entry.campaign.definition.id
        now = self._clock.now()
        try:
            await self._campaigns.put(
                name, changed(change, at=now, by=self._worker), expected=change.entry.revision
            )
        except ConflictError:
            return  # the newer entry is on its way here, and is looked at when it is in force
        except BrokerError as error:
            _log.warning("state_not_changed", campaign=name, reason=str(error))
            self._lifecycle.again(change, at=now + AGAIN_S)
            return
        _log.info("campaign_changed", campaign=name, state=change.state.value, note=change.note)
