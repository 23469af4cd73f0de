"""The journal of one ad account, written by its one owner: Take, Intend, Done, Release.

Each append names the record before it; when somebody else has taken the ad account it is refused
(ConflictError), and whoever was refused must not speak to the platform any more.
"""

from collections import deque
from typing import Any

import structlog

from engine.clock import Clock
from engine.errors import ConflictError, MalformedMessageError
from engine.messaging.changes import (
    Change,
    Done,
    Intend,
    JournalRecord,
    Release,
    Settled,
    Take,
    Verdict,
    decode_journal,
    encode_journal,
)
from engine.messaging.ports import Journal
from engine.messaging.subjects import changes_subject

__all__ = ["REMEMBERED_S", "Ledger", "Recalled"]

REMEMBERED_S = 25 * 3600.0
"""How far back a gateway reads that takes over: a day of quota, and the longest hold times."""
TAKE_ATTEMPTS = 5

_log = structlog.get_logger(__name__)


class Recalled:
    """What the journal tells of the time before a Take."""

    def __init__(self) -> None:
        self.open: tuple[int, Intend] | None = None  # nobody knows what became of it
        self.settled: list[tuple[Change, str, float]] = []  # change, result, when
        self.used: tuple[int, int] = (0, 0)  # the newest quota day, and what was used of it
        self.verdicts: set[str] = set()  # ids of changes judged


class Ledger:
    """The chain of one ad account. `take` first; it may be taken again after it was lost."""

    def __init__(
        self, *, platform: str, ad_account: str, journal: Journal, clock: Clock, owner: str
    ) -> None:
        self.subject = changes_subject(platform, ad_account)
        self.epoch = 0
        self._platform = platform
        self._ad_account = ad_account
        self._journal = journal
        self._clock = clock
        self._owner = owner
        self._head = 0
        self._count = 0  # of ids given in this epoch
        self._open = 0  # sequence of the Intend that has no Done
        self._newest: deque[tuple[float, int]] = deque()  # of the last REMEMBERED_S

    async def take(self, *, is_live: bool) -> Recalled:
        """Take the ad account, and return what there was.

        Raises:
            ConflictError: others take it at the same time.
            BrokerError: the broker stays away.
        """
        for attempt in range(TAKE_ATTEMPTS):
            head = await self._journal.head(self.subject)
            last = None if head is None else self._decode(head.payload)
            self._head = 0 if head is None else head.sequence
            self.epoch = 1 if last is None else last.epoch + 1
            self._open, self._count = 0, 0
            self._newest.clear()
            floor = 0 if last is None else last.floor
            recalled = await self._recall(max(floor - 1, 0))
            try:
                await self._append(Take(is_live=is_live, **self._common()))
            except ConflictError:
                if attempt + 1 == TAKE_ATTEMPTS:
                    raise
                continue
            return recalled
        raise ConflictError(self.subject, self._head)

    async def intend(
        self, changes: list[Change], *, is_dry_run: bool, day: float, used: int
    ) -> int:
        """Store what is about to be sent; return the record's sequence. Raises ConflictError."""
        self._open = await self._append(
            Intend(
                changes=changes, is_dry_run=is_dry_run, day=int(day), used=used, **self._common()
            )
        )
        return self._open

    async def done(self, intend: int, results: list[Settled], *, how: str = "answered") -> None:
        """Store what became of it. Raises ConflictError."""
        self._open = 0  # from here on nobody has to look into it
        await self._append(Done(intend=intend, results=results, how=how, **self._common()))

    async def judge(self, change: str, **fields: Any) -> None:  # noqa: ANN401 - of a Verdict
        """Store whether a change has helped. Raises ConflictError."""
        await self._append(Verdict(change=change, **fields, **self._common()))

    async def release(self) -> None:
        """Let the ad account go. Raises ConflictError."""
        await self._append(Release(**self._common()))

    async def is_ours(self) -> bool:
        """Return whether nobody else has taken the ad account."""
        head = await self._journal.head(self.subject)
        return head is not None and head.sequence <= self._head

    def new_id(self) -> str:
        """Return an id for a change that is like no other of the ad account."""
        self._count += 1
        return f"{self._platform}-{self._ad_account}-{self.epoch}-{self._count}"

    async def _recall(self, after: int) -> Recalled:
        found = Recalled()
        intends: dict[int, Intend] = {}
        async for message in self._journal.read(self.subject, after=after):
            record = self._decode(message.payload)
            if record is None:
                continue
            at = record.at_ms / 1000
            self._newest.append((at, message.sequence))
            if isinstance(record, Intend):
                intends[message.sequence] = record
                if record.day >= found.used[0]:
                    found.used = (record.day, record.used)
            elif isinstance(record, Done):
                intend = intends.pop(record.intend, None)
                by_id = {} if intend is None else {one.id: one for one in intend.changes}
                if intend is not None and intend.is_dry_run:
                    continue  # nothing was changed: there is nothing to hold, to start or to judge
                for result in record.results:
                    if result.id in by_id:
                        found.settled.append((by_id[result.id], result.result, at))
            elif isinstance(record, Verdict):
                found.verdicts.add(record.change)
        if intends:
            sequence = max(intends)
            found.open = (sequence, intends[sequence])
            self._open = sequence
        return found

    def _common(self) -> dict[str, Any]:
        now = self._clock.now()
        while self._newest and self._newest[0][0] < now - REMEMBERED_S:
            self._newest.popleft()
        floors = [one for one in (self._open, self._newest[0][1] if self._newest else 0) if one]
        return {
            "platform": self._platform,
            "ad_account": self._ad_account,
            "previous": self._head,
            "epoch": self.epoch,
            "owner": self._owner,
            "at_ms": round(now * 1000),
            "floor": min(floors, default=0),
        }

    async def _append(self, record: JournalRecord) -> int:
        self._head = await self._journal.append(
            self.subject, encode_journal(record), expected=self._head
        )
        self._newest.append((record.at_ms / 1000, self._head))
        return self._head

    def _decode(self, payload: bytes) -> JournalRecord | None:
        try:
            return decode_journal(self.subject, payload)
        except MalformedMessageError as error:
            _log.warning("journal_unreadable", reason=str(error))
            return None
