"""The market: what every series wins in a step under the bids and caps in force."""

from collections.abc import Iterable

import msgspec
import numpy as np

from engine.market import chance
from engine.market.auction import auction
from engine.market.chance import Floats, Ints, Keys
from engine.market.delays import Delays
from engine.market.landscape import Landscape, Series, Truth

__all__ = ["Books", "Market", "Sold"]

_ARRIVALS, _TRAFFIC, _WON, _CLICKED, _PRICES = range(200, 205)  # purposes of random numbers

# What one sample can hold (core.rows.SAMPLE_ROW).
_MOST_CLICKS = 2**31 - 1
_MOST_UNITS = 2**31 - 1


class Sold(msgspec.Struct, frozen=True):
    """What a step brought, one entry a series, in the order of `Market.series`."""

    step: int
    at_ms: int  # when the step ended, epoch milliseconds
    impressions: Ints
    clicks: Ints
    conversions: Ints  # that came in during the step, whenever their clicks were
    spend_micros: Ints
    has_bid: np.ndarray[tuple[int], np.dtype[np.bool_]]  # whether a bid was in force


class Books(msgspec.Struct):
    """The platforms' own totals since they opened, one entry a series."""

    impressions: Ints
    clicks: Ints
    conversions: Ints
    spend_micros: Ints
    value_micros: Ints


class Market:
    """All platforms, for all campaigns.

    Steps lie on a grid: step n is the stretch of `step_ms` that ends at n · step_ms after the
    epoch. A day takes `day_seconds` (86,400 is life), and day 0, a Monday, begins at `origin_ms`.

    >>> from engine.market.landscape import series_of
    >>> market = Market(seed=7, step_ms=1000, day_seconds=60)
    >>> market.add([(series_of("spring-shoes", "google"), 20_000_000)])
    >>> market.offer("spring-shoes", "google", bid_micros=2_000_000, cap_micros=5_000_000)
    >>> sold = [market.step(n) for n in range(1, 20)]
    >>> sum(int(one.spend_micros[0]) for one in sold) <= 5_000_000
    True
    """

    def __init__(
        self, *, seed: int, step_ms: int = 1000, day_seconds: float = 86_400.0, origin_ms: int = 0
    ) -> None:
        self.seed = seed
        self.step_ms = step_ms
        self.day_seconds = day_seconds
        self.origin_ms = origin_ms
        self.series: list[Series] = []
        self.books = Books(*(np.zeros(0, np.int64) for _ in range(5)))
        self._index: dict[tuple[str, str], int] = {}
        self._offers: dict[tuple[str, str], tuple[int, int]] = {}  # for series not known yet
        self._bid: Ints = np.zeros(0, np.int64)
        self._cap: Ints = np.zeros(0, np.int64)
        self._value: Ints = np.zeros(0, np.int64)
        self._unit: Ints = np.zeros(0, np.int64)
        self._delays = Delays()
        self._landscape = Landscape([], seed=seed)

    def add(self, series: Iterable[tuple[Series, int]]) -> None:
        """Open series, each with the value of a conversion in micros (0: not known).

        Those that are open stay as they are, but for the value. Only an open series is sold to:
        without its currency nobody can say what a bid is worth.
        """
        fresh: list[tuple[str, str]] = []
        values: dict[int, int] = {}
        for one, value_micros in series:
            name = (one.campaign, one.platform)
            if name not in self._index:
                self._index[name] = len(self.series)
                self.series.append(one)
                fresh.append(name)
            values[self._index[name]] = value_micros
        self._grow()
        self._value[list(values)] = list(values.values())
        for name in fresh:
            bid, cap = self._offers.pop(name, (0, 0))
            self.offer(*name, bid_micros=bid, cap_micros=cap)

    def offer(self, campaign: str, platform: str, *, bid_micros: int, cap_micros: int) -> None:
        """Put a bid and a cap in force. The cap is on the series' spend ever; bid 0 is no bid."""
        place = self._index.get((campaign, platform))
        if place is None:
            self._offers[campaign, platform] = (bid_micros, cap_micros)
        else:
            self._bid[place] = bid_micros
            self._cap[place] = cap_micros

    def place_of(self, campaign: str, platform: str) -> int | None:
        """Return where a series stands in `series` and in every array."""
        return self._index.get((campaign, platform))

    def step_at(self, at_ms: int) -> int:
        """Return the newest step that has ended at a time."""
        return at_ms // self.step_ms

    def step(self, step: int) -> Sold:
        """Sell for one step. Never spends past a cap: the last clicks are not sold."""
        landscape, keys = self._current(), self._landscape.keys
        has_bid = (self._bid > 0) & (self._cap > self.books.spend_micros)
        truth = landscape.at(self._day(step))
        bid = np.where(has_bid, self._bid, 0).astype(np.float64)
        odds = auction(truth, bid)
        noise = landscape.noise
        busy = np.exp(noise * chance.normal(self.seed, keys, step, _TRAFFIC) - noise**2 / 2)
        mean = truth.opportunities_a_day * busy * self._step_days
        impressions = chance.binomial(
            chance.poisson(mean, self._luck(keys, step, _ARRIVALS)),
            odds.share,
            self._luck(keys, step, _WON),
        )
        clicks = chance.binomial(impressions, truth.ctr, self._luck(keys, step, _CLICKED))
        clicks = np.minimum(clicks, _MOST_CLICKS)
        spend = self._prices(clicks, odds.cpc_micros, odds.cpc_spread_micros, keys, step)
        clicks, spend = self._stop_at_caps(clicks, spend)
        return self._book(step, impressions, clicks, spend, truth.cvr, has_bid)

    def recall(self, step: int, places: Ints, clicks: Ints, spend_micros: Ints) -> None:
        """Take over what an earlier run of this market sold in a step, for some series.

        Chance being a function of the step, the same clicks bring the same conversions: a market
        that recalls every step since its first goes on exactly as if it had never stopped.
        """
        all_clicks, all_spend = (np.zeros(len(self.series), np.int64) for _ in range(2))
        np.add.at(all_clicks, places, clicks)
        np.add.at(all_spend, places, spend_micros)
        none = np.zeros(len(self.series), np.int64)
        landscape = self._current()
        # Where nobody clicked, nobody converts: only what is under way comes in.
        cvr = landscape.at(self._day(step)).cvr if all_clicks.any() else np.zeros(len(none))
        self._book(step, none, all_clicks, all_spend, cvr, none > 0)

    def assume_spent(self, place: int, micros: int) -> None:
        """Raise a series' spend by an amount of which no more is known, so that its cap holds."""
        self.books.spend_micros[place] += micros

    def truth(self, step: int) -> Truth:
        """Return what only an oracle knows: the state of every series in a step."""
        return self._current().at(self._day(step))

    def _prices(self, clicks: Ints, mean: Floats, spread: Floats, keys: Keys, step: int) -> Ints:
        """Return what a step's clicks cost together, each at most its bid, in whole micros."""
        luck = chance.normal(self.seed, keys, step, _PRICES)
        total = clicks * mean + np.sqrt(clicks) * spread * luck
        # The sum of many prices is close to normal; for few, its tails are cut to what can be.
        total = np.clip(total, clicks * mean * 0.2, clicks * self._bid.astype(np.float64))
        return np.floor(np.minimum(total, self._unit * _MOST_UNITS)).astype(np.int64)

    def _stop_at_caps(self, clicks: Ints, spend: Ints) -> tuple[Ints, Ints]:
        """Drop the clicks that would pass a cap; the others keep their mean price."""
        room = np.maximum(self._cap - self.books.spend_micros, 0)
        over = spend > room
        price = -(-spend // np.maximum(clicks, 1))  # rounded up: at most the bid, which is whole
        kept = np.where(over, room // np.maximum(price, 1), clicks)
        return kept, np.where(over, kept * price, spend)

    def _book(
        self,
        step: int,
        impressions: Ints,
        clicks: Ints,
        spend: Ints,
        cvr: Floats,
        has_bid: np.ndarray[tuple[int], np.dtype[np.bool_]],
    ) -> Sold:
        conversions = self._delays.step(
            clicks,
            cvr=cvr,
            prompt_share=self._landscape.prompt_share,
            delay_days=self._landscape.delay_days,
            step_days=self._step_days,
            seed=self.seed,
            keys=self._landscape.keys,
            step=step,
        )
        books = self.books
        books.impressions += impressions
        books.clicks += clicks
        books.spend_micros += spend
        books.conversions += conversions
        books.value_micros += conversions * self._value
        at_ms = step * self.step_ms
        return Sold(step, at_ms, impressions, clicks, conversions, spend, has_bid)

    def _current(self) -> Landscape:
        """Return the landscape of all open series; drawn again once others have joined."""
        if len(self._landscape) != len(self.series):
            self._landscape = Landscape(self.series, seed=self.seed)
        return self._landscape

    def _grow(self) -> None:
        size = len(self.series)
        more = (0, size - len(self._bid))
        self._bid, self._cap = np.pad(self._bid, more), np.pad(self._cap, more)
        self._value = np.pad(self._value, more)
        self._unit = np.array([one.unit_micros for one in self.series], np.int64)
        for field in Books.__struct_fields__:
            setattr(self.books, field, np.pad(getattr(self.books, field), more))
        self._delays.grow(size)

    def _luck(self, keys: Keys, step: int, purpose: int) -> Floats:
        return chance.uniform(self.seed, keys, step, purpose)

    @property
    def _step_days(self) -> float:
        return self.step_ms / 1000 / self.day_seconds

    def _day(self, step: int) -> float:
        """Return the middle of a step, in days since the first Monday."""
        middle = (step - 0.5) * self.step_ms - self.origin_ms
        return middle / 1000 / self.day_seconds
