"""What an earlier run of the market sold, read back from its frames."""

from collections.abc import Callable

import numpy as np
import structlog

from engine.clock import Clock
from engine.core.frames import decode_frame, spend_micros
from engine.errors import MalformedMessageError
from engine.market.chance import Ints
from engine.market.market import Market
from engine.messaging.ports import Frames, Message
from engine.reports.spending import last_of_each
from engine.simulation.samples import rows_at_ms

__all__ = ["recall"]

_log = structlog.get_logger()
# Steps replayed one by one, for the conversions under way. Older ones count by their sums.
_MOST_STEPS = 7_200
_MANY_STEPS = 600  # worth a word before they are replayed
_AT_ONCE = 50
_SAY_EVERY_S = 5.0


async def recall(
    market: Market,
    *,
    frames: Frames,
    clock: Clock,
    settled_micros: dict[str, int],
    is_stopped: Callable[[], bool],
) -> None:
    """Bring a new market's books to where the stored frames leave them.

    That takes seconds where they hold hours: it says how far it is, lets others work meanwhile, and
    ends where it stands once it `is_stopped`.

    `settled_micros` is each campaign's spend as the chain has it. Where that is more than the
    frames show (they are kept for hours, the chain for days) nobody can say which platform spent
    the rest: each then counts it as its own, which may stop one early and lets none overspend.
    """
    reader = _Reader(market, now_ms=round(clock.now() * 1000))
    async with frames.follow(reader.deliver, after=0) as follower:
        await follower.caught_up()
    steps = reader.steps()
    if len(steps) >= _MANY_STEPS:
        _log.info("market_recalling", rows=reader.rows, steps=len(steps))
    said = clock.monotonic()
    for done, step in enumerate(steps):
        if done % _AT_ONCE == 0:
            if is_stopped():
                return
            if clock.monotonic() - said >= _SAY_EVERY_S:
                said = clock.monotonic()
                _log.info("market_recalling", done=done, steps=len(steps))
            await clock.sleep(0)  # answers to the broker's pings, and signals
        reader.tell(step)
    missing = _assume_the_rest(market, settled_micros)
    if reader.rows or missing:
        _log.info("market_recalled", rows=reader.rows, campaigns_older_than_frames=missing)


class _Reader:
    def __init__(self, market: Market, *, now_ms: int) -> None:
        self.rows = 0
        self._market = market
        self._now_ms = now_ms
        keys = np.array([one.key for one in market.series], np.uint64)
        self._order = np.argsort(keys)
        self._keys = keys[self._order]
        self._parts: list[Ints] = []  # columns: place, end of the stretch, clicks, spend
        self._rows: Ints = np.zeros((3, 0), np.int64)  # by step: place, clicks, spend
        self._bounds: Ints = np.zeros(0, np.int64)  # where in these each step begins
        self._oldest = 0

    def deliver(self, message: Message) -> None:
        try:
            frame = decode_frame(message.payload)
        except MalformedMessageError:
            return  # the partition's owner buries it
        rows = frame.rows
        at = np.minimum(np.searchsorted(self._keys, rows["series"]), max(len(self._keys) - 1, 0))
        spent = spend_micros(rows, frame.unit_micros)
        # Most rows of a quiet night have neither: they would fill the memory and change nothing.
        wanted = (rows["clicks"] > 0) | (spent > 0)
        wanted &= self._keys[at] == rows["series"] if len(self._keys) else False
        ended = rows_at_ms(rows, frame.tick_ms, self._now_ms)
        columns = (self._order[at[wanted]], ended[wanted], rows["clicks"][wanted], spent[wanted])
        self._parts.append(np.array(columns, np.int64))
        self.rows += int(wanted.sum())

    def steps(self) -> range:
        """Tell the market what is too old to be replayed; return the steps that are not.

        The last of them is of now at most: what a clock that was ahead has dated later was sold
        nobody knows when.
        """
        if not self.rows:
            return range(0)
        found = np.concatenate(self._parts, axis=1)
        # A second report of a stretch replaces the first, a frame that came twice itself.
        places, ended, clicks, spent = found[:, last_of_each(found[0], found[1])]
        # Other producers' stretches need not end on the grid: they count to the next step.
        steps = -(-ended // self._market.step_ms)
        has_come = steps <= self._market.step_at(self._now_ms) + 1
        newest = int(steps[has_come].max(initial=0))
        oldest = max(int(steps.min()), newest - _MOST_STEPS + 1)
        is_apart = (steps < oldest) | ~has_come
        for place, micros in zip(places[is_apart].tolist(), spent[is_apart].tolist(), strict=True):
            self._market.assume_spent(place, micros)
        order = np.argsort(steps, kind="stable")
        order = order[~is_apart[order]]
        self._rows = np.array((places[order], clicks[order], spent[order]))
        self._bounds = np.searchsorted(steps[order], np.arange(oldest, newest + 2))
        self._oldest = oldest
        return range(oldest, newest + 1)

    def tell(self, step: int) -> None:
        """Tell the market what was sold in one of these steps."""
        first, end = self._bounds[step - self._oldest : step - self._oldest + 2]
        self._market.recall(step, *self._rows[:, first:end])


def _assume_the_rest(market: Market, settled_micros: dict[str, int]) -> int:
    by_campaign: dict[str, list[int]] = {}
    for place, one in enumerate(market.series):
        by_campaign.setdefault(one.campaign, []).append(place)
    missing = 0
    for campaign, settled in settled_micros.items():
        places = by_campaign.get(campaign, [])
        rest = settled - int(market.books.spend_micros[places].sum())
        if rest > 0 and places:
            missing += 1
            for place in places:
                market.assume_spent(place, rest)
    return missing
