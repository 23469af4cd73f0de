"""A payload that is larger than a message may be: how it is cut, and put together again.

Its parts are stored as one atomic batch (ADR-50), all of them or none, one behind the other. The
expectation is told with the first, for the server checks each message of a batch against the
stream as it was before. What was stored has the sequence of its last part, so whoever goes on
after it goes on after all of them.
"""

from collections.abc import Callable, Mapping

from engine.messaging.link import Delivery

__all__ = ["LARGEST", "PART", "Joiner", "cut", "part_header", "part_of"]

PART = "Engine-Part"
"""The header of a part: its number and how many there are, as in 2/3."""
LARGEST = 64_000_000
"""The most bytes of all parts together: readers hold them in memory, and the server before."""


def cut(payload: bytes, size: int) -> list[bytes]:
    """Return a payload in pieces of at most `size` bytes; an empty one is one piece.

    >>> cut(b"abcdefg", 3)
    [b'abc', b'def', b'g']
    """
    return [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]


def part_header(number: int, count: int) -> dict[str, str]:
    """Return the header of part `number` of `count`, none where there is only one."""
    return {PART: f"{number}/{count}"} if count > 1 else {}


def part_of(headers: Mapping[str, str] | None) -> tuple[int, int]:
    """Return which part of how many a message is; (1, 1) for a whole one.

    >>> part_of({"Engine-Part": "2/3"}), part_of(None)
    ((2, 3), (1, 1))
    """
    number, _, count = ("" if headers is None else headers.get(PART, "")).partition("/")
    return (int(number), int(count)) if number.isdigit() and count.isdigit() else (1, 1)


class Joiner:
    """Takes the messages of one log in order, and hands on what is whole.

    Parts without those before them (a reading that began in between, or a stream whose oldest
    messages have aged out) are passed over.
    """

    def __init__(self, deliver: Callable[[int, Delivery], None]) -> None:
        self._deliver = deliver
        self._parts: dict[str, list[bytes]] = {}  # by subject

    def add(self, sequence: int, delivery: Delivery) -> None:
        """Take the next message."""
        number, count = part_of(delivery.headers)
        if count == 1:
            self._deliver(sequence, delivery)
            return
        before = self._parts.pop(delivery.subject, [])
        if number == 1:
            before = []
        if len(before) != number - 1:
            return
        parts = [*before, delivery.payload]
        if number < count:
            self._parts[delivery.subject] = parts
        else:
            self._deliver(sequence, delivery._replace(payload=b"".join(parts)))
