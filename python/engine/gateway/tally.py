"""What a gateway counts of one ad account since its start: for the status and for an exporter."""

import msgspec

from engine.errors import PlatformError

__all__ = ["Tally"]


class Tally(msgspec.Struct):
    """Plain counters, read by whoever shows them."""

    applied: int = 0
    rejected: int = 0
    failed: int = 0
    retried: int = 0
    refused_here: int = 0  # changes that the last look found wrong
    samples: int = 0
    polls: int = 0
    improved: int = 0
    worse: int = 0
    inconclusive: int = 0
    duplicate_sales: int = 0
    unknown_sales: float = 0.0  # in the look-back, of which no order id was told
    reported_at: float | None = None  # when the newest report came in, epoch seconds
    last_error: str = ""
    last_error_at: float | None = None

    def settled(self, result: str) -> None:
        """Count what became of a change."""
        setattr(self, result, getattr(self, result) + 1)

    def note(self, error: PlatformError, now: float) -> None:
        """Keep an error for people."""
        self.last_error = str(error)[:300]
        self.last_error_at = now
