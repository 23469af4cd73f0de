"""A log of what platforms reported, as columns: a row a campaign, platform and stretch of time."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.core.rows import SAMPLE_ROW
from engine.domain.campaign import Definition
from engine.domain.ids import series_key
from engine.domain.money import unit_micros

__all__ = ["Log", "Rows", "cadence_ms", "fill", "rows_of", "sample_rows", "units_of"]

Ints = NDArray[np.int64]

_TICKS = 2**32


class Log(msgspec.Struct, frozen=True):
    """Reports, ascending by time, then campaign and platform; each of the three together once."""

    campaigns: tuple[str, ...]
    platforms: tuple[str, ...]
    campaign: Ints  # index into `campaigns`
    platform: Ints  # index into `platforms`
    at_ms: Ints  # end of the stretch
    impressions: Ints
    clicks: Ints
    milliconversions: Ints
    spend_micros: Ints
    bid_micros: Ints | None  # the bid that was in force; 0: not known

    def __len__(self) -> int:
        return len(self.at_ms)


class Rows(msgspec.Struct, frozen=True):
    """The rows of a log that campaigns have a platform for.

    A series is a campaign on a platform; series are counted through all `definitions`, platforms in
    the order of each definition, whether the log has rows of them or not.
    """

    definitions: tuple[Definition, ...]
    names: tuple[tuple[str, str], ...]  # campaign and platform of each series
    keys: NDArray[np.uint64]  # of each series, as the core knows it
    owner: Ints  # of each series: index into `definitions`
    series: Ints  # of each row
    at_ms: Ints
    impressions: Ints
    clicks: Ints
    milliconversions: Ints
    spend_micros: Ints
    bid_micros: Ints | None
    ignored: int  # rows of the log that no campaign has a platform for

    def __len__(self) -> int:
        return len(self.at_ms)


def rows_of(log: Log, definitions: Sequence[Definition]) -> Rows:
    """Return the rows of a log that belong to some campaigns."""
    names = tuple((one.id, platform) for one in definitions for platform in one.platforms)
    owner = [i for i, one in enumerate(definitions) for _ in one.platforms]
    place = {name: i for i, name in enumerate(names)}
    table = np.array(
        [
            [place.get((campaign, platform), -1) for platform in log.platforms]
            for campaign in log.campaigns
        ],
        np.int64,
    ).reshape(len(log.campaigns), len(log.platforms))
    series = table[log.campaign, log.platform] if len(log) else np.zeros(0, np.int64)
    kept = series >= 0
    bids = log.bid_micros
    return Rows(
        definitions=tuple(definitions),
        names=names,
        keys=np.array([series_key(*name) for name in names], np.uint64),
        owner=np.array(owner, np.int64),
        series=series[kept],
        at_ms=log.at_ms[kept],
        impressions=log.impressions[kept],
        clicks=log.clicks[kept],
        milliconversions=log.milliconversions[kept],
        spend_micros=log.spend_micros[kept],
        bid_micros=None if bids is None else bids[kept],
        ignored=int(len(log) - kept.sum()),
    )


def cadence_ms(at_ms: Ints) -> int | None:
    """Return how far apart the times of a log usually are; None where there are fewer than two.

    The commonest distance, the shortest of equals:

    >>> cadence_ms(np.array([0, 0, 10, 20, 20, 50]))
    10
    """
    distances, counts = np.unique(np.diff(np.unique(at_ms)), return_counts=True)
    return int(distances[counts.argmax()]) if len(distances) else None


def sample_rows(rows: Rows, tick_ms: int) -> NDArray[np.void]:
    """Return all rows as SAMPLE_ROWs, in their order: series and times only, to be filled."""
    found = np.zeros(len(rows), SAMPLE_ROW)
    found["series"] = rows.keys[rows.series]
    found["tick"] = rows.at_ms // tick_ms % _TICKS
    return found


def fill(
    found: NDArray[np.void],
    units: Ints,
    *,
    impressions: Ints,
    clicks: Ints,
    milliconversions: Ints,
    spend_micros: Ints,
) -> None:
    """Write counts and spend into SAMPLE_ROWs; `units` is the unit of money of each."""
    found["impressions"] = impressions
    found["clicks"] = clicks
    found["milliconversions"] = milliconversions
    found["spend_units"], found["spend_rest_micros"] = np.divmod(spend_micros, units)


def units_of(rows: Rows) -> Ints:
    """Return the unit of money, in micros, of each series."""
    units = np.array([unit_micros(one.currency) for one in rows.definitions], np.int64)
    return units[rows.owner]
