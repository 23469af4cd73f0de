"""What stands above every page: what the fleet does now, and whether all of it is well."""

from typing import Any

import numpy as np

from engine.dashboard.columns import STATES, UNDECIDED, CampaignColumns
from engine.dashboard.live import Live
from engine.dashboard.query import ACTION_NAMES, BINDING_NAMES
from engine.domain.ids import PARTITIONS
from engine.fleet.membership import SUSPICION_S

__all__ = ["alive_workers", "summary"]


def summary(live: Live) -> dict[str, Any]:
    """Return the figures of this moment."""
    at = live.clock.now()
    columns = live.campaigns
    rates, delay = live.rates(), live.delay_ms()
    return {
        "at": round(at, 3),
        "is_connected": live.broker.is_connected,
        "silent_s": round(live.silent_s, 1),
        "is_caught_up": live.is_caught_up,
        "lag": live.lag,
        "newest_s": _age(at, live.newest_at),
        "campaigns": len(columns),
        "states": _counts(columns, "state", [state.value for state in STATES]),
        "actions": _counts(columns, "action", list(ACTION_NAMES)),
        "bindings": _counts(columns, "binding", list(BINDING_NAMES)),
        "platforms": list(columns.platforms),
        "money": _money(columns, at),
        "rounds_s": None if rates is None else round(rates.rounds, 1),
        "decisions_s": None if rates is None else round(rates.decisions, 1),
        "changes_s": None if rates is None else round(rates.changes, 1),
        "delay_ms": None if delay is None else [round(value, 1) for value in delay],
        "interval_ms": live.interval_ms,
        "workers": len(live.workers),
        "alive": len(alive_workers(live)),
        "owned": sum(bool(owner.name) for owner in live.owners.values()),
        "partitions": PARTITIONS,
        "halted": len(live.halted),
    }


def alive_workers(live: Live) -> list[str]:
    """Return the workers that were heard within the fleet's suspicion time."""
    now = live.clock.monotonic()
    return [name for name, one in live.workers.items() if now - one.heard_at < SUSPICION_S]


def _age(at: float, then: float) -> float | None:
    return round(max(at - then, 0.0), 1) if then else None


def _counts(columns: CampaignColumns, name: str, names: list[str]) -> dict[str, int]:
    column = columns.column(name)
    known = column[column < min(len(names), UNDECIDED)]
    counts = np.bincount(known, minlength=len(names)).tolist()
    return {one: count for one, count in zip(names, counts, strict=True) if count}


def _money(columns: CampaignColumns, at: float) -> list[dict[str, Any]]:
    """Return what was spent and planned, by currency: sums over several would mean nothing."""
    currency = columns.column("currency")
    settled = np.maximum(columns.column("settled_micros"), 0)
    reserved = np.maximum(columns.column("reserved_micros"), 0)
    planned = np.nan_to_num(columns.planned(at))
    rows = []
    for number, name in enumerate(columns.currencies):
        mine = currency == number
        rows.append(
            {
                "currency": name,
                "campaigns": int(mine.sum()),
                "budget": int(columns.column("budget_micros")[mine].sum()),
                "settled": int(settled[mine].sum()),
                "reserved": int(reserved[mine].sum()),
                "planned": int(planned[mine].sum()),
            }
        )
    return sorted(rows, key=lambda row: -row["campaigns"])
