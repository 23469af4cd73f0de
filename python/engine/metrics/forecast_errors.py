"""How well forecasts did: each sample against the forecast in force when it came.

Sums only, of what was expected, what came, and the absolute difference, by platform and currency:
their ratios over any time are the mean error weighted by clicks (WAPE), and the bias.
"""

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.core.frames import decode_frame, spend_micros
from engine.domain.campaign import Campaign
from engine.domain.ids import series_key
from engine.errors import MalformedMessageError
from engine.messaging.ports import Message
from engine.messaging.records import Decide

__all__ = ["ForecastErrors", "Sums"]

Floats = NDArray[np.float64]


class Sums(msgspec.Struct):
    """Of the samples of one platform and currency that had a forecast. Money in micros."""

    clicks: int = 0
    spend_expected: float = 0.0
    spend: float = 0.0
    spend_error: float = 0.0  # absolute, sample by sample
    conversions_expected: float = 0.0
    conversions: float = 0.0
    conversions_error: float = 0.0


class ForecastErrors:
    """Knows the newest forecast of every series, and counts samples against them."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, str], Sums] = {}  # by platform and currency
        self._places: dict[tuple[str, str], int] = {}  # by campaign and platform
        self._keys: NDArray[np.uint64] = np.zeros(0, np.uint64)  # ascending
        self._order: NDArray[np.int64] = np.zeros(0, np.int64)  # the place of each of them
        self._names: list[tuple[str, str]] = []
        self._cpc: Floats = np.full(1024, np.nan)
        self._cvr: Floats = np.full(1024, np.nan)
        self._is_sorted = True

    def forecast(self, record: Decide) -> None:
        """Note what a round has forecast."""
        columns, row = record.changed, 0
        for i, campaign in enumerate(columns.campaign):
            for at in range(row, row + columns.series_count[i]):
                place = self._place(campaign, record.platforms[columns.platform[at]])
                cpc, cvr = columns.cpc_micros[at], columns.cvr[at]
                self._cpc[place] = np.nan if cpc is None else cpc
                self._cvr[place] = np.nan if cvr is None else min(max(cvr, 0.0), 1.0)
            row += columns.series_count[i]

    def count(self, message: Message, campaigns: Mapping[str, Campaign]) -> int:
        """Count a frame against the forecasts in force; return how many samples it has."""
        try:
            frame = decode_frame(message.payload)
        except MalformedMessageError:
            return 0
        rows = frame.rows
        if not len(rows) or not self._places:
            return len(rows)
        self._sort()
        keys = rows["series"]
        found = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        known = self._keys[found] == keys
        places = self._order[found]
        clicks = rows["clicks"].astype(np.float64)
        known &= (clicks > 0) & ~np.isnan(self._cpc[places])
        if not known.any():
            return len(rows)
        places, clicks = places[known], clicks[known]
        spend = spend_micros(rows, frame.unit_micros)[known].astype(np.float64)
        conversions = rows["milliconversions"].astype(np.float64)[known] / 1000
        expected = self._cpc[places] * clicks
        converting = np.nan_to_num(self._cvr[places]) * clicks
        for place in np.unique(places).tolist():
            mine = places == place
            sums = self._sums_of(place, campaigns)
            sums.clicks += int(clicks[mine].sum())
            sums.spend_expected += float(expected[mine].sum())
            sums.spend += float(spend[mine].sum())
            sums.spend_error += float(np.abs(expected[mine] - spend[mine]).sum())
            sums.conversions_expected += float(converting[mine].sum())
            sums.conversions += float(conversions[mine].sum())
            sums.conversions_error += float(np.abs(converting[mine] - conversions[mine]).sum())
        return len(rows)

    def _sums_of(self, place: int, campaigns: Mapping[str, Campaign]) -> Sums:
        name, platform = self._names[place]
        campaign = campaigns.get(name)
        currency = "unknown" if campaign is None else campaign.definition.currency
        return self.sums.setdefault((platform, currency), Sums())

    def _place(self, campaign: str, platform: str) -> int:
        place = self._places.get((campaign, platform))
        if place is None:
            place = self._places[campaign, platform] = len(self._names)
            self._names.append((campaign, platform))
            self._is_sorted = False
            if place >= len(self._cpc):
                self._cpc = np.append(self._cpc, np.full(len(self._cpc), np.nan))
                self._cvr = np.append(self._cvr, np.full(len(self._cvr), np.nan))
        return place

    def _sort(self) -> None:
        if self._is_sorted:
            return
        keys = np.array([series_key(*name) for name in self._names], np.uint64)
        self._order = np.argsort(keys)
        self._keys = keys[self._order]
        self._is_sorted = True
