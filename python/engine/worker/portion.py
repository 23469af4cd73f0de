"""How much a round takes in, once a record of everything was larger than a message may be.

What a round decides cannot be told in part: the ledger's totals in its record are over all
campaigns. What it takes in can be: a record names the inputs it has counted, and the rest waits for
the next round. So a partition whose record was too large is taken anew and takes in less at a time,
a little more with each round that fits, until nothing is left to wait.
"""

from engine.errors import BrokerError

__all__ = ["Portion", "RecordTooLargeError"]


class Portion:
    """The most entries, and the most frames, that a round of one partition takes in."""

    def __init__(self) -> None:
        self.most: int | None = None  # None: everything
        self.is_stuck = False

    @property
    def is_limited(self) -> bool:
        return self.most is not None

    def exceeded(self, taken: int, *, size: int, limit: int) -> None:
        """Take less: with `taken` messages a record had `size` bytes of at most `limit`."""
        self.is_stuck = taken <= 1
        self.most = max(1, taken * limit // size // 2)

    def fitted(self, taken: int) -> None:
        """Take more again: a record of `taken` messages was small enough."""
        self.is_stuck = False
        if self.most is not None:
            has_caught_up = taken < self.most
            self.most = None if has_caught_up else self.most + max(1, self.most // 10)


class RecordTooLargeError(BrokerError):
    """A round came to more than a message may hold; nothing of it is recorded."""

    def __init__(
        self, partition: int, *, size: int, limit: int, taken: int, portion: Portion
    ) -> None:
        hope = (
            "more of its campaigns change at once than a record can tell: raise max_payload of "
            "nats-server (docs/operating.md)"
            if portion.is_stuck
            else f"the next round takes in {portion.most} messages at most, not {taken}"
        )
        super().__init__(
            f"partition {partition}: a record of at most {limit} bytes, found {size}; {hope}"
        )
        self.partition = partition
        self.size = size
        self.limit = limit
