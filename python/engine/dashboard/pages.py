"""The pages beside the table: platforms, workers, and the health of it all."""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from engine.dashboard.columns import CampaignColumns, binding_of
from engine.dashboard.live import Handover, Live, Worker
from engine.dashboard.query import code_name
from engine.domain.decision import Binding
from engine.domain.ids import PARTITIONS
from engine.fleet.membership import SUSPICION_S

__all__ = ["platforms_page", "workers_page"]

_GATEWAY_SILENT_S = 5.0  # five statuses missed
_HANDOVERS_SHOWN = 20  # rows
_TOGETHER_S = 5.0


def platforms_page(live: Live) -> dict[str, Any]:
    """Return what is bid on each platform, and what the gateways say of it."""
    columns, now = live.campaigns, live.clock.monotonic()
    return {
        "platforms": [_platform(columns, number) for number in _by_name(columns)],
        "gateways": [
            {
                "name": name,
                "version": status.version,
                "heard_s": round(now - heard_at, 1),
                "is_silent": now - heard_at > _GATEWAY_SILENT_S,
                "is_halted": status.is_halted,
                "accounts": msgspec.to_builtins(status.accounts),
            }
            for name, (status, heard_at) in sorted(live.gateways.items())
        ],
    }


def workers_page(live: Live) -> dict[str, Any]:
    """Return the workers, who owns each partition, and which changed hands."""
    now, at = live.clock.monotonic(), live.clock.now()
    return {
        "workers": [
            _worker(name, worker, now, live.interval_ms)
            for name, worker in sorted(live.workers.items())
        ],
        "partitions": [_partition(live, number, at) for number in range(PARTITIONS)],
        "handovers": _handovers(live.handovers),
        "interval_ms": live.interval_ms,
    }


def _handovers(found: Iterable[Handover]) -> list[dict[str, Any]]:
    """Return who took or left which partitions, newest first; what came together as one row."""
    rows: list[dict[str, Any]] = []
    for one in reversed(list(found)):
        what = {"owner": one.owner, "before": one.before, "is_release": one.is_release}
        last = rows[-1] if rows else None
        if last and last["what"] == what and last["at"] - one.at <= _TOGETHER_S:
            last["partitions"].append(one.partition)
        elif len(rows) == _HANDOVERS_SHOWN:
            break
        else:
            rows.append({"what": what, "at": one.at, "partitions": [one.partition]})
    return [
        row["what"] | {"at": row["at"], "partitions": sorted(row["partitions"])} for row in rows
    ]


def _worker(name: str, worker: Worker, now: float, interval_ms: float | None) -> dict[str, Any]:
    beat, silent_s = worker.beat, now - worker.heard_at
    state = "draining" if beat.draining else "alive"
    rates = {field: worker.rate(field) for field in ("rounds", "decisions", "samples")}
    return {
        "name": name,
        "version": beat.version,
        "state": "silent" if silent_s >= SUSPICION_S else state,
        "heard_ms": round(silent_s * 1000),
        "up_s": round(max(beat.at - beat.started_at, 0)),
        "partitions": len(beat.partitions),
        "lag": beat.lag_frames,
        "round_ms": round(beat.round_ms, 1),
        "load": None if not interval_ms else round(beat.round_ms / interval_ms, 4),
        "late": beat.late_rounds,
        "skipped": beat.skipped_rounds,
        **{f"{field}_s": None if rate is None else round(rate, 1) for field, rate in rates.items()},
    }


def _partition(live: Live, number: int, at: float) -> dict[str, Any]:
    owner = live.owners.get(number)
    if owner is None:
        return {"owner": "", "epoch": None, "age_s": None, "round": None, "is_halted": False}
    return {
        "owner": owner.name,
        "epoch": owner.epoch,
        "age_s": round(max(at - owner.at, 0.0), 1),
        "round": owner.round,
        "is_halted": number in live.halted,
    }


def _by_name(columns: CampaignColumns) -> list[int]:
    return sorted(range(len(columns.platforms)), key=columns.platforms.__getitem__)


def _platform(columns: CampaignColumns, number: int) -> dict[str, Any]:
    """Return a platform's bids and forecasts; amounts are of its commonest currency only."""
    given = columns.series("is_given")[:, number]
    bids = columns.series("bid_micros")[:, number]
    currency, mine = _commonest_currency(columns, given)
    bound = np.bincount(columns.series("bound_by")[given, number], minlength=1)
    held = {
        code_name(binding_of(code)): int(count)
        for code, count in enumerate(bound.tolist())
        if count and code != Binding.NONE
    }
    return {
        "name": columns.platforms[number],
        "campaigns": int(columns.series("is_named")[:, number].sum()),
        "bidding": int((given & (bids > 0)).sum()),
        "best": int((columns.column("best") == number).sum()),
        "currency": currency,
        "bid": _median(bids[mine & (bids > 0)]),
        "cpc": _median(columns.series("cpc_micros")[mine, number]),
        "cvr": _median(columns.series("cvr")[mine, number], digits=6),
        "roi": _median(columns.series("roi_micros")[mine, number]),
        "confidence": _median(columns.series("confidence")[mine, number], digits=3),
        "cap": int(columns.series("cap_micros")[mine, number].sum()),
        "bound_by": dict(sorted(held.items(), key=lambda item: -item[1])),
    }


def _commonest_currency(
    columns: CampaignColumns, given: "np.ndarray[Any, Any]"
) -> tuple[str | None, "np.ndarray[Any, Any]"]:
    currency = columns.column("currency")
    known = currency[given & (currency >= 0)]
    if not len(known):
        return None, given
    commonest = int(np.bincount(known).argmax())
    return columns.currencies[commonest], given & (currency == commonest)


def _median(values: "np.ndarray[Any, Any]", digits: int = 0) -> float | None:
    known = values[np.isfinite(values)]
    return round(float(np.median(known)), digits) if len(known) else None
