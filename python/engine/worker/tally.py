"""What a worker has done so far: the figures of its heartbeats and of its metrics page."""

from bisect import bisect_left

__all__ = ["ROUND_BOUNDS_MS", "Tally"]

ROUND_BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000)
"""Upper bounds of the buckets in which rounds are counted by how long they took."""


class Tally:
    """Counts over all partitions, since the worker's start."""

    __slots__ = (
        "buried",
        "decisions",
        "fenced",
        "late_rounds",
        "round_buckets",
        "round_ms",
        "round_ms_sum",
        "rounds",
        "rows_refused",
        "rows_unknown",
        "samples",
        "shed_rounds",
        "skipped_rounds",
        "takes",
        "tell_late_at",
    )

    def __init__(self) -> None:
        self.rounds = 0
        self.decisions = 0
        self.samples = 0
        self.rows_unknown = 0  # of series that no campaign here has
        self.rows_refused = 0  # out of range
        self.buried = 0  # messages that could not be read
        self.takes = 0  # partitions taken
        self.fenced = 0  # partitions that somebody else took from this worker
        self.round_ms = 0.0  # of the newest round, due time to commit
        self.round_ms_sum = 0.0
        self.round_buckets = [0] * (len(ROUND_BOUNDS_MS) + 1)  # the last: longer than all bounds
        self.tell_late_at = 0.0  # monotonic: when late rounds are spoken of again
        self.late_rounds = 0  # that took longer than the interval
        self.shed_rounds = 0  # that were left out for those with more at stake
        self.skipped_rounds = 0  # that were due and left out because one before them was late

    def round_took(self, ms: float) -> None:
        """Count a committed round that took `ms` from its due time to its commit."""
        self.rounds += 1
        self.round_ms = ms
        self.round_ms_sum += max(ms, 0.0)  # a clock that was set back makes no time negative
        self.round_buckets[bisect_left(ROUND_BOUNDS_MS, ms)] += 1
