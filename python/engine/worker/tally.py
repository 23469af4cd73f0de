"""What a worker has done so far: the figures of its heartbeats."""

__all__ = ["Tally"]


class Tally:
    """Counts over all partitions, since the worker's start."""

    __slots__ = (
        "decisions",
        "late_rounds",
        "round_ms",
        "rounds",
        "samples",
        "shed_rounds",
        "skipped_rounds",
        "tell_late_at",
    )

    def __init__(self) -> None:
        self.rounds = 0
        self.decisions = 0
        self.samples = 0
        self.round_ms = 0.0  # of the newest round, due time to commit
        self.tell_late_at = 0.0  # monotonic: when late rounds are spoken of again
        self.late_rounds = 0  # that took longer than the interval
        self.shed_rounds = 0  # that were left out for those with more at stake
        self.skipped_rounds = 0  # that were due and left out because one before them was late
