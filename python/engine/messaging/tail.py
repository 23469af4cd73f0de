"""Whether a stream still ends as we have read it.

With `persist_mode: async` nats-server acknowledges and delivers a message some milliseconds before
it is written. A kill -9 then costs the stream its newest messages, and what is stored next gets
their sequences: a reader that went on behind its position would pass over messages it never saw.
So a reader remembers when each of its latest messages was stored, and after a reconnect goes back
to the newest that is still there.
"""

from collections import deque
from collections.abc import Sequence

import msgspec

from engine.messaging import wire
from engine.messaging.link import Link, RefusedError

__all__ = ["REMEMBERED", "Tail"]

REMEMBERED = 2048


class Tail:
    """The latest messages read from a stream: their sequences, and when they were stored.

    `after` are the tails of readers whose work goes on here.
    """

    def __init__(self, *, link: Link, stream: str, after: "Sequence[Tail]" = ()) -> None:
        self._link = link
        self._stream = stream
        before = sorted({message for tail in after for message in tail._read})
        self._read: deque[tuple[int, int]] = deque(before, maxlen=REMEMBERED)

    @property
    def is_empty(self) -> bool:
        return not self._read

    @property
    def newest(self) -> int:
        """Return the sequence of the newest message remembered, 0 for none."""
        return self._read[-1][0] if self._read else 0

    def add(self, sequence: int, stored_at_ns: int) -> None:
        """Remember a message just read; one that comes again is remembered already."""
        if sequence > self.newest:
            self._read.append((sequence, stored_at_ns))

    async def still_there(self, position: int) -> int:
        """Return the newest sequence, up to `position`, from which on reading may go on.

        Raises:
            UnansweredError: the broker cannot tell now.
            RefusedError: the stream is not there.
        """
        delivery = await self._link.request(f"$JS.API.STREAM.INFO.{self._stream}")
        state = wire.answer(f"stream {self._stream}", delivery, wire.StreamInfo).state
        position = min(position, state.last_seq)
        read = list(self._read)
        # What was lost is a tail of what was read, so the first lost one is found by halving.
        there, lost = 0, len(read)
        if read and await self._is_there(*read[-1], last=state.last_seq):
            there = lost
        while there < lost:
            middle = (there + lost) // 2
            if await self._is_there(*read[middle], last=state.last_seq):
                there = middle + 1
            else:
                lost = middle
        if there < len(read):
            position = min(position, read[there - 1][0] if there else read[0][0] - 1)
        for _ in read[there:]:
            self._read.pop()
        return position

    async def _is_there(self, sequence: int, stored_at_ns: int, *, last: int) -> bool:
        """Return whether the message at a sequence is the one that was read.

        One that was removed since, by a limit, counts as there: nothing took its place.
        """
        if sequence > last:
            return False
        request = msgspec.json.encode({"seq": sequence})
        delivery = await self._link.request(f"$JS.API.STREAM.MSG.GET.{self._stream}", request)
        try:
            found = wire.answer(f"message {sequence}", delivery, wire.StoredMessage).message
        except RefusedError as error:
            if error.code == wire.MESSAGE_NOT_FOUND:
                return True
            raise
        return wire.nanoseconds(found.time) == stored_at_ns
