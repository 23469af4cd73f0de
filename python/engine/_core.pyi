"""The Rust core as Python sees it. Rows are laid out in `engine.core.rows`.

Every refused input raises CoreError, which says what was wanted and keeps what was found; the
object is then as it was before the call. Batch calls release the GIL. A `bytes` is read in place,
any other buffer is copied first: nobody may write into it while the core reads.
"""

from typing import final

from typing_extensions import Buffer

__all__ = [
    "ACTIONS",
    "BINDINGS",
    "Book",
    "CoreError",
    "Estimate",
    "Forecast",
    "Ingested",
    "Round",
    "Window",
    "__version__",
    "build_profile",
]

__version__: str
build_profile: str  # "release" or "debug"
ACTIONS: tuple[str, ...]  # names by code, as domain.decision.Action
BINDINGS: tuple[str, ...]  # names by code, as domain.decision.Binding

class CoreError(ValueError):
    """The core refused an input."""

@final
class Estimate:
    """A forecast value with its 95 % prediction interval."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def slope_per_s(self) -> float: ...

@final
class Forecast:
    """What a window says about one horizon ahead."""

    @property
    def cpc_micros(self) -> Estimate | None: ...
    @property
    def cvr(self) -> Estimate | None: ...
    @property
    def confidence(self) -> float: ...
    @property
    def confidence_parts(self) -> tuple[float, float, float, float]:
        """Return sample size, age, spread and completeness, each 0 to 1."""
    @property
    def samples(self) -> int: ...
    @property
    def clicks(self) -> int: ...

@final
class Ingested:
    """What became of the rows of a frame: the five counts add up to the frame's."""

    @property
    def accepted(self) -> int: ...
    @property
    def replaced(self) -> int:
        """Return rows that restated an earlier report (the same one again included)."""
    @property
    def late(self) -> int:
        """Return rows older than their window: their spend is settled, the window unchanged."""
    @property
    def unknown(self) -> int:
        """Return rows of series that no campaign here has."""
    @property
    def refused(self) -> int:
        """Return rows out of range."""
    @property
    def is_duplicate(self) -> bool:
        """Return whether the frame had been ingested before: nothing was counted."""

@final
class Round:
    """The decisions of one round, all campaigns, in ascending order of key."""

    @property
    def decisions(self) -> bytes:
        """Return DECISION_ROWs."""
    @property
    def series(self) -> bytes:
        """Return SERIES_DECISION_ROWs."""
    @property
    def settled_micros(self) -> int: ...
    @property
    def reserved_micros(self) -> int: ...

@final
class Book:
    """All campaigns of a partition: windows, forecasts, pacing and ledger.

    A round is a pure function of the calls before it and its time: same calls, same bytes.
    """

    def __new__(cls, *, window: int = 64, tick_ms: int = 1, interval_ms: int = 2000) -> Book:
        """Return an empty book. `window`: 2 to 127 samples a series.

        Forecasts look one interval ahead.
        """
    def set_calendar(self, calendar: int, midnights_ms: list[int]) -> None:
        """Set the instants, ascending, at which days begin in a time zone."""
    def put(self, campaigns: Buffer, series: Buffer) -> None:
        """Add or replace campaigns: CAMPAIGN_ROWs, and their SERIES_ROWs in order.

        A replaced campaign keeps the windows, ledger and pacing of the series it still has; the
        settled spend of one it loses stays counted against its budget, and so does what its
        platform may still spend; reports of it still count.
        """
    def remove(self, campaign: int) -> bool:
        """Forget a campaign; return whether there was one."""
    def ingest(self, frame: Buffer) -> Ingested:
        """Count a whole frame in. Raises CoreError where the frame as a whole is malformed."""
    def decide(self, at_ms: int) -> Round:
        """Decide the round due at a time, later than the round before."""
    def forecast(self, series: int, at_ms: int) -> Forecast:
        """Return what is forecast for a series, one interval after `at_ms`."""
    def verify(self) -> None:
        """Recount windows from their rings and the ledger from its parts.

        Raises CoreError on a difference.
        """
    def ledger(self) -> bytes:
        """Return LEDGER_ROWs: campaign <u8, settled_micros <i8, reserved_micros <i8."""
    def raise_settled(self, campaign: int, settled_micros: int) -> None:
        """Raise a campaign's settled spend to at least an amount the chain has recorded."""
    def raise_cap(self, series: int, cap_micros: int) -> None:
        """Raise a series' cap to at least what the chain has recorded as given.

        Everything up to it is then held to be spent, for nothing here knows better.
        """
    def snapshot(self) -> bytes:
        """Return the whole state, checksummed."""
    @staticmethod
    def restore(snapshot: Buffer) -> Book:
        """Return the book a snapshot was taken of. Raises CoreError where it is damaged."""
    @property
    def campaigns(self) -> int: ...
    @property
    def series(self) -> int: ...
    def __len__(self) -> int: ...

@final
class Window:
    """One window on its own, as the tests and the curious use it."""

    def __new__(cls, *, capacity: int = 64, tick_ms: int = 1) -> Window: ...
    def push(self, at_ms: int, clicks: int, conversions: float, spend_units: int) -> str:
        """Count a sample in; return "accepted", "replaced" or "late"."""
    def forecast(self, at_ms: int) -> Forecast: ...
    def samples(self) -> bytes:
        """Return the stored samples, oldest first: the last four SAMPLE_ROW fields of each."""
    def header(self) -> bytes:
        """Return the 64-byte header."""
    def recount(self) -> bytes:
        """Return the header that a recount of the ring gives."""
    def __len__(self) -> int: ...
