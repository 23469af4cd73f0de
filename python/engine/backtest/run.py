"""The rounds of a backtest: the live Book on the log's own time axis, in the worker's order.

Entries, then frames up to the round, then the decision. What the frames say comes from a `World`:
the log as it happened (`Observed`), or a fitted model that answers the engine's own bids and stops
at the caps it gave (`Simulated`). The Book cannot tell the difference.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.backtest.log import Rows, fill, sample_rows, units_of
from engine.backtest.responses import Responses
from engine.core.book import Book, Round
from engine.core.frames import MOST_ROWS, encode_frame, producer_key
from engine.domain.campaign import Campaign, Definition
from engine.domain.decision import Action
from engine.domain.lifecycle import State

__all__ = ["Counts", "Observed", "Outcome", "Predicted", "Simulated", "Trace", "World", "run"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COARSE_MS = 1000  # ticks of a second reach over a lifetime, those of a millisecond over 24 days
TRACED = 4_000  # rounds of which a trace keeps at most about so many


class Counts(NamedTuple):
    """What some stretches came to."""

    impressions: Ints
    clicks: Ints
    milliconversions: Ints
    spend_micros: Ints


class World(Protocol):
    """Where the counts of stretches come from."""

    def answer(self, rows: slice, bid_micros: Ints, cap_micros: Ints) -> Counts:
        """Return what rows came to; bids and caps in force are by series, 0 for none."""
        ...


class Predicted(NamedTuple):
    """What was forecast of each row, in the round before it; NaN where there was no answer."""

    value: Floats
    low: Floats
    high: Floats


class Trace(NamedTuple):
    """Some campaigns' decisions over time: a row a round kept, a column a series (of `series`)."""

    series: Ints
    at_ms: Ints
    bid_micros: Floats
    roi_micros: Floats  # per click, forecast; NaN where there is none


class Outcome(NamedTuple):
    """A run: what the world came to, what was forecast, and what was decided."""

    rounds: int
    counts: Counts  # by row of the log
    cpc: Predicted
    cvr: Predicted
    bid_micros: Ints  # in force in each row, by the engine; 0: none
    actions: Ints  # rounds, by campaign and Action
    bindings: Ints  # rounds, by campaign and Binding
    settled_micros: Ints  # by campaign, at the end
    reserved_micros: Ints
    trace: Trace


class Observed:
    """The log as it happened, whatever the engine would have bid."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def answer(self, rows: slice, bid_micros: Ints, cap_micros: Ints) -> Counts:
        log = self._rows
        columns = (log.impressions, log.clicks, log.milliconversions, log.spend_micros)
        return Counts(*(column[rows] for column in columns))


class Simulated:
    """A fitted model that answers the engine's bids.

    Clicks are whole, their fractions carried to the series' next stretch; conversions are drawn
    (Poisson, seeded) at the model's CVR. A platform stops, within a stretch, at its cap.
    """

    def __init__(self, rows: Rows, responses: Responses, *, seed: int) -> None:
        self._rows = rows
        self._responses = responses
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._spent = np.zeros(len(rows.names), np.int64)
        self._carried = np.zeros(len(rows.names))
        self.expected_conversions = np.zeros(len(rows))

    def answer(self, rows: slice, bid_micros: Ints, cap_micros: Ints) -> Counts:
        """Return what rows come to, each series at most once among them."""
        series = self._rows.series[rows]
        shown, clicks, spend = self._responses.at(rows, bid_micros[series].astype(np.float64))
        room = np.maximum(cap_micros[series] - self._spent[series], 0)
        part = np.minimum(np.divide(room, spend, out=np.ones(len(spend)), where=spend > 0), 1.0)
        spent = np.minimum(np.rint(spend * part).astype(np.int64), room)
        exact = clicks * part + self._carried[series]
        whole = np.floor(exact + 1e-9).astype(np.int64)
        self._carried[series] = exact - whole
        self._spent[series] += spent
        expected = self._responses.cvr[rows] * clicks * part
        self.expected_conversions[rows] = expected
        conversions = self._random.poisson(self._responses.cvr[rows] * whole)
        return Counts(
            impressions=np.maximum(np.rint(shown * part).astype(np.int64), whole),
            clicks=whole,
            milliconversions=conversions.astype(np.int64) * 1000,
            spend_micros=spent,
        )


def run(
    rows: Rows,
    world: World,
    *,
    interval_ms: int,
    cadence_ms: int,
    window: int = 64,
    traced: frozenset[int] = frozenset(),
    progress: Callable[[int], None] = lambda rounds: None,
) -> Outcome:
    """Return what the engine would have done; `traced` are indices of campaigns.

    The first round is one cadence before the log's first report. Raises CoreError where the core
    refuses a campaign.
    """
    return _Run(rows, world, interval_ms, cadence_ms, window, traced).run(progress)


class _Run:
    """One run on its way."""

    def __init__(
        self,
        rows: Rows,
        world: World,
        interval_ms: int,
        cadence_ms: int,
        window: int,
        traced: frozenset[int],
    ) -> None:
        self._rows = rows
        self._world = world
        self._interval_ms = interval_ms
        self._begins_ms = int(rows.at_ms[0]) - cadence_ms
        is_coarse = not (rows.at_ms % COARSE_MS).any() and interval_ms % COARSE_MS == 0
        self._tick_ms = COARSE_MS if is_coarse else 1
        self._book = Book(window=window, tick_ms=self._tick_ms, interval_ms=interval_ms)
        self._samples = sample_rows(rows, self._tick_ms)
        self._units = units_of(rows)
        self._sequence = 0
        series, campaigns = len(rows.names), len(rows.definitions)
        self._bids = np.zeros(series, np.int64)
        self._caps = np.zeros(series, np.int64)
        self._rois = np.full(series, np.nan)
        self._counts = Counts(*(np.zeros(len(rows), np.int64) for _ in Counts._fields))
        self._cpc = Predicted(*(np.full(len(rows), np.nan) for _ in Predicted._fields))
        self._cvr = Predicted(*(np.full(len(rows), np.nan) for _ in Predicted._fields))
        self._bid_of_row = np.zeros(len(rows), np.int64)
        self._actions = np.zeros((campaigns, len(Action)), np.int64)
        # One more than there are names for: a code that this Python does not know yet.
        self._bindings = np.zeros((campaigns, 256), np.int64)
        self._traced = np.flatnonzero(np.isin(rows.owner, sorted(traced)))
        self._kept: list[tuple[int, Floats, Floats]] = []
        self._place: Ints | None = None
        self._owners: Ints | None = None

    def run(self, progress: Callable[[int], None]) -> Outcome:
        rows, book = self._rows, self._book
        book.put([_campaign(one) for one in rows.definitions])
        ends_ms = int(rows.at_ms[-1])
        rounds = 1 + -(-(ends_ms - self._begins_ms) // self._interval_ms)
        every = max(1, rounds // TRACED)
        at_ms, done, decided = self._begins_ms, 0, None
        for number in range(rounds):
            done = self._take_in(done, at_ms)
            decided = book.decide(at_ms)
            self._note(decided, keep=number % every == 0, at_ms=at_ms)
            at_ms += self._interval_ms
            progress(number + 1)
        assert decided is not None
        order = np.argsort(self._owners_of(decided))
        return Outcome(
            rounds=rounds,
            counts=self._counts,
            cpc=self._cpc,
            cvr=self._cvr,
            bid_micros=self._bid_of_row,
            actions=self._actions,
            bindings=self._bindings,
            settled_micros=decided.decisions["settled_micros"][order],
            reserved_micros=decided.decisions["reserved_micros"][order],
            trace=self._trace(),
        )

    def _take_in(self, done: int, at_ms: int) -> int:
        """Count in the rows up to a round; return how many have been by now."""
        rows = self._rows
        end = int(np.searchsorted(rows.at_ms, at_ms, side="right"))
        if end == done:
            return done
        self._predict(done, end, at_ms - self._interval_ms)
        times = rows.at_ms[done:end]
        cuts = [done, *(done + 1 + np.flatnonzero(np.diff(times))).tolist(), end]
        for low, high in pairwise(cuts):
            stretch = slice(low, high)
            counts = self._world.answer(stretch, self._bids, self._caps)
            for column, found in zip(self._counts, counts, strict=True):
                column[stretch] = found
            self._bid_of_row[stretch] = self._bids[rows.series[stretch]]
            units = self._units[rows.series[stretch]]
            fill(self._samples[stretch], units, **counts._asdict())
        for frame in self._frames(done, end):
            self._book.ingest(frame)
        return end

    def _predict(self, done: int, end: int, at_ms: int) -> None:
        """Note what is forecast for rows before the book has seen them."""
        rows, book = self._rows, self._book
        for row in range(done, end):
            campaign, platform = rows.names[rows.series[row]]
            forecast = book.forecast(campaign, platform, at_ms)
            said = ((self._cpc, forecast.cpc_micros), (self._cvr, forecast.reported_cvr))
            for columns, found in said:
                if found is not None:
                    columns.value[row] = found.value
                    columns.low[row] = found.low
                    columns.high[row] = found.high

    def _frames(self, done: int, end: int) -> Iterator[bytes]:
        """Iterate rows as frames, each in one unit of money."""
        units = self._units[self._rows.series[done:end]]
        for unit in np.unique(units).tolist():
            part = self._samples[done:end][units == unit]
            for first in range(0, len(part), MOST_ROWS):
                self._sequence += 1
                yield encode_frame(
                    0,
                    part[first : first + MOST_ROWS],
                    producer=producer_key("backtest"),
                    sequence=self._sequence,
                    unit_micros=unit,
                    tick_ms=self._tick_ms,
                )

    def _note(self, decided: Round, *, keep: bool, at_ms: int) -> None:
        place = self._places(decided)
        self._bids[place] = decided.series["bid_micros"]
        self._caps[place] = decided.series["cap_micros"]
        self._rois[place] = decided.series["roi_micros"]
        owners = self._owners_of(decided)
        self._actions[owners, decided.decisions["action"]] += 1
        self._bindings[owners, decided.decisions["binding"]] += 1
        if keep and len(self._traced):
            bids = self._bids[self._traced].astype(np.float64)
            self._kept.append((at_ms, bids, self._rois[self._traced].copy()))

    def _places(self, decided: Round) -> Ints:
        """Return which series each row of a round is of: the same in all rounds."""
        if self._place is None:
            by_key = {key: i for i, key in enumerate(self._rows.keys.tolist())}
            self._place = np.array([by_key[key] for key in decided.series["series"].tolist()])
        return self._place

    def _owners_of(self, decided: Round) -> Ints:
        """Return which campaign each decision of a round is of: the same in all rounds."""
        if self._owners is None:
            by_name = {one.id: i for i, one in enumerate(self._rows.definitions)}
            names = self._book.names
            keys = decided.decisions["campaign"].tolist()
            self._owners = np.array([by_name[names[key]] for key in keys])
        return self._owners

    def _trace(self) -> Trace:
        width = len(self._traced)
        return Trace(
            series=self._traced,
            at_ms=np.array([at for at, _, _ in self._kept], np.int64),
            bid_micros=np.array([bids for _, bids, _ in self._kept]).reshape(
                len(self._kept), width
            ),
            roi_micros=np.array([rois for _, _, rois in self._kept]).reshape(
                len(self._kept), width
            ),
        )


def _campaign(definition: Definition) -> Campaign:
    """Return a campaign that may bid; the book itself starts and ends its flight."""
    return Campaign(definition=definition, state=State.ACTIVE, changed_at=0.0)
