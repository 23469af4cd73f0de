"""What is true of each series: its prices, its traffic and its odds of a conversion, over time.

This is the knowledge of an oracle. The market uses it to sell, tests and reports to judge; the
engine sees samples and nothing else.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from engine.domain.ids import campaign_key, partition_of, series_key
from engine.domain.money import unit_micros
from engine.market import chance
from engine.market.chance import Floats, Keys
from engine.market.profiles import profile_of
from engine.market.seasons import Drift, traffic

__all__ = ["Landscape", "Series", "Truth", "series_of"]

# Purposes of random numbers: one for each thing that is drawn, so that no two share their luck.
_PRICE, _TRAFFIC, _CVR, _NICHE, _QUALITY, _PRICE_DRIFT, _CVR_DRIFT, _PLATFORM_DRIFT = range(8)


class Series(NamedTuple):
    """A campaign on a platform, with the keys and the unit that its samples need."""

    campaign: str
    platform: str
    partition: int
    key: int
    campaign_key: int
    unit_micros: int


def series_of(campaign: str, platform: str, currency: str = "USD") -> Series:
    """Return the series of a campaign on a platform."""
    key = series_key(campaign, platform)
    unit = unit_micros(currency)
    return Series(campaign, platform, partition_of(campaign), key, campaign_key(campaign), unit)


class Truth(msgspec.Struct, frozen=True):
    """The state of the market at one time, one entry a series."""

    price_log: Floats  # mean of the logarithm of the price to beat, micros
    price_spread: Floats  # and its standard deviation
    opportunities_a_day: Floats  # impressions to be had
    ctr: Floats
    cvr: Floats


class Landscape:
    """The fixed part of some series, and the way to their state at any time.

    Campaigns differ (a niche may be dear, an offer good), and so does each campaign's luck on each
    platform: that is what makes choosing a platform worth while.
    """

    def __init__(self, series: Sequence[Series], *, seed: int) -> None:
        names = sorted({one.platform for one in series})
        place = {name: i for i, name in enumerate(names)}
        self._profiles = [profile_of(name) for name in names]
        self._platform = np.array([place[one.platform] for one in series], np.int64)
        platforms = np.array([campaign_key(name) for name in names], np.uint64)
        self.keys: Keys = np.array([one.key for one in series], np.uint64)
        campaigns = np.array([one.campaign_key for one in series], np.uint64)
        # Profiles are written in dollars; a currency without cents counts a hundred to the dollar.
        scale = np.array([one.unit_micros / 100 for one in series], np.float64)

        def draw(keys: Keys, purpose: int) -> Floats:
            return chance.normal(seed, keys, 0, purpose)

        niche = 0.35 * draw(campaigns, _NICHE)
        own = 0.20 * draw(self.keys, _PRICE)
        self._price_log = np.log(self._column("price_micros") * scale) + niche + own
        # A dear niche is dear because its clicks are worth more.
        quality = 0.25 * draw(campaigns, _QUALITY) + 0.35 * niche
        cvr = self._column("cvr")
        self._logit = np.log(cvr / (1.0 - cvr)) + quality + 0.55 * draw(self.keys, _CVR)
        self._ctr = self._column("ctr")
        luck = np.exp(0.5 * draw(self.keys, _TRAFFIC) - 0.4 * niche)
        self._opportunities = self._column("clicks_a_day") * luck / self._ctr
        self._price_spread = self._column("price_spread")
        self._price_drift = self._column("price_drift")
        self._cvr_drift = self._column("cvr_drift")
        self._shared_path = Drift(seed, platforms, _PLATFORM_DRIFT)
        self._price_path = Drift(seed, self.keys, _PRICE_DRIFT)
        self._cvr_path = Drift(seed, self.keys, _CVR_DRIFT)
        self.noise = self._column("noise")
        self.prompt_share = self._column("prompt_share")
        self.delay_days = self._column("delay_days")

    def at(self, day: float) -> Truth:
        """Return the state of every series at a time in days since a Monday's midnight."""
        shared = self._shared_path.at(day)[self._platform]
        busy = np.array([traffic(profile, day) for profile in self._profiles])[self._platform]
        own = self._price_path.at(day)
        # Rivals spend more when there is more to be had.
        price = self._price_drift * (0.7 * shared + 0.7 * own) + 0.15 * np.log(busy)
        odds = self._cvr_drift * self._cvr_path.at(day)
        return Truth(
            price_log=self._price_log + price,
            price_spread=self._price_spread,
            opportunities_a_day=self._opportunities * busy,
            ctr=self._ctr,
            cvr=1.0 / (1.0 + np.exp(-(self._logit + odds + 0.12 * np.log(busy)))),
        )

    def mean(self) -> Truth:
        """Return the state without seasons and drifts."""
        return Truth(
            price_log=self._price_log,
            price_spread=self._price_spread,
            opportunities_a_day=self._opportunities,
            ctr=self._ctr,
            cvr=1.0 / (1.0 + np.exp(-self._logit)),
        )

    def __len__(self) -> int:
        return len(self.keys)

    def _column(self, field: str) -> Floats:
        """Return a field of each series' profile."""
        values = np.array([getattr(profile, field) for profile in self._profiles], np.float64)
        return values[self._platform]
