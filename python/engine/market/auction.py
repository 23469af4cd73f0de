"""Second-price auctions against log-normal rivals, in closed form.

The highest rival's price p for a click is log-normal, ln p ~ N(m, s²). A bid b wins where p < b and
pays p. With x = (ln b - m)/s the share won is F(x), F being the standard normal distribution;
E[p | p < b] = exp(m + s²/2) F(x - s)/F(x); E[p² | p < b] = exp(2m + 2s²) F(x - 2s)/F(x): the
moments of the truncated log-normal distribution.
"""

import msgspec
import numpy as np

from engine.market.chance import Floats, normal_cdf
from engine.market.landscape import Truth

__all__ = ["Odds", "auction"]

# Below this share nothing is won: ratios of such tails are mostly rounding.
_LEAST_SHARE = 1e-6


class Odds(msgspec.Struct, frozen=True):
    """What a bid can expect: 0 where there is no bid, or one far too low."""

    share: Floats  # of auctions won
    cpc_micros: Floats  # mean price of a click won, always below the bid
    cpc_spread_micros: Floats  # standard deviation of that price


def auction(truth: Truth, bid_micros: Floats) -> Odds:
    """Return the odds of bids, one entry a series."""
    sigma, mu = truth.price_spread, truth.price_log
    x = (np.log(np.maximum(bid_micros, 1.0)) - mu) / sigma
    share = np.where(bid_micros >= 1.0, normal_cdf(x), 0.0)
    won = share > _LEAST_SHARE
    share = np.where(won, share, 0.0)
    below = np.where(won, share, 1.0)
    mean = np.exp(mu + sigma**2 / 2) * normal_cdf(x - sigma) / below
    mean = np.where(won, np.minimum(mean, bid_micros), 0.0)
    square = np.exp(2 * mu + 2 * sigma**2) * normal_cdf(x - 2 * sigma) / below
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    return Odds(share, mean, np.where(won, spread, 0.0))
