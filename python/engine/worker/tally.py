"""What a worker has done so far: the figures of its heartbeats."""

__all__ = ["Tally"]


class Tally:
    """Counts over all partitions, since the worker's start."""

    __slots__ = ("decisions", "round_ms", "rounds", "samples")

    def __init__(self) -> None:
        self.rounds = 0
        self.decisions = 0
        self.samples = 0
        self.round_ms = 0.0  # of the newest round, due time to commit
