"""Rows of the table as a browser gets them: short arrays, so that a window of them is small.

Money stays in micros and times in epoch seconds; what is not known is null, never NaN. A trend is
one character a point, `-` where nothing was known, the others levels from the lowest to the highest
value of the row, which stand beside it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.dashboard.columns import (
    NO_STATE,
    STATES,
    UNDECIDED,
    CampaignColumns,
    binding_of,
)
from engine.dashboard.query import code_name
from engine.domain.decision import Action

__all__ = ["FIELDS", "LEVELS", "Row", "table_rows"]

FIELDS = (
    "campaign", "label", "state", "currency", "budget", "plan", "starts", "ends", "settled",
    "reserved", "bid", "best", "roi", "confidence", "action", "binding", "pacing", "at",
    "trend", "low", "high",
)  # fmt: skip
LEVELS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

Row = list[Any]

_LETTERS = np.frombuffer(LEVELS.encode(), "S1")


def table_rows(columns: CampaignColumns, rows: list[int]) -> list[Row]:
    """Return the values of `FIELDS` of some campaigns."""
    if not rows:
        return []

    def taken(name: str) -> list[Any]:
        values: list[Any] = columns.column(name)[rows].tolist()
        return values

    trends = _trends(columns.trend[rows])
    states, currencies = taken("state"), taken("currency")
    settled, reserved = taken("settled_micros"), taken("reserved_micros")
    actions, bindings, best = taken("action"), taken("binding"), taken("best")
    return [
        [
            columns.names[row],
            columns.labels[row],
            None if state == NO_STATE else STATES[state].value,
            None if currency < 0 else columns.currencies[currency],
            budget,
            plan,
            _number(starts),
            _number(ends),
            None if spent < 0 else spent,
            None if held < 0 else held,
            bid,
            None if number < 0 else columns.platforms[number],
            _number(roi, 0),
            _number(confidence, 3),
            None if action == UNDECIDED else _ACTIONS.get(action, "bid"),
            None if action == UNDECIDED else code_name(binding_of(binding)),
            _number(pacing, 3),
            _number(at, 1),
            *trend,
        ]
        for row, state, currency, budget, plan, starts, ends, spent, held, bid, number, roi,
            confidence, action, binding, pacing, at, trend in zip(
            rows, states, currencies, taken("budget_micros"), taken("plan_micros"),
            taken("starts_at"), taken("ends_at"), settled, reserved, taken("bid_micros"), best,
            taken("roi_micros"), taken("confidence"), actions, bindings, taken("pacing"),
            taken("decided_at"), trends, strict=True,
        )
    ]  # fmt: skip


_ACTIONS = {int(action): code_name(action) for action in Action}


def _number(value: float, digits: int = 3) -> float | int | None:
    if value != value or value in (np.inf, -np.inf):
        return None
    return round(value, digits) if digits else round(value)


def _trends(points: NDArray[np.float32]) -> list[tuple[str, int | None, int | None]]:
    """Return each row's points as letters, its lowest and its highest value."""
    known = np.isfinite(points)
    low = np.where(known, points, np.inf).min(axis=1)
    high = np.where(known, points, -np.inf).max(axis=1)
    spread = np.where(high > low, high - low, 1.0)
    with np.errstate(invalid="ignore"):
        level = np.where(known, (points - low[:, None]) / spread[:, None], 0.0)
        level[high <= low] = 0.5
    letters = _LETTERS[np.rint(level * (len(LEVELS) - 1)).astype(np.int64)]
    letters = np.where(known, letters, b"-")
    is_known: list[bool] = np.asarray(known.any(axis=1)).tolist()
    texts = np.ascontiguousarray(letters).view(f"S{points.shape[1]}").ravel().tolist()
    return [
        ("", None, None) if not any_known else (text.decode(), round(lowest), round(highest))
        for text, any_known, lowest, highest in zip(
            texts, is_known, low.tolist(), high.tolist(), strict=True
        )
    ]
