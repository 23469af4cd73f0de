"""All campaigns as columns: what a table of any length is sorted, filtered and cut from.

One row a campaign, in the order in which they were first heard of; one column of the second kind
a platform. Decisions are written here as they come, a whole record in a few array operations, so
that following a fleet costs little and showing it costs nothing until somebody looks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.domain.campaign import Campaign
from engine.domain.decision import Action, Binding, Decision, PlatformDecision
from engine.domain.ids import partition_of
from engine.domain.lifecycle import State
from engine.messaging.records import Decide, Keep
from engine.reports.plan import planned_micros

__all__ = [
    "NO_STATE",
    "STATES",
    "TREND",
    "TREND_SECONDS",
    "UNDECIDED",
    "CampaignColumns",
    "binding_of",
]

STATES = tuple(State)
UNDECIDED = 255  # the code of an action and a binding where nothing was decided yet
NO_STATE = 255  # decided for, but not in the table of campaigns (yet)
TREND = 36  # points of a trend
TREND_SECONDS = 5.0  # between two of them

_FIELDS: dict[str, tuple[Any, Any]] = {
    # of the definition
    "state": (np.uint8, NO_STATE),
    "currency": (np.int32, -1),
    "budget_micros": (np.int64, 0),
    "plan_micros": (np.int64, 0),  # of the whole flight
    "starts_at": (np.float64, np.nan),
    "ends_at": (np.float64, np.nan),
    # of the newest decision
    "action": (np.uint8, UNDECIDED),
    "binding": (np.uint8, UNDECIDED),
    "best": (np.int32, -1),
    "pacing": (np.float64, np.nan),
    "settled_micros": (np.int64, -1),  # -1: nothing is known
    "reserved_micros": (np.int64, -1),
    "decided_at": (np.float64, np.nan),
    "epoch": (np.int64, 0),
    "round": (np.int64, 0),
    # of it, of the platform with the highest ROI (or, without one, the highest bid)
    "bid_micros": (np.int64, 0),
    "roi_micros": (np.float64, np.nan),
    "confidence": (np.float64, np.nan),
}
_SERIES: dict[str, tuple[Any, Any]] = {
    "is_named": (np.bool_, False),  # by the definition, or by a decision once
    "is_given": (np.bool_, False),  # by the newest decision
    "bid_micros": (np.int64, 0),
    "cap_micros": (np.int64, 0),
    "cpc_micros": (np.float64, np.nan),
    "cvr": (np.float64, np.nan),
    "roi_micros": (np.float64, np.nan),
    "confidence": (np.float64, np.nan),
    "bound_by": (np.uint8, 0),
}


class CampaignColumns:
    """Grows as campaigns and platforms are heard of; never shrinks."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.texts: list[str] = []  # what a search looks in, lower case
        self.labels: list[str] = []  # display names
        self.payloads: list[bytes] = []  # of the table's entries; b"" where there is none
        self.revisions: list[int] = []
        self.row_of: dict[str, int] = {}
        self.platforms: list[str] = []
        self.currencies: list[str] = []
        self.entries = 0  # how many entries have been read: changes with every definition
        self._platform_of: dict[str, int] = {}
        self._currency_of: dict[str, int] = {}
        self._room, self._width = 256, 4
        self._columns = {
            name: np.full(self._room, empty, kind) for name, (kind, empty) in _FIELDS.items()
        }
        self._series = {
            name: np.full((self._room, self._width), empty, kind)
            for name, (kind, empty) in _SERIES.items()
        }
        self._trend = np.full((self._room, TREND), np.nan, np.float32)
        self._trend_at = 0.0
        self._ranks: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """Return how many campaigns there are."""
        return len(self.names)

    def column(self, name: str) -> NDArray[Any]:
        """Return a column, a row a campaign; it looks into the live figures."""
        return self._columns[name][: len(self.names)]

    def series(self, name: str) -> NDArray[Any]:
        """Return a column of series: campaigns by platforms."""
        return self._series[name][: len(self.names), : len(self.platforms)]

    @property
    def trend(self) -> NDArray[np.float32]:
        """Return the ROI of each campaign at the newest `TREND` looks, oldest first."""
        return self._trend[: len(self.names)]

    @property
    def ranks(self) -> NDArray[np.int64]:
        """Return the place of each campaign in the order of names."""
        if self._ranks is None or len(self._ranks) != len(self.names):
            order = np.argsort(np.array(self.names, dtype=object), kind="stable")
            self._ranks = np.empty(len(order), np.int64)
            self._ranks[order] = np.arange(len(order))
        return self._ranks

    def planned(self, at: float) -> NDArray[np.float64]:
        """Return what each campaign was meant to have spent by a time, in micros."""
        starts, ends = self.column("starts_at"), self.column("ends_at")
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.clip((at - starts) / (ends - starts), 0.0, 1.0)
        planned: NDArray[np.float64] = np.rint(self.column("plan_micros") * share)
        return planned

    def put(self, campaign: Campaign, *, revision: int, payload: bytes) -> None:
        """Write what the table of campaigns has of one."""
        definition = campaign.definition
        row = self._row(definition.id)
        columns = self._columns
        columns["state"][row] = STATES.index(campaign.state)
        columns["currency"][row] = self._index(
            definition.currency, self._currency_of, self.currencies
        )
        columns["budget_micros"][row] = definition.budget_micros
        columns["plan_micros"][row] = planned_micros(definition, definition.flight.ends_at)
        columns["starts_at"][row] = definition.flight.starts_at
        columns["ends_at"][row] = definition.flight.ends_at
        numbers = [self.platform(platform) for platform in definition.platforms]
        self._series["is_named"][row] = False
        self._series["is_named"][row, numbers] = True
        words = [definition.id, definition.name, definition.account or "", definition.currency]
        words += [*definition.platforms, *definition.labels, *definition.labels.values()]
        self.texts[row] = "\n".join(words).lower()
        self.labels[row] = definition.name
        self.payloads[row] = payload
        self.revisions[row] = revision
        self.entries += 1

    def decide(self, record: Decide) -> NDArray[np.int64]:
        """Write the decisions of a record; return their rows, in the record's order."""
        changed = record.changed
        rows = np.array([self._row(name) for name in changed.campaign], np.int64)
        if not len(rows):
            return rows
        ours = np.array([self.platform(name) for name in record.platforms] or [0], np.int64)
        columns, series = self._columns, self._series
        columns["action"][rows] = changed.action
        columns["binding"][rows] = changed.binding
        columns["pacing"][rows] = changed.pacing_multiplier
        columns["settled_micros"][rows] = changed.settled_micros
        columns["reserved_micros"][rows] = changed.reserved_micros
        columns["decided_at"][rows] = record.at_ms / 1000
        columns["epoch"][rows] = record.epoch
        columns["round"][rows] = record.round
        best = np.array(changed.best, np.int64)
        best = np.where(best < 0, -1, ours[np.maximum(best, 0)])
        columns["best"][rows] = best

        for name, (_, empty) in _SERIES.items():
            if name != "is_named":
                series[name][rows] = empty
        owner = np.repeat(rows, changed.series_count)
        platform = ours[np.array(changed.platform, np.int64)]
        series["is_given"][owner, platform] = True
        series["is_named"][owner, platform] = True
        for name in ("bid_micros", "cap_micros", "cpc_micros", "cvr", "roi_micros", "confidence"):
            kind = _SERIES[name][0]
            series[name][owner, platform] = np.array(getattr(changed, name), kind)  # None: NaN
        if changed.bound_by:
            series["bound_by"][owner, platform] = changed.bound_by

        bids = series["bid_micros"][rows]
        chosen = np.where(best >= 0, best, bids.argmax(axis=1))
        each = np.arange(len(rows))
        bid = bids[each, chosen]
        columns["bid_micros"][rows] = np.where(bid > 0, bid, bids.max(axis=1))
        columns["roi_micros"][rows] = series["roi_micros"][rows, chosen]
        columns["confidence"][rows] = series["confidence"][rows, chosen]
        return rows

    def keep(self, record: Keep) -> None:
        """Write the ledger that a record of an idle partition repeats."""
        rows = [self._row(name) for name in record.campaign]
        self._columns["settled_micros"][rows] = record.settled_micros
        self._columns["reserved_micros"][rows] = record.reserved_micros

    def look(self, at: float) -> None:
        """Add a point to the trends for each `TREND_SECONDS` that have passed; times rise."""
        if self._trend_at == 0.0:
            self._trend_at = at
        steps = min(int((at - self._trend_at) / TREND_SECONDS), TREND)
        if steps <= 0:
            return
        self._trend_at = max(self._trend_at + steps * TREND_SECONDS, at - TREND_SECONDS)
        self._trend[:, :-steps] = self._trend[:, steps:]
        self._trend[:, -steps:] = self._columns["roi_micros"][:, None]

    def platform(self, name: str) -> int:
        """Return the number of a platform; a new one gets the next."""
        number = self._index(name, self._platform_of, self.platforms)
        if number >= self._width:
            self._widen()
        return number

    def decision(self, row: int) -> Decision | None:
        """Return the newest decision of a campaign; None where nothing was decided yet."""
        columns = self._columns
        if columns["action"][row] == UNDECIDED:
            return None
        best = int(columns["best"][row])
        return Decision(
            campaign=self.names[row],
            partition=partition_of(self.names[row]),
            epoch=int(columns["epoch"][row]),
            round=int(columns["round"][row]),
            at=float(columns["decided_at"][row]),
            action=Action(int(columns["action"][row])),
            binding=binding_of(int(columns["binding"][row])),
            best_platform=None if best < 0 else self.platforms[best],
            pacing_multiplier=float(columns["pacing"][row]),
            settled_micros=int(columns["settled_micros"][row]),
            reserved_micros=int(columns["reserved_micros"][row]),
            platforms=tuple(
                self._platform_decision(row, number)
                for number in np.flatnonzero(self._series["is_given"][row]).tolist()
            ),
        )

    def _platform_decision(self, row: int, number: int) -> PlatformDecision:
        values = {name: self._series[name][row, number].item() for name in _SERIES}
        return PlatformDecision(
            platform=self.platforms[number],
            bid_micros=values["bid_micros"],
            cap_micros=values["cap_micros"],
            cpc_micros=_answer(values["cpc_micros"]),
            cvr=_answer(values["cvr"]),
            roi_micros=_answer(values["roi_micros"]),
            confidence=_answer(values["confidence"]) or 0.0,
            bound_by=binding_of(values["bound_by"]),
        )

    def _row(self, name: str) -> int:
        row = self.row_of.get(name)
        if row is None:
            row = self.row_of[name] = len(self.names)
            self.names.append(name)
            self.texts.append(name.lower())
            self.labels.append("")
            self.payloads.append(b"")
            self.revisions.append(0)
            if row >= self._room:
                self._lengthen()
        return row

    def _index(self, name: str, known: dict[str, int], names: list[str]) -> int:
        number = known.get(name)
        if number is None:
            number = known[name] = len(names)
            names.append(name)
        return number

    def _lengthen(self) -> None:
        for name, (kind, empty) in _FIELDS.items():
            more = np.full(self._room, empty, kind)
            self._columns[name] = np.concatenate([self._columns[name], more])
        for name, (kind, empty) in _SERIES.items():
            block = np.full((self._room, self._width), empty, kind)
            self._series[name] = np.concatenate([self._series[name], block])
        trend = np.full((self._room, TREND), np.nan, np.float32)
        self._trend = np.concatenate([self._trend, trend])
        self._room *= 2

    def _widen(self) -> None:
        for name, (kind, empty) in _SERIES.items():
            block = np.full((self._room, self._width), empty, kind)
            self._series[name] = np.concatenate([self._series[name], block], axis=1)
        self._width *= 2


def binding_of(code: int) -> Binding:
    """Return the binding of a code; NONE for one that a newer engine has added."""
    try:
        return Binding(code)
    except ValueError:
        return Binding.NONE


def _answer(value: float) -> float | None:
    return None if value != value else value
