"""A worker's page: rounds and how long they took, decisions, samples, lag, what went wrong."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from prometheus_client.core import Metric

from engine.metrics.families import counter, gauge, histogram

__all__ = ["Counted", "Measured", "worker_families"]


class Counted(Protocol):
    """What a worker counts as it goes, since its start."""

    buried: int
    decisions: int
    fenced: int
    late_rounds: int
    round_buckets: list[int]
    round_ms_sum: float
    rounds: int
    rows_refused: int
    rows_unknown: int
    samples: int
    shed_rounds: int
    skipped_rounds: int
    takes: int


class Measured(Protocol):
    """What is asked of a worker when its page is read."""

    @property
    def tally(self) -> Counted: ...
    @property
    def is_ready(self) -> bool: ...
    @property
    def is_live(self) -> bool: ...
    @property
    def lag_frames(self) -> int: ...
    @property
    def shed_share(self) -> float: ...
    def held(self) -> list[int]: ...


def worker_families(worker: Measured, *, bounds_ms: Sequence[float]) -> Iterable[Metric]:
    """Return the families of this moment."""
    tally = worker.tally
    yield gauge("engine_worker_ready", "1 while this worker can decide.", worker.is_ready)
    yield gauge("engine_worker_live", "1 while its event loop turns.", worker.is_live)
    yield gauge("engine_worker_partitions", "Partitions that it owns.", len(worker.held()))
    yield gauge(
        "engine_worker_lag_frames", "Frames stored and not counted in yet.", worker.lag_frames
    )
    yield counter("engine_worker_rounds", "Rounds committed.", tally.rounds)
    yield histogram(
        "engine_worker_round_seconds",
        "How long rounds took, from their due time to their commit.",
        bounds=[bound / 1000 for bound in bounds_ms],
        buckets=tally.round_buckets,
        total=tally.round_ms_sum / 1000,
    )
    yield counter(
        "engine_worker_late_rounds", "Rounds that took longer than the interval.", tally.late_rounds
    )
    yield counter(
        "engine_worker_skipped_rounds",
        "Rounds left out because one before them was late.",
        tally.skipped_rounds,
    )
    yield counter(
        "engine_worker_shed_rounds",
        "Rounds left out for those with more at stake.",
        tally.shed_rounds,
    )
    yield gauge(
        "engine_worker_shed_share",
        "Share of the work of all rounds that is left out now, 0 to 0.875.",
        worker.shed_share,
    )
    yield counter("engine_worker_decisions", "Campaigns decided.", tally.decisions)
    yield counter("engine_worker_samples", "Samples counted in.", tally.samples)
    yield counter(
        "engine_worker_rows_not_counted",
        "Rows of frames that no campaign here counts, by why.",
        {("unknown",): tally.rows_unknown, ("refused",): tally.rows_refused},
        ("reason",),
    )
    yield counter("engine_worker_buried_messages", "Messages that could not be read.", tally.buried)
    yield counter("engine_worker_partitions_taken", "Partitions taken.", tally.takes)
    yield counter(
        "engine_worker_partitions_lost", "Partitions that another took from it.", tally.fenced
    )
