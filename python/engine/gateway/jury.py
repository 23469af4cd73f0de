"""Whether applied changes have helped: each is judged a day later, by what came of it."""

import numpy as np
from numpy.typing import NDArray

from engine.clock import Clock
from engine.gateway.columns import BUDGET, SERVING, STEER
from engine.gateway.desk import Desk
from engine.gateway.hours import CONVERSIONS, REVENUE, SPEND, Hours
from engine.gateway.ledger import Ledger
from engine.gateway.settings import AccountSettings
from engine.gateway.tally import Tally
from engine.gateway.verdict import HOURS, judge
from engine.messaging.changes import Change
from engine.platforms.port import Lever

__all__ = ["Jury"]

JUDGED_AT_ONCE = 50
_MOST_REMEMBERED = 100  # times at which an entity was changed for a campaign


class Jury:
    """Remembers the changes of an ad account, and puts the verdicts into its journal."""

    def __init__(
        self,
        *,
        desk: Desk,
        ledger: Ledger,
        tally: Tally,
        clock: Clock,
        settings: AccountSettings,
    ) -> None:
        self._desk = desk
        self._ledger = ledger
        self._tally = tally
        self._clock = clock
        self._settings = settings
        self._unjudged: list[tuple[float, Change]] = []
        self._touched: dict[tuple[str, str], list[float]] = {}

    def sent(self, change: Change, place: int, now: float) -> None:
        """Remember a change that has just been sent, where the desk says that it was applied."""
        move = {Lever.SERVING.value: SERVING, Lever.DAILY_BUDGET.value: BUDGET}.get(
            change.lever, STEER
        )
        if self._desk.columns.moved_at[place, move] >= now - 1.0:
            self.remember(change, "applied", now)

    def remember(self, change: Change, result: str, at: float, *, is_judged: bool = False) -> None:
        """Keep an applied change to be judged, a day later, by what came of it."""
        if result != "applied" or not self._settings.live:
            return
        times = self._touched.setdefault((change.entity, change.campaign), [])
        times.append(at)
        if len(times) > _MOST_REMEMBERED:
            del times[0]
        if change.lever != Lever.SERVING.value and not is_judged:
            self._unjudged.append((at, change))

    async def judge(self, hours: Hours) -> None:
        """Say of changes that are a day old whether they have helped."""
        step = hours.step_s
        side = int(HOURS * 3600 / step)
        ripe_s = (HOURS + 1) * 3600 + 2 * self._settings.poll_every
        now = self._clock.now()
        ripe = [one for one in self._unjudged if now - one[0] >= ripe_s][:JUDGED_AT_ONCE]
        for at, change in ripe:
            self._unjudged.remove((at, change))
            place = self._desk.place(change.campaign, change.entity)
            first = int((at - hours.since) // step)
            if place is None or first - side < 0 or first + 1 + side > hours.stretches:
                continue
            profit = self._profit(hours, place)
            touched = self._touched.get((change.entity, change.campaign), [])
            others = sum(0 < abs(other - at) < HOURS * 3600 for other in touched)
            verdict = judge(
                profit[first - side : first],
                profit[first + 1 : first + 1 + side],
                others=others,
            )
            name = verdict.verdict
            setattr(self._tally, name, getattr(self._tally, name) + 1)
            await self._ledger.judge(
                change.id,
                verdict=name,
                low_micros_per_h=verdict.low,
                high_micros_per_h=verdict.high,
                hours=verdict.hours,
                reason=verdict.reason,
            )

    def _profit(self, hours: Hours, place: int) -> NDArray[np.float64]:
        """Return what each stretch brought less what it cost, micros."""
        counts = hours.counts()[place].astype(np.float64)
        value = float(self._desk.columns.value[place])
        if np.isnan(value):
            value = float(np.nan_to_num(self._desk.columns.most_cpa[place]))
        brought = counts[:, CONVERSIONS] / 1000.0 * value
        if not value:
            brought = counts[:, REVENUE]
        return np.asarray(brought - counts[:, SPEND])
