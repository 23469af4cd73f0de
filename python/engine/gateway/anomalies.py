"""What looks broken in reports: no spend where there was some, a CPA that jumped, a CTR that fell.

Each is a test against the entity's own past that chance alone fails about once in ten thousand
looks (a CPA spike: once in a thousand), and a change large enough to matter. Stretches that
reports may not have told whole yet are left out.
"""

import math

import numpy as np
from numpy.typing import NDArray

from engine.gateway.hours import CLICKS, CONVERSIONS, IMPRESSIONS, SPEND

__all__ = ["CPA_SPIKE", "CTR_DROP", "ZERO_SPEND", "anomalies"]

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

ZERO_SPEND, CPA_SPIKE, CTR_DROP = "zero-spend", "cpa-spike", "ctr-drop"

SILENT = 3  # stretches
DUE_CLICKS = 9.2
"""So many clicks were due and none came: by chance once in ten thousand (Poisson, e^-9.2)."""
RECENT = 24
SPIKE = 2.0
SPIKE_P = 0.001
LEAST_DUE = 5.0  # conversions
CTR_RECENT = 6
DROP = 0.3
DROP_Z = 4.0


def anomalies(counts: Ints, *, whole: int, is_on: Flags) -> dict[str, list[int]]:
    """Return the places where something looks wrong, by kind.

    `counts` as `Hours.counts` has them, of which the first `whole` stretches are told whole;
    `is_on`: places that serve and bid.
    """
    known = counts[:, :whole]
    return {
        kind: np.flatnonzero(found).tolist()
        for kind, found in (
            (ZERO_SPEND, _zero_spend(known) & is_on),
            (CPA_SPIKE, _cpa_spike(known)),
            (CTR_DROP, _ctr_drop(known)),
        )
        if found.any()
    }


def _zero_spend(known: Ints) -> Flags:
    before, now = known[:, :-SILENT][:, -RECENT:], known[:, -SILENT:]
    if before.shape[1] < SILENT or now.shape[1] < SILENT:
        return np.zeros(len(known), np.bool_)
    due = before[:, :, CLICKS].mean(axis=1) * SILENT
    silent: Flags = (due >= DUE_CLICKS) & (now[:, :, SPEND].sum(axis=1) == 0)
    return silent


def _cpa_spike(known: Ints) -> Flags:
    found = np.zeros(len(known), np.bool_)
    before, now = known[:, :-RECENT].sum(axis=1), known[:, -RECENT:].sum(axis=1)
    if known.shape[1] < 2 * RECENT:
        return found
    conversions = before[:, CONVERSIONS] / 1000.0
    with np.errstate(divide="ignore", invalid="ignore"):
        due = np.nan_to_num(now[:, SPEND] * conversions / before[:, SPEND])
    came = now[:, CONVERSIONS] / 1000.0
    for place in np.flatnonzero((due >= LEAST_DUE) & (due > SPIKE * came)).tolist():
        found[place] = _poisson_at_most(int(came[place]), float(due[place])) < SPIKE_P
    return found


def _ctr_drop(known: Ints) -> Flags:
    before = known[:, :-CTR_RECENT].sum(axis=1)
    now = known[:, -CTR_RECENT:].sum(axis=1)
    shown_before, shown_now = before[:, IMPRESSIONS], now[:, IMPRESSIONS]
    with np.errstate(divide="ignore", invalid="ignore"):
        was, is_ = before[:, CLICKS] / shown_before, now[:, CLICKS] / shown_now
        pooled = (before[:, CLICKS] + now[:, CLICKS]) / (shown_before + shown_now)
        error = np.sqrt(pooled * (1 - pooled) * (1 / shown_before + 1 / shown_now))
        dropped: Flags = (is_ < (1 - DROP) * was) & ((was - is_) > DROP_Z * error)
    return dropped


def _poisson_at_most(k: int, mean: float) -> float:
    """Return how likely a Poisson count is at most k."""
    return math.fsum(math.exp(i * math.log(mean) - mean - math.lgamma(i + 1)) for i in range(k + 1))
