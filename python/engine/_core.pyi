"""The Rust core as Python sees it. Rows are laid out in `engine.core.rows`.

Every refused input raises CoreError, which says what was wanted and keeps what was found; the
object is then as it was before the call. Batch calls release the GIL. A `bytes` is read in place,
any other buffer is copied first: nobody may write into it while the core reads.
"""

from typing import Any, final

from numpy.typing import NDArray
from typing_extensions import Buffer

__all__ = [
    "ACTIONS",
    "BINDINGS",
    "CONDITIONS",
    "METHODS",
    "Book",
    "CoreError",
    "Counted",
    "Estimate",
    "Expected",
    "Forecast",
    "Front",
    "History",
    "Ingested",
    "Plan",
    "Planner",
    "Round",
    "SeasonalForecaster",
    "Sweep",
    "Window",
    "WindowForecast",
    "__version__",
    "build_profile",
]

__version__: str
build_profile: str  # "release" or "debug"
ACTIONS: tuple[str, ...]  # names by code, as domain.decision.Action
BINDINGS: tuple[str, ...]  # names by code, as domain.decision.Binding
CONDITIONS: tuple[str, ...]  # names by code, as domain.decision.Condition
METHODS: tuple[str, ...]  # names of ways of forecasting, as Estimate.by has them

class CoreError(ValueError):
    """The core refused an input."""

@final
class Estimate:
    """A forecast value with its 95 % interval."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def slope_per_s(self) -> float:
        """Return the slope of the window's line, whoever forecast the value."""
    @property
    def by(self) -> str:
        """Return whose forecast it is, one of METHODS.

        LEVEL and LINE of the window, a moving AVERAGE, the SEASON (recursive least squares in
        logs), or the MODEL that the price of money goes by.
        """

@final
class Forecast:
    """What is forecast of a series. Each rate is by the way of forecasting that has erred least.

    Intervals are of the next report, one of the usual weight, but for that of `cvr`.
    """

    @property
    def cpc_micros(self) -> Estimate | None:
        """Return the cost per click; None before any is known."""
    @property
    def cvr(self) -> Estimate:
        """Return conversions per click as decisions go by them, with where the rate itself lies.

        Few conversions are drawn to the campaign's level, and that to what is usual; late ones are
        counted in by a learned delay.
        """
    @property
    def reported_cvr(self) -> Estimate | None:
        """Return conversions per click that the next report is expected to show."""
    @property
    def raw_cvr(self) -> float | None:
        """Return conversions over clicks of the window, however few; None without clicks."""
    @property
    def clicks_an_hour(self) -> Estimate | None:
        """Return the traffic: clicks an hour at the bid in force; None before any report."""
    @property
    def condition(self) -> str:
        """Return what the market is up to, one of CONDITIONS."""
    @property
    def confidence(self) -> float:
        """Return how far the window can be trusted, 0 to 1: the product of its parts."""
    @property
    def confidence_parts(self) -> tuple[float, float, float, float]:
        """Return sample size, age, spread and completeness, each 0 to 1."""
    @property
    def samples(self) -> int:
        """Return how many samples the window holds."""
    @property
    def clicks(self) -> int:
        """Return how many clicks they have together."""
    @property
    def conversions(self) -> float:
        """Return how many conversions `cvr` rests on: its relative sd is 1 / their square root."""

@final
class WindowForecast:
    """What a window's line says about one horizon ahead."""

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
class Front:
    """What a campaign's landscapes allow. Points: multiplier, micros, conversions."""

    @property
    def points(self) -> list[tuple[float, float, float]]: ...
    @property
    def stands(self) -> tuple[float, float, float]: ...
    @property
    def waste(self) -> float: ...
    @property
    def confidence(self) -> float: ...

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
    def set_calendar(
        self,
        calendar: int,
        midnights_ms: list[int],
        offsets_ms: list[tuple[int, int]] = ...,
    ) -> None:
        """Set the instants, ascending, at which days begin in a time zone.

        `offsets_ms`: from when on its clocks are how far ahead of UTC; without any, never.
        """
    def put_accounts(self, rows: Buffer) -> None:
        """Add or replace this partition's shares of accounts' caps: ACCOUNT_ROWs."""
    def set_halted(self, is_halted: bool) -> None:
        """Halt all campaigns from the next round on, or let them go on."""
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
        """Return what is forecast of a series' next report, as known at `at_ms`."""
    def pareto(self, campaign: int, at_ms: int) -> Front:
        """Return a campaign's front. Raises CoreError where there is no such campaign."""
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
class Counted:
    """What became of the rows of one call: the five add up to them."""

    @property
    def accepted(self) -> int: ...
    @property
    def replaced(self) -> int: ...
    @property
    def late(self) -> int: ...
    @property
    def unknown(self) -> int: ...
    @property
    def refused(self) -> int: ...

@final
class Sweep:
    """Many campaigns on a few platforms each: see `engine.core.sweep`, which says what is decided.

    Buffers are read and written in place, and must be C-contiguous (else BufferError): nobody else
    should write into them until a call returns.
    """

    def __new__(
        cls,
        campaigns: int,
        *,
        platforms: int,
        window: int,
        tick_ms: int,
        unit_micros: int,
        threads: int,
    ) -> Sweep: ...
    def set_plans(self, rows: Buffer | NDArray[Any], first: int) -> None: ...
    def ingest(self, rows: Buffer | NDArray[Any]) -> Counted: ...
    def decide(self, at_ms: int, horizon_ms: int, out: Buffer | NDArray[Any]) -> None: ...
    def forecast(
        self, campaign: int, platform: int, at_ms: int, horizon_ms: int
    ) -> WindowForecast: ...
    def spent_micros(self, campaign: int) -> int | None: ...
    def verify(self) -> None: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def platforms(self) -> int: ...
    def __len__(self) -> int: ...

@final
class Window:
    """One window on its own, as the tests and the curious use it."""

    def __new__(cls, *, capacity: int = 64, tick_ms: int = 1) -> Window: ...
    def push(self, at_ms: int, clicks: int, conversions: float, spend_units: int) -> str:
        """Count a sample in; return "accepted", "replaced" or "late"."""
    def forecast(self, at_ms: int) -> WindowForecast: ...
    def samples(self) -> bytes:
        """Return the stored samples, oldest first: the last four SAMPLE_ROW fields of each."""
    def header(self) -> bytes:
        """Return the 64-byte header."""
    def recount(self) -> bytes:
        """Return the header that a recount of the ring gives."""
    def __len__(self) -> int: ...

@final
class Expected:
    """A forecast value with the interval that holds 95 % of what comes, by the errors so far."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...

@final
class SeasonalForecaster:
    """Series of one platform, forecast together by the hour of the clock."""

    def __new__(
        cls, *, series: int = 2, horizons: list[int] = ..., least: float = 0.001
    ) -> SeasonalForecaster:
        """Return a forecaster of 1 to 8 series for 1 to 8 horizons of 1 to 168 hours (1, 6, 24).

        Values below `least` count as `least`.
        """
    def update(self, hour: int, values: list[float]) -> str:
        """Count an hour's values in; return "accepted", "replaced" or "late"."""
    def forecast(self, series: int, horizon: int) -> Expected | None:
        """Return what is expected so many hours after the newest; None before the first hour."""
    def snapshot(self) -> bytes:
        """Return the whole state, checksummed."""
    @staticmethod
    def restore(snapshot: Buffer) -> SeasonalForecaster:
        """Return the forecaster a snapshot was taken of. Raises CoreError where it is damaged."""
    @property
    def series(self) -> int: ...
    @property
    def horizons(self) -> list[int]: ...
    @property
    def newest_hour(self) -> int | None: ...

@final
class History:
    """Past days, and what they teach. A batch of arrays is little-endian, packed."""

    def __new__(cls, *, rounds: int = 48, exposures: tuple[float, float, float] = ...) -> History:
        """Return an empty history; three slots are seen 1, .8 and .48 of the time."""
    def add_day(self, campaigns: list[tuple[int, Buffer, Buffer, Buffer]]) -> None:
        """Add the newest day: identity, worths <f4, prices <f8 (three each), bounds <u4."""
    def snapshot(self) -> bytes:
        """Return the whole history, checksummed."""
    @staticmethod
    def restore(snapshot: Buffer) -> History:
        """Return the history a snapshot was taken of. Raises CoreError where it is damaged."""
    @property
    def days(self) -> int: ...
    @property
    def rounds(self) -> int: ...
    @property
    def opportunities(self) -> float: ...
    @property
    def profile(self) -> list[float]: ...
    @property
    def dayparts(self) -> list[int]: ...

@final
class Plan:
    """What is planned for a round. Arrays are <f8; money of one opportunity is in units."""

    @property
    def shadow_price(self) -> float: ...
    @property
    def bound(self) -> str: ...
    @property
    def probability(self) -> float: ...
    @property
    def bids(self) -> list[bytes]: ...
    @property
    def round_spend_micros(self) -> list[int]: ...
    @property
    def day_spend_micros(self) -> list[int]: ...
    @property
    def day_conversions(self) -> float: ...
    @property
    def shadow_prices(self) -> bytes: ...
    @property
    def conversions(self) -> bytes: ...
    @property
    def spend(self) -> bytes: ...

@final
class Planner:
    """One campaign's day on all its platforms; `engine.core.planner` says more."""

    def __new__(
        cls,
        history: History | None,
        *,
        budget_micros: int,
        target_micros: int,
        platforms: list[tuple[int, float]],
        goal: str = "hard",
        first_price: bool = False,
        pacing: tuple[float, float, float] | None = None,
        unit_micros: int = 1000000,
        rounds: int = 48,
    ) -> Planner: ...
    def decide(
        self,
        round: int,  # noqa: A002
        worths: list[Buffer],
        sigmas: list[Buffer] | None = None,
        counts: list[Buffer] | None = None,
    ) -> Plan: ...
    def observe(
        self,
        round: int,  # noqa: A002
        platform: int,
        *,
        prices: Buffer,
        worths: Buffer,
        bids: Buffer,
        paid: Buffer,
        won: Buffer,
        exposed: Buffer,
        cost_micros: int,
    ) -> None: ...
    def restate(
        self, platform: int, opportunities: float, conversions: float, spend_micros: int
    ) -> None: ...
    def set_budget(self, budget_micros: int) -> None: ...
    def snapshot(self) -> bytes: ...
    @staticmethod
    def restore(history: History | None, snapshot: Buffer) -> Planner: ...
    @property
    def platforms(self) -> int: ...
