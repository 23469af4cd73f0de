"""A round as the columns of a record: the campaigns whose decision changed, and the platforms."""

import numpy as np
from numpy.typing import NDArray

from engine.core.book import Round
from engine.domain.campaign import Campaign
from engine.domain.ids import campaign_key, series_key
from engine.messaging.records import Columns

__all__ = ["Names", "columns_of"]


class Names:
    """Ids and platforms by the keys that the core knows them by."""

    def __init__(self) -> None:
        self.campaigns: dict[int, str] = {}
        self.platforms: dict[int, str] = {}  # by series key
        # Of the newest round: rounds ask about the same campaigns and series until some come or go.
        self._campaign_keys = self._series_keys = np.empty(0, np.uint64)
        self._ids = np.empty(0, np.object_)
        self._placed: tuple[list[str], NDArray[np.int64]] = [], np.empty(0, np.int64)

    def add(self, campaign: Campaign) -> None:
        """Learn the keys of a campaign and its series; those learnt before stay."""
        name = campaign.definition.id
        self.campaigns[campaign_key(name)] = name
        for platform in campaign.definition.platforms:
            self.platforms[series_key(name, platform)] = platform

    def ids_of(self, campaigns: NDArray[np.uint64]) -> NDArray[np.object_]:
        """Return the ids of campaigns."""
        if not np.array_equal(campaigns, self._campaign_keys):
            self._ids = np.array([self.campaigns[key] for key in campaigns.tolist()], np.object_)
            self._campaign_keys = campaigns.copy()
        return self._ids

    def platforms_of(self, series: NDArray[np.uint64]) -> tuple[list[str], NDArray[np.int64]]:
        """Return the platforms of series, ascending, and where among them each one's is."""
        if not np.array_equal(series, self._series_keys):
            by_row = [self.platforms[key] for key in series.tolist()]
            platforms = sorted(set(by_row))
            index = {platform: i for i, platform in enumerate(platforms)}
            self._placed = platforms, np.array([index[name] for name in by_row], np.int64)
            self._series_keys = series.copy()
        return self._placed


def columns_of(decided: Round, names: Names) -> tuple[list[str], Columns]:
    """Return the platforms and the columns of a Decide record: only what changed."""
    # By `take`, as an index copies such rows field by field, which takes seven times as long.
    (which,) = decided.decisions["is_changed"].nonzero()
    if not len(which):
        return [], Columns()
    changed = decided.decisions.take(which)
    counts = changed["series_count"].astype(np.int64)
    begins = counts.cumsum() - counts  # where each campaign's rows begin in the record
    rows = _rows(changed["first"].astype(np.int64), counts, begins)
    series = decided.series.take(rows)
    every, index = names.platforms_of(decided.series["series"])
    platforms, platform = _used(every, index[rows])
    return platforms, Columns(
        campaign=names.ids_of(decided.decisions["campaign"]).take(which).tolist(),
        action=changed["action"].tolist(),
        binding=changed["binding"].tolist(),
        best=_best(changed["best"].astype(np.int64), begins, platform),
        pacing_multiplier=changed["pacing_multiplier"].tolist(),
        settled_micros=changed["settled_micros"].tolist(),
        reserved_micros=changed["reserved_micros"].tolist(),
        series_count=counts.tolist(),
        platform=platform.tolist(),
        bid_micros=series["bid_micros"].tolist(),
        cap_micros=series["cap_micros"].tolist(),
        cpc_micros=_answers(series["cpc_micros"]),
        cvr=_answers(series["cvr"]),
        roi_micros=_answers(series["roi_micros"]),
        confidence=series["confidence"].tolist(),
        bound_by=series["bound_by"].tolist(),
        condition=series["condition"].tolist(),
        planned_micros=np.rint(series["planned_micros"]).astype(np.int64).tolist(),
    )


def _used(platforms: list[str], index: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64]]:
    """Return those platforms that are pointed at, and the index among them.

    >>> platforms, index = _used(["amazon", "google", "meta"], np.array([2, 0]))
    >>> platforms, index.tolist()
    (['amazon', 'meta'], [1, 0])
    """
    (used,) = np.bincount(index, minlength=len(platforms)).nonzero()
    if len(used) == len(platforms):
        return platforms, index
    return [platforms[i] for i in used.tolist()], np.searchsorted(used, index)


def _rows(
    first: NDArray[np.int64], counts: NDArray[np.int64], begins: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the indices first[0], first[0]+1, … (counts[0] of them), first[1], ….

    >>> _rows(np.array([4, 0]), np.array([2, 3]), begins=np.array([0, 2])).tolist()
    [4, 5, 0, 1, 2]
    """
    found = (first - begins).repeat(counts)
    found += np.arange(len(found))
    return found


def _best(
    best: NDArray[np.int64], begins: NDArray[np.int64], platform: NDArray[np.int64]
) -> list[int]:
    """Turn "of its own series" into "of the record's platforms"; -1 stays."""
    none = best < 0
    row = np.where(none, 0, begins + best)
    found: list[int] = np.where(none, -1, platform[row]).tolist()
    return found


def _answers(column: NDArray[np.float64]) -> list[float | None]:
    """Return the forecasts, None where the core had no answer yet (NaN)."""
    answers: list[float | None] = column.tolist()
    for row in np.isnan(column).nonzero()[0].tolist():
        answers[row] = None
    return answers
