"""Whether enough is known of an entity to let a machine steer it: a score of 0 to 1, and its parts.

* clicks, conversions: how many of those wanted were seen in the look-back, at most 1;
* tracking: whether conversions still come in. Since the last one so many clicks were paid for that,
  at the entity's own rate, some conversions were due: twice the limit and more gives 0.

The score is their product: each part can keep it down. A campaign that is not after conversions is
ready by its clicks alone.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.gateway.hours import CLICKS, CONVERSIONS
from engine.gateway.settings import ReadinessSettings

__all__ = ["Readiness", "readiness"]

Floats = NDArray[np.float64]


class Readiness(msgspec.Struct, frozen=True):
    """Of each place: the score and its parts."""

    score: Floats
    clicks: Floats
    conversions: Floats
    tracking: Floats


def readiness(
    counts: NDArray[np.int64],
    wants_conversions: NDArray[np.bool_],
    settings: ReadinessSettings,
) -> Readiness:
    """Return how ready entities are; `counts` as `Hours.counts` has them."""
    clicks = counts[:, :, CLICKS].astype(np.float64)
    conversions = counts[:, :, CONVERSIONS] / 1000.0
    all_clicks, all_conversions = clicks.sum(axis=1), conversions.sum(axis=1)
    by_clicks = _share(all_clicks, settings.clicks)
    by_conversions = _share(all_conversions, settings.conversions)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.nan_to_num(all_conversions / all_clicks)
    # Clicks of stretches behind the last one with a conversion.
    later = np.cumsum(conversions[:, ::-1], axis=1)[:, ::-1] <= 0.0
    due = rate * (clicks * later).sum(axis=1)
    tracking = np.clip(2.0 - due / settings.tracking, 0.0, 1.0)
    by_conversions = np.where(wants_conversions, by_conversions, 1.0)
    tracking = np.where(wants_conversions, tracking, 1.0)
    score = by_clicks * by_conversions * tracking
    return Readiness(score, by_clicks, by_conversions, tracking)


def _share(found: Floats, wanted: int) -> Floats:
    return np.minimum(found / wanted, 1.0) if wanted else np.ones(len(found))
