"""What has been delivered to a partition and not been taken in yet."""

from collections import deque
from collections.abc import Callable

from engine.domain.codec import decode_campaign
from engine.errors import MalformedMessageError
from engine.messaging.ports import Message
from engine.messaging.subjects import campaign_subject

__all__ = ["Inbox", "Room", "entered_campaign"]

LARGEST = 256 * 2**10
MOST = 128 * 2**20


class Room:
    """How many bytes of frames wait in a worker, over all its partitions, of at most `most`.

    Where there is no room any more the broker is not asked for more frames: they wait there.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.waiting = 0

    @property
    def is_left(self) -> bool:
        return self.waiting < self.most


class Inbox:
    """Entries and frames in the order of their logs.

    `add_entry` and `add_frame` are what followers deliver to. Frames wait for the round, so that
    a record can name exactly what it has counted. Nothing is dropped: when more than `largest`
    bytes of frames wait, `is_full` says so and the partition counts them in early, which takes the
    work from the round and keeps memory small.
    """

    def __init__(self, *, largest: int = LARGEST, room: Room | None = None) -> None:
        self.largest = largest
        self.frame_bytes = 0
        self._room = room or Room()
        self._entries: deque[Message] = deque()
        self._frames: deque[Message] = deque()

    def __len__(self) -> int:
        return len(self._entries) + len(self._frames)

    @property
    def frames(self) -> int:
        """Return how many frames wait."""
        return len(self._frames)

    @property
    def newest_frame(self) -> int:
        """Return the sequence of the newest frame that waits, 0 for none."""
        return self._frames[-1].sequence if self._frames else 0

    @property
    def is_full(self) -> bool:
        return self.frame_bytes > self.largest

    def add_entry(self, message: Message) -> None:
        self._entries.append(message)

    def add_frame(self, message: Message) -> None:
        self._frames.append(message)
        self._note(len(message.payload))

    @property
    def entries(self) -> int:
        """Return how many entries wait."""
        return len(self._entries)

    def take_entries(self, up_to: int | None = None, *, most: int | None = None) -> list[Message]:
        """Remove and return the entries with a revision of at most `up_to` (None: all).

        `most`: no more than so many, the oldest ones.
        """
        return _take(self._entries, up_to, most)

    def take_early(self, is_early: Callable[[str, int], bool]) -> list[Message]:
        """Remove and return the oldest entry of each campaign, where `is_early` says so of it.

        It is asked with the campaign and the entry's revision.
        """
        oldest: dict[str, Message] = {}
        for message in self._entries:
            oldest.setdefault(entered_campaign(message), message)
        early = [m for name, m in oldest.items() if is_early(name, m.sequence)]
        for message in early:
            self._entries.remove(message)
        return early

    def take_frames(self, up_to: int | None = None, *, most: int | None = None) -> list[Message]:
        """Remove and return the frames with a sequence of at most `up_to`, as `take_entries`."""
        taken = _take(self._frames, up_to, most)
        self._note(-sum(len(message.payload) for message in taken))
        return taken

    def clear(self) -> None:
        """Forget what waits: nobody will take it from here."""
        self._entries.clear()
        self._frames.clear()
        self._note(-self.frame_bytes)

    def _note(self, more: int) -> None:
        self.frame_bytes += more
        self._room.waiting += more


def _take(queue: deque[Message], up_to: int | None, most: int | None) -> list[Message]:
    taken: list[Message] = []
    while queue and (up_to is None or queue[0].sequence <= up_to) and len(taken) != most:
        taken.append(queue.popleft())
    return taken


def entered_campaign(message: Message) -> str:
    """Return the campaign of an entry, "" where it cannot be read."""
    try:
        return decode_campaign(campaign_subject(message.partition), message.payload).definition.id
    except MalformedMessageError:
        return ""
