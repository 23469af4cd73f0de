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

    def add(self, campaign: Campaign) -> None:
        """Learn the keys of a campaign and its series; those learnt before stay."""
        name = campaign.definition.id
        self.campaigns[campaign_key(name)] = name
        for platform in campaign.definition.platforms:
            self.platforms[series_key(name, platform)] = platform


def columns_of(decided: Round, names: Names) -> tuple[list[str], Columns]:
    """Return the platforms and the columns of a Decide record: only what changed."""
    changed = decided.decisions[decided.decisions["is_changed"] == 1]
    if not len(changed):
        return [], Columns()
    counts = changed["series_count"].astype(np.int64)
    series = decided.series[_rows(changed["first"].astype(np.int64), counts)]
    by_row = [names.platforms[key] for key in series["series"].tolist()]
    platforms = sorted(set(by_row))
    index = {platform: i for i, platform in enumerate(platforms)}
    platform = np.array([index[name] for name in by_row], dtype=np.int64)
    return platforms, Columns(
        campaign=[names.campaigns[key] for key in changed["campaign"].tolist()],
        action=changed["action"].tolist(),
        binding=changed["binding"].tolist(),
        best=_best(changed["best"].astype(np.int64), counts, platform),
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


def _rows(first: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices first[0], first[0]+1, … (counts[0] of them), first[1], ….

    >>> _rows(np.array([4, 0]), np.array([2, 3])).tolist()
    [4, 5, 0, 1, 2]
    """
    begins = np.cumsum(counts) - counts  # where each campaign's rows begin in the answer
    return np.repeat(first - begins, counts) + np.arange(counts.sum())


def _best(
    best: NDArray[np.int64], counts: NDArray[np.int64], platform: NDArray[np.int64]
) -> list[int]:
    """Turn "of its own series" into "of the record's platforms"; -1 stays."""
    begins = np.cumsum(counts) - counts
    none = best < 0
    row = np.where(none, 0, begins + best)
    found: list[int] = np.where(none, -1, platform[row]).tolist()
    return found


def _answers(column: NDArray[np.float64]) -> list[float | None]:
    """Return the forecasts, None where the core had no answer yet (NaN)."""
    answers: list[float | None] = column.tolist()
    if np.isnan(column).any():
        return [None if answer != answer else answer for answer in answers]
    return answers
