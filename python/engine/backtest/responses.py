"""How platforms answer bids, fitted from a log that shows them only at the bids in force.

For each series, clicks go as bid^a and what a click costs as bid^b around what the log has seen in
each stretch: at the bid that was in force the model gives back the log itself. Both are monotone.
The exponents are ridge regressions in logs, hour by hour of the day where there are days enough,
towards a prior: bids that hardly moved say little, and then the prior speaks. A log without bids is
read by its spend: clicks go as spend^g, so the bid in force was the marginal price cpc/g.

What this cannot know: bids are not moved at random in a log, so the exponents carry the habits of
whoever moved them. Counts beyond the highest bid seen are not believed in: the model saturates.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.backtest.log import Rows

__all__ = ["Fitted", "Responses", "fit"]

Floats = NDArray[np.float64]

# Exponents expected where a log says nothing, how sure that is (1/sd²), and what is believed.
CLICKS = (1.0, 4.0, 0.1, 4.0)  # of bid
COST = (0.7, 8.0, 0.05, 1.0)  # of bid; a click never costs more than in proportion
SPEND = (0.65, 60.0, 0.3, 0.8)  # clicks, of spend
NOISE = 0.1  # variance of log clicks from hour to hour that counts do not explain
MOST_SPEND = 2.0  # without bids: how many times a stretch's spend may be gone beyond
LOCAL = 12  # stretches to either side that a stretch's CVR is taken from
PRIOR_CLICKS = 100.0  # what the series' own CVR weighs there
HOUR_MS = 3_600_000
DAYS = 3  # below, hours of the day cannot be told from days


class Fitted(msgspec.Struct, frozen=True):
    """What was fitted of one series."""

    clicks_exponent: float
    cost_exponent: float
    evidence: float  # 0 to 1: how much of the exponents is the log's, not the prior's
    is_by_bids: bool


class Responses(msgspec.Struct, frozen=True):
    """The model, row by row of a log: what a stretch would have given at another bid."""

    fitted: tuple[Fitted, ...]  # of each series
    clicks_exponent: Floats  # of each row, as the rest
    cost_exponent: Floats
    bid_micros: Floats  # in force
    most_ratio: Floats  # of a bid to the one in force, up to which the model goes
    cvr: Floats  # smooth: the stretch's own conversions are mostly chance
    clicks: Floats
    spend_micros: Floats
    impressions: Floats

    @property
    def concavity(self) -> Floats:
        """Return g, where clicks go as spend^g: below 1, each click more costs more."""
        found: Floats = self.clicks_exponent / (self.clicks_exponent + self.cost_exponent)
        return found

    @property
    def most_spend(self) -> Floats:
        """Return the most that a stretch's spend may be multiplied by."""
        found: Floats = self.most_ratio ** (self.clicks_exponent + self.cost_exponent)
        return found

    def at(self, rows: slice, bid_micros: Floats) -> tuple[Floats, Floats, Floats]:
        """Return expected impressions, clicks and spend (micros) of some rows at other bids."""
        ratio = np.minimum(bid_micros / self.bid_micros[rows], self.most_ratio[rows])
        more = np.where(ratio > 0, ratio, 0.0) ** self.clicks_exponent[rows]
        dearer = np.where(ratio > 0, ratio, 0.0) ** self.cost_exponent[rows]
        return (
            self.impressions[rows] * more,
            self.clicks[rows] * more,
            self.spend_micros[rows] * more * dearer,
        )


def fit(rows: Rows) -> Responses:
    """Return the model that a log suggests."""
    clicks = rows.clicks.astype(np.float64)
    spend = rows.spend_micros.astype(np.float64)
    count = len(rows.names)
    order = np.argsort(rows.series, kind="stable")
    ends = np.searchsorted(rows.series[order], np.arange(count + 1))
    columns = {
        name: np.ones(len(rows)) for name in ("clicks_exponent", "cost_exponent", "bid", "most")
    }
    cvr = np.zeros(len(rows))
    usual = _usual_cvr(rows)
    fitted = []
    for series in range(count):
        mine = order[ends[series] : ends[series + 1]]
        bids = None if rows.bid_micros is None else rows.bid_micros[mine].astype(np.float64)
        one, bid, most = _fit_one(clicks[mine], spend[mine], bids, rows.at_ms[mine])
        fitted.append(one)
        columns["clicks_exponent"][mine] = one.clicks_exponent
        columns["cost_exponent"][mine] = one.cost_exponent
        columns["bid"][mine] = bid
        columns["most"][mine] = most
        cvr[mine] = _local_cvr(
            clicks[mine], rows.milliconversions[mine] / 1000.0, usual[rows.owner[series]]
        )
    return Responses(
        fitted=tuple(fitted),
        clicks_exponent=columns["clicks_exponent"],
        cost_exponent=columns["cost_exponent"],
        bid_micros=columns["bid"],
        most_ratio=columns["most"],
        cvr=cvr,
        clicks=clicks,
        spend_micros=spend,
        impressions=rows.impressions.astype(np.float64),
    )


def _fit_one(
    clicks: Floats, spend: Floats, bids: Floats | None, at_ms: NDArray[np.int64]
) -> tuple[Fitted, Floats, Floats]:
    """Return what was fitted of a series, its bids in force, and how far the model goes beyond."""
    all_clicks = clicks.sum()
    usual_cpc = spend.sum() / all_clicks if all_clicks and spend.sum() else 1e6
    cpc = np.divide(spend, clicks, out=np.full(len(clicks), usual_cpc), where=clicks > 0)
    cpc = np.where(cpc > 0, cpc, usual_cpc)
    known = (clicks > 0) & (spend > 0)
    if bids is not None and (bids > 0).any():
        bid = np.where(bids > 0, bids, np.median(bids[bids > 0]))
        known &= bids > 0
        weight = clicks[known] / (1 + NOISE * clicks[known])
        log_bid, log_clicks, log_cpc = _by_hour(
            at_ms[known], weight, np.log(bid[known]), np.log(clicks[known]), np.log(cpc[known])
        )
        more, says = _ridge(log_bid, log_clicks, weight, CLICKS)
        dearer, _ = _ridge(log_bid, log_cpc, weight, COST)
        return Fitted(more, dearer, says, is_by_bids=True), bid, bid.max(initial=1.0) / bid
    weight = clicks[known] / (1 + NOISE * clicks[known])
    log_spend, log_clicks = _by_hour(
        at_ms[known], weight, np.log(spend[known]), np.log(clicks[known])
    )
    power, says = _ridge(log_spend, log_clicks, weight, SPEND)
    more = power / (1 - power)
    most = np.full(len(clicks), MOST_SPEND ** (1 / (more + 1)))
    return Fitted(more, 1.0, says, is_by_bids=False), cpc / power, most


def _by_hour(at_ms: NDArray[np.int64], weight: Floats, *columns: Floats) -> tuple[Floats, ...]:
    """Return columns less their mean: of the hour of the day where there are days enough."""
    if not len(at_ms):
        return columns
    days = (at_ms.max() - at_ms.min()) / (24 * HOUR_MS)
    hour = at_ms // HOUR_MS % 24 if days >= DAYS else np.zeros(len(at_ms), np.int64)
    heavy = np.maximum(np.bincount(hour, weight, 24), 1e-12)
    return tuple(
        column - (np.bincount(hour, weight * column, 24) / heavy)[hour] for column in columns
    )


def _ridge(
    x: Floats, y: Floats, weight: Floats, prior: tuple[float, float, float, float]
) -> tuple[float, float]:
    """Return a slope within its bounds, and how much of it is the data's (0 to 1)."""
    wanted, sure, least, most = prior
    seen = float((weight * x * x).sum())
    slope = (float((weight * x * y).sum()) + sure * wanted) / (seen + sure)
    return min(max(slope, least), most), seen / (seen + sure)


def _usual_cvr(rows: Rows) -> Floats:
    """Return the CVR of each campaign over all its platforms."""
    owner, count = rows.owner[rows.series], len(rows.definitions)
    clicks = np.bincount(owner, rows.clicks, count)
    conversions = np.bincount(owner, rows.milliconversions, count) / 1000.0
    return np.divide(conversions, clicks, out=np.zeros(count), where=clicks > 0)


def _local_cvr(clicks: Floats, conversions: Floats, usual: float) -> Floats:
    """Return the CVR around each stretch, drawn to the series' and that to the campaign's."""
    own = (conversions.sum() + PRIOR_CLICKS * usual) / (clicks.sum() + PRIOR_CLICKS)
    summed = [np.concatenate([[0.0], np.cumsum(column)]) for column in (clicks, conversions)]
    place = np.arange(len(clicks))
    low, high = np.maximum(place - LOCAL, 0), np.minimum(place + LOCAL + 1, len(clicks))
    around_clicks, around = (column[high] - column[low] for column in summed)
    found: Floats = (around + PRIOR_CLICKS * own) / (around_clicks + PRIOR_CLICKS)
    return found
