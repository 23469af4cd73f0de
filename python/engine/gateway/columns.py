"""What a gateway knows of the entities of one ad account, in columns: one place an entity.

Three things of an entity can be moved: whether it serves, the lever that its bids are steered by,
and its daily budget. Columns with three rows a place have one for each, in that order.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.platforms.port import Lever

__all__ = ["BUDGET", "MOVES", "SERVING", "STEER", "STEERED_BY", "Columns", "lever_of"]

SERVING, STEER, BUDGET = 0, 1, 2
MOVES = 3
STEERED_BY = (Lever.BID, Lever.TARGET_CPA, Lever.TARGET_ROAS)

_NAN, _NEVER = float("nan"), -1e18
HOURLY = 16  # changes remembered for an hourly limit


class Columns:
    """The columns, grown together. Money is micros, times are epoch seconds."""

    # what was decided
    bid: NDArray[np.float64]  # 0: none; NaN: nothing decided yet
    decided_at: NDArray[np.float64]
    cap: NDArray[np.float64]
    cpc: NDArray[np.float64]
    cvr: NDArray[np.float64]
    roi: NDArray[np.float64]
    confidence: NDArray[np.float64]
    bound_by: NDArray[np.int16]
    idle_since: NDArray[np.float64]  # when the bid became 0
    partition: NDArray[np.int16]  # of the newest decision, as the next
    sequence: NDArray[np.int64]
    # what the campaign allows
    is_linked: NDArray[np.bool_]
    may_run: NDArray[np.bool_]  # its campaign is active
    ends_at: NDArray[np.float64]  # its flight
    value: NDArray[np.float64]  # of a conversion; NaN: not known
    least_bid: NDArray[np.float64]
    most_bid: NDArray[np.float64]
    most_cpa: NDArray[np.float64]  # NaN: none, as the next
    least_roas: NDArray[np.float64]
    day_cap: NDArray[np.float64]
    whole: NDArray[np.float64]  # the campaign's whole budget
    # how it stands on the platform
    is_known: NDArray[np.bool_]
    serving: NDArray[np.float64]  # 0 or 1
    steered_by: NDArray[np.int8]  # index into STEERED_BY; -1: by nothing
    steer: NDArray[np.float64]  # NaN: not set
    budget: NDArray[np.float64]  # NaN: has none of its own that may be moved
    is_learning: NDArray[np.bool_]
    is_ours: NDArray[np.bool_]  # where it does not serve: we stopped it
    # what it did
    spent: NDArray[np.float64]  # since its flight began, as samples were sent
    today: NDArray[np.float64]  # by the ad account's clock
    spend_per_s: NDArray[np.float64]
    rate: NDArray[np.float64]  # at which caps let it spend, smoothed; micros a second
    readiness: NDArray[np.float64]  # 0 to 1
    # what was done to it, three rows a place
    moved_at: NDArray[np.float64]
    not_before: NDArray[np.float64]
    refusals: NDArray[np.int16]  # in a row
    in_flight: NDArray[np.bool_]
    pinned: NDArray[np.float64]  # somebody's order; NaN: none
    pinned_until: NDArray[np.float64]
    hour: NDArray[np.float64]  # times of the newest budget changes, a ring

    def __init__(self) -> None:
        self.count = 0
        for name, (kind, _, width) in _FIELDS.items():
            setattr(self, name, np.zeros((0, width) if width else 0, kind))

    def add(self) -> int:
        """Add a place and return it."""
        place, self.count = self.count, self.count + 1
        if self.count > len(self.bid):
            self._grow(max(64, 2 * len(self.bid)))
        return place

    def reset(self, place: int) -> None:
        """Forget everything about a place."""
        for name, (_, fill, _width) in _FIELDS.items():
            getattr(self, name)[place] = fill

    def _grow(self, size: int) -> None:
        for name, (kind, fill, width) in _FIELDS.items():
            old = getattr(self, name)
            new = np.full((size, width) if width else size, fill, kind)
            new[: len(old)] = old
            setattr(self, name, new)


def lever_of(move: int, steered_by: int) -> Lever:
    """Return the platform's lever of one of the three moves."""
    if move == STEER:
        return STEERED_BY[steered_by]
    return Lever.SERVING if move == SERVING else Lever.DAILY_BUDGET


_FIELDS: dict[str, tuple[Any, Any, int]] = {
    "bid": (np.float64, _NAN, 0),
    "decided_at": (np.float64, _NEVER, 0),
    "cap": (np.float64, _NAN, 0),
    "cpc": (np.float64, _NAN, 0),
    "cvr": (np.float64, _NAN, 0),
    "roi": (np.float64, _NAN, 0),
    "confidence": (np.float64, 0.0, 0),
    "bound_by": (np.int16, 0, 0),
    "idle_since": (np.float64, _NAN, 0),
    "partition": (np.int16, -1, 0),
    "sequence": (np.int64, 0, 0),
    "is_linked": (np.bool_, False, 0),
    "may_run": (np.bool_, False, 0),
    "ends_at": (np.float64, np.inf, 0),
    "value": (np.float64, _NAN, 0),
    "least_bid": (np.float64, 0.0, 0),
    "most_bid": (np.float64, np.inf, 0),
    "most_cpa": (np.float64, _NAN, 0),
    "least_roas": (np.float64, _NAN, 0),
    "day_cap": (np.float64, _NAN, 0),
    "whole": (np.float64, 0.0, 0),
    "is_known": (np.bool_, False, 0),
    "serving": (np.float64, _NAN, 0),
    "steered_by": (np.int8, 0, 0),
    "steer": (np.float64, _NAN, 0),
    "budget": (np.float64, _NAN, 0),
    "is_learning": (np.bool_, False, 0),
    "is_ours": (np.bool_, False, 0),
    "spent": (np.float64, 0.0, 0),
    "today": (np.float64, 0.0, 0),
    "spend_per_s": (np.float64, 0.0, 0),
    "rate": (np.float64, _NAN, 0),
    "readiness": (np.float64, 0.0, 0),
    "moved_at": (np.float64, _NEVER, MOVES),
    "not_before": (np.float64, _NEVER, MOVES),
    "refusals": (np.int16, 0, MOVES),
    "in_flight": (np.bool_, False, MOVES),
    "pinned": (np.float64, _NAN, MOVES),
    "pinned_until": (np.float64, _NEVER, MOVES),
    "hour": (np.float64, _NEVER, HOURLY),
}
