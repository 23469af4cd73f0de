"""What the services need of a broker, as a few small protocols.

Two adapters hold to them and to one contract suite (tests/contract): `messaging.nats` over
JetStream, `messaging.memory` for tests. Positions are stream sequences: rising integers, the
first at least 1, with holes where other partitions wrote; 0 means "before everything".
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

__all__ = [
    "Broker",
    "CampaignTable",
    "Chain",
    "DeadLetter",
    "DeadLetters",
    "Deliver",
    "Follower",
    "Frames",
    "Heartbeats",
    "Journal",
    "Message",
    "Snapshots",
    "StreamSize",
]


class Message(NamedTuple):
    """One stored message of a partition."""

    partition: int
    sequence: int
    payload: bytes
    trace: str = ""  # the header of the span it was stored in; "" where nothing is traced


Deliver = Callable[[Message], None]
"""Called in order, once for each message, on the event loop; must not block or raise."""


class Follower(Protocol):
    """A reader that keeps up with a log until its context ends."""

    @property
    def position(self) -> int:
        """Return the sequence of the newest message delivered (or where it began)."""
        ...

    @property
    def lag(self) -> int | None:
        """Return how many stored messages are still to come; None where not yet known."""
        ...

    def go_on(self) -> None:
        """Ask again whether more is wanted."""
        ...

    async def caught_up(self, *, up_to: int | None = None) -> None:
        """Return once everything stored before this call has been delivered.

        `up_to`: nothing behind that sequence need be, which may save asking the broker.

        Raises:
            BrokerError: the log is not there, or reading it is not allowed.
        """
        ...


class Chain(Protocol):
    """The decisions of each partition: one chain of records, appended by compare-and-swap."""

    @property
    def largest(self) -> int:
        """Return the most bytes that a record may have: as much as the broker takes."""
        ...

    async def head(self, partition: int) -> Message | None:
        """Return the newest record; None for a chain that has not begun."""
        ...

    async def append(self, partition: int, payload: bytes, *, expected: int) -> int:
        """Append on top of the record at sequence `expected` (0: begin) and return its sequence.

        An unknown outcome is retried, with the same bytes and the same expectation, until it is
        known: the answer is a sequence or FencedError, however long the broker is away.

        Raises:
            FencedError: the chain has moved on: somebody else owns the partition.
            BrokerError: the record is larger than a message may be, or refused for good.
        """
        ...

    def read(
        self, partition: int, *, after: int = 0, until: int | None = None
    ) -> AsyncIterator[Message]:
        """Iterate the records after a sequence, up to `until` (None: the head at this time)."""
        ...

    def follow(
        self, deliver: Deliver, *, partitions: Sequence[int] | None = None, after: int | None = 0
    ) -> AbstractAsyncContextManager[Follower]:
        """Deliver records of some partitions (None: all) as they come; after=None: only new."""
        ...


class Frames(Protocol):
    """Metric frames: many rows of samples a message, one partition a frame."""

    async def publish(self, partition: int, frame: bytes, *, message_id: str) -> None:
        """Hand over a frame; returns when it may be forgotten or the window has room.

        A bounded number is in flight; each is retried until the broker has stored it, and a
        message with the same id is stored once (within two minutes).
        """
        ...

    async def flush(self) -> None:
        """Return once everything published has been stored."""
        ...

    def follow(
        self,
        deliver: Deliver,
        *,
        partitions: Sequence[int] | None = None,
        after: int | None = 0,
        opened: bool = True,
        wants_more: Callable[[], bool] = lambda: True,
    ) -> AbstractAsyncContextManager[Follower]:
        """Deliver frames of some partitions (None: all) as they come; after=None: only new ones.

        Not `opened`: returns before it reads; `caught_up` then tells of what keeps it from that.

        While `wants_more` says no, the broker is asked for nothing: some hundred frames that are
        on their way still come, the rest stays there. `Follower.go_on` lets it be asked again.
        Followers of single partitions read together, so one that wants no more holds up all.

        After a crash of the broker a frame may come a second time, at another sequence, and the
        position may step back: look at the frame's own producer and sequence.
        """
        ...


class CampaignTable(Protocol):
    """Definitions and lifecycle by campaign id; a message's sequence is the entry's revision."""

    async def get(self, campaign: str) -> Message | None:
        """Return the newest entry of a campaign."""
        ...

    async def put(self, campaign: str, payload: bytes, *, expected: int) -> int:
        """Write an entry over revision `expected` (0: create) and return the new revision.

        Raises:
            ConflictError: the entry has another revision.
        """
        ...

    async def get_control(self, partition: int, name: str) -> Message | None:
        """Return the newest entry of a partition that is no campaign: a share, the kill switch."""
        ...

    async def put_control(self, partition: int, name: str, payload: bytes, *, expected: int) -> int:
        """Write such an entry over revision `expected` (0: create) and return the new revision.

        Raises:
            ConflictError: the entry has another revision.
        """
        ...

    def all(self, *, partitions: Sequence[int] | None = None) -> AsyncIterator[Message]:
        """Iterate the newest entry of every campaign."""
        ...

    def history(self, campaign: str) -> AsyncIterator[Message]:
        """Iterate the entries of a campaign that are kept (the newest eight), oldest first."""
        ...

    def follow(
        self,
        deliver: Deliver,
        *,
        partitions: Sequence[int] | None = None,
        after: int | None = 0,
        with_history: bool = False,
        controls: bool = False,
        opened: bool = True,
    ) -> AbstractAsyncContextManager[Follower]:
        """Deliver entries as they are written; from 0, at least the newest of every campaign.

        `with_history`: from 0, the older entries that are still kept as well (the newest eight).
        `controls`: shares of accounts and the kill switch too, in the order all were written.
        Not `opened`: as for frames.
        """
        ...


class Snapshots(Protocol):
    """Snapshots of books: a cache. Absent or wrong means a longer replay."""

    async def put(self, partition: int, payload: bytes) -> None:
        """Keep a snapshot, whatever its size; the newest few stay."""
        ...

    async def newest(self, partition: int) -> bytes | None:
        """Return the newest whole snapshot."""
        ...


class DeadLetter(NamedTuple):
    """What could not be read, and why."""

    sequence: int
    origin: str
    reason: str
    payload: bytes
    at: float = 0.0  # when it was stored, epoch seconds


class DeadLetters(Protocol):
    """Where unreadable messages go. Never blocks a round, never raises."""

    def bury(self, origin: str, reason: str, payload: bytes) -> None:
        """Hand over a payload that could not be read, with where it came from and why."""
        ...

    def all(self) -> AsyncIterator[DeadLetter]:
        """Iterate what is kept, oldest first."""
        ...

    async def remove(self, sequence: int) -> None:
        """Forget a letter, for good; one that is not there is forgotten already.

        Raises:
            BrokerError: the broker stays away, or refuses.
        """
        ...


class Heartbeats(Protocol):
    """Signs of life, of workers or of gateways: not stored, may be lost."""

    @property
    def connection(self) -> str:
        """Return what `lost` would call the connection of these heartbeats; "" for no name."""
        ...

    async def beat(self, worker: str, payload: bytes) -> None:
        """Say that `worker` is alive."""
        ...

    def listen(
        self,
        deliver: Callable[[str, bytes], None],
        *,
        lost: Callable[[str], None] | None = None,
    ) -> AbstractAsyncContextManager[None]:
        """Deliver (worker, payload) of every heartbeat heard.

        `lost` is told of connections whose other end is gone, where the broker tells of it.
        """
        ...


class StreamSize(NamedTuple):
    """How much a stream holds."""

    name: str
    messages: int
    bytes: int
    first_sequence: int
    last_sequence: int
    max_bytes: int | None  # None: no limit of its own
    max_age_s: float | None


class Journal(Protocol):
    """What gateways write: chains of records by subject, each appended by compare-and-swap.

    Subjects are those of `subjects`: changes and breakers, orders, and how far reports went.
    Messages have no partition: it is -1.
    """

    async def head(self, subject: str) -> Message | None:
        """Return the newest record of a subject; None where there is none."""
        ...

    async def append(self, subject: str, payload: bytes, *, expected: int) -> int:
        """Append on top of the record at sequence `expected` (0: begin) and return its sequence.

        An unknown outcome is retried until it is known, as in a `Chain`.

        Raises:
            ConflictError: somebody else has appended.
            BrokerError: the record is larger than a message may be, or refused for good.
        """
        ...

    def read(self, subject: str, *, after: int = 0) -> AsyncIterator[Message]:
        """Iterate what is stored now under a subject (wildcards as the server has them)."""
        ...

    def follow(
        self, deliver: Deliver, *, subject: str, after: int | None = 0
    ) -> AbstractAsyncContextManager[Follower]:
        """Deliver records of a subject as they come; after=None: only new ones."""
        ...


class Broker(Protocol):
    """All of the above, over one connection."""

    @property
    def chain(self) -> Chain: ...
    @property
    def frames(self) -> Frames: ...
    @property
    def campaigns(self) -> CampaignTable: ...
    @property
    def snapshots(self) -> Snapshots: ...
    @property
    def dead_letters(self) -> DeadLetters: ...
    @property
    def heartbeats(self) -> Heartbeats: ...
    @property
    def gateways(self) -> Heartbeats:
        """What gateways say of themselves (messaging.gateway_status), by gateway."""
        ...

    @property
    def journal(self) -> Journal: ...

    @property
    def is_connected(self) -> bool:
        """Return whether the broker answers now."""
        ...

    async def sizes(self, streams: Sequence[str]) -> list[StreamSize]:
        """Return how much some streams hold, in their order; one that is missing is left out.

        Raises:
            BrokerError: the broker is away, or does not permit it.
        """
        ...
