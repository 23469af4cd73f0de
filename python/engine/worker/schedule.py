"""When rounds are due: multiples of the interval since the epoch, shifted for each partition.

Partition p is due p/64 of an interval after the multiple, so that the rounds of a worker spread
over the interval instead of coming all at once. The time of a round is the time it was due, in
whole milliseconds, never the time it happened to run.
"""

from engine.domain.ids import PARTITIONS

__all__ = ["Schedule"]


class Schedule:
    """The due times of one partition, in epoch milliseconds.

    >>> schedule = Schedule(interval_ms=2_000, partition=16)
    >>> schedule.latest(10_499), schedule.latest(10_500)
    (8500, 10500)
    >>> schedule.due(8_500, now_ms=9_000)  # on time: the next one
    10500
    >>> schedule.due(8_500, now_ms=15_000)  # late: the newest that has passed, once
    14500
    """

    def __init__(self, *, interval_ms: int, partition: int) -> None:
        self.interval_ms = interval_ms
        self._offset = interval_ms * partition // PARTITIONS

    def latest(self, now_ms: int) -> int:
        """Return the newest due time that is not in the future."""
        return now_ms - (now_ms - self._offset) % self.interval_ms

    def due(self, last_ms: int, now_ms: int) -> int:
        """Return when the round after the one at `last_ms` is due: always later than that.

        Rounds that were missed are not made up for: of those, only the newest is due.
        """
        return max(self.latest(now_ms), self.latest(last_ms) + self.interval_ms)
