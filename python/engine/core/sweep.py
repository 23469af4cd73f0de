"""The closed-form sweep: samples in, a platform, a bid and a pacing factor for every campaign out.

For people who want the core's windows and forecasts in a service of their own, with no broker, no
ledger or landscapes: a bidder that keeps the newest samples of up to millions of campaigns and asks
for all decisions at once. What `Book` does beyond it (budgets kept to the micro, shadow prices,
delays, guardrails, an audit) it does not do.

>>> sweep = Sweep(2, platforms=2, unit_micros=100)
>>> plans = np.zeros(2, SWEEP_PLAN_ROW)
>>> plans["value_micros"], plans["budget_micros"] = 20_000_000, 1_000_000_000
>>> plans["ends_at_ms"] = 86_400_000
>>> sweep.set_plans(plans)
>>> rows = np.zeros(64, SWEEP_SAMPLE_ROW)
>>> rows["slot"] = np.arange(64) % 4  # campaign * platforms + platform
>>> rows["tick"] = np.arange(64) // 4 * 2000
>>> rows["clicks"], rows["milliconversions"] = 40, 2000
>>> rows["spend_units"] = np.where(rows["slot"] % 2, 100_000, 120_000)
>>> sweep.ingest(rows)
Counted(accepted=64, replaced=0, late=0, unknown=0, refused=0)
>>> decisions = sweep.decide(32_000, horizon_ms=2000)
>>> [(int(d["best"]), int(d["bid_micros"]), float(d["cpc_micros"])) for d in decisions]
[(1, 648240, 250000.0), (1, 648240, 250000.0)]
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine import _core
from engine._core import CoreError, Counted, WindowForecast
from engine.core.rows import SWEEP_DECISION_ROW, SWEEP_PLAN_ROW, SWEEP_SAMPLE_ROW

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "SWEEP_DECISION_ROW",
    "SWEEP_PLAN_ROW",
    "SWEEP_SAMPLE_ROW",
    "CoreError",
    "Counted",
    "Sweep",
]


class Sweep:
    """Many campaigns on a few platforms each, decided in closed form.

    Campaigns are numbered from 0, and campaign c on platform p is slot c * platforms + p: callers
    keep their names, and look a slot up once. Calls may come from several threads: they take turns,
    and work without the GIL. What is refused raises CoreError, and changes nothing. Buffers are
    read and written where they are: no other thread should write into one until the call returns.
    """

    def __init__(
        self,
        campaigns: int,
        *,
        platforms: int = 4,
        window: int = 64,
        tick_ms: int = 1,
        unit_micros: int = 100,
        threads: int = 1,
    ) -> None:
        """Set memory aside for all windows: about 16 bytes a sample and 64 a slot.

        `window`: samples kept of each slot, 2 to 127. `unit_micros`: what one of the samples'
        `spend_units` is worth. `threads`: a pool of so many is kept for calls large enough to be
        worth one (some 50,000 campaigns); the answers do not depend on it.
        """
        self._core = _core.Sweep(
            campaigns,
            platforms=platforms,
            window=window,
            tick_ms=tick_ms,
            unit_micros=unit_micros,
            threads=threads,
        )

    def __len__(self) -> int:
        """Return how many campaigns there are."""
        return len(self._core)

    @property
    def platforms(self) -> int:
        """Return how many platforms each campaign has."""
        return self._core.platforms

    @property
    def nbytes(self) -> int:
        """Return how many bytes of memory the state takes."""
        return self._core.nbytes

    def set_plans(self, plans: "Buffer | NDArray[Any]", *, first: int = 0) -> None:
        """Set the plans of campaigns from `first` on: any C-contiguous buffer of SWEEP_PLAN_ROWs.

        A campaign without a plan holds. One set anew keeps its windows, and its spend where
        `spent_micros` is -1.
        """
        self._core.set_plans(plans, first)

    def ingest(self, rows: "Buffer | NDArray[Any]") -> Counted:
        """Count samples in, in their order: any C-contiguous buffer of SWEEP_SAMPLE_ROWs.

        The second eight bytes of a row are not read, so rows of frames will do once their series
        keys are replaced by slots. A row that cannot be counted is counted as such: of an unknown
        slot, out of range, or older than its window (that one's spend still counts).
        """
        return self._core.ingest(rows)

    def decide(
        self, at_ms: int, *, horizon_ms: int = 2000, out: "Buffer | NDArray[Any] | None" = None
    ) -> NDArray[np.void]:
        """Decide all campaigns, as of `at_ms` for `horizon_ms` later; return SWEEP_DECISION_ROWs.

        `out`: memory to write them to, C-contiguous, 32 bytes a campaign (a service keeps one
        array); what is returned is then a view of it. For each campaign:

        - CPC and CVR of each platform: the values, at the later time, of the click-weighted lines
          through its window, CPC at least 0 and CVR 0 to 1;
        - confidence: size, age and spread of that window, as of the core's forecasts;
        - score = confidence * (CVR * value - CPC); `best` has the highest, the first of equals;
        - pacing = (budget left / budget) / (flight left / flight), 0 to 1;
        - bid = min(pacing * CVR * value, max_bid) of the best, cut to whole micros (what lacks less
          than a thousandth of one counts as whole).

        `binding` (as domain.decision.Binding) says what lowered the bid, or why there is none.
        """
        place = np.empty(len(self), SWEEP_DECISION_ROW) if out is None else out
        self._core.decide(at_ms, horizon_ms, place)
        rows: NDArray[np.void] = np.frombuffer(place, SWEEP_DECISION_ROW)  # type: ignore[arg-type]
        return rows

    def forecast(
        self, campaign: int, platform: int, *, at_ms: int, horizon_ms: int = 2000
    ) -> WindowForecast:
        """Return one window's forecast with all it rests on, to 5 units of 2^-53.

        Decisions are made of the same numbers; they show them as 32-bit floats.
        """
        return self._core.forecast(campaign, platform, at_ms, horizon_ms)

    def spent_micros(self, campaign: int) -> int | None:
        """Return what a campaign's reports have shown to be spent; None: there is none such."""
        return self._core.spent_micros(campaign)

    def verify(self) -> None:
        """Recount every header from its window; raise CoreError where one differs."""
        self._core.verify()
