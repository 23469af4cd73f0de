"""Which rounds are left out while there are more than there is time for: the least valuable first.

A worker is overloaded when, review after review, more than a few rounds end after the next one was
due, or more frames wait in the stream than before. (A pause of the machine makes some rounds late
as well; of short intervals it lasts several.) Without a choice, whichever rounds came late would be
left out. So partitions with little at stake are decided every second, fourth or eighth time, until
the others are in time again; and as soon as there is time, all are decided every time again.

What is at stake in a round is the money that it steers: what was spent lately from one round to the
next, and what its active campaigns plan to spend in that time, budget over flight. (Micros of
whatever currency: an order, no sum.)
The older a decision gets the more it costs, so a partition that is already decided seldom is worth
more: its stake counts by the square of how seldom.
"""

import heapq
from typing import NamedTuple

import structlog

__all__ = ["SELDOM", "Load", "Told"]

_log = structlog.get_logger(__name__)

SELDOM = 8
"""No partition is decided less often than every eighth time: decisions age eight intervals."""
MOST = 1 - 1 / SELDOM
STEP = 0.125  # of the work, tried again when there seems to be time for it
SPARE = 0.15  # of what was found to be possible: what has come late must be made good
REVIEW_S = 1.0  # at least; longer intervals have a review each
MANY = 1 / 8  # of the work: more than that late is no accident
LATE_REVIEWS = 3  # in a row: a broker that elects a leader is no overload
SETTLING_REVIEWS = 3  # after a change: what was late before it still is
GOOD_REVIEWS = 8  # in a row, before less is left out; twice as many each time that was too early
MOST_GOOD_REVIEWS = 256
LAG_FRAMES = 1_000  # that wait in the stream: fewer are on their way at any time
_REMEMBERED = 0.25  # of the newest round's spend, in the mean of the latest


class _Part:
    """What is known of one partition."""

    __slots__ = ("campaigns", "every", "lag", "planned", "settled", "spent", "turn")

    def __init__(self) -> None:
        self.campaigns = 0
        self.planned = 0.0
        self.settled: int | None = None
        self.spent = 0.0
        self.lag = 0
        self.every = 1
        self.turn = 0

    @property
    def work(self) -> float:
        """Return what a round takes, in campaigns; the round itself counts as one."""
        return 1.0 + self.campaigns

    @property
    def stake(self) -> float:
        return self.planned + self.spent


class Told(NamedTuple):
    """What a round came to."""

    campaigns: int
    settled_micros: int
    planned_micros: float  # what its active campaigns plan to spend in an interval
    late: bool  # it ended after the next one was due
    slow: bool  # it took more than half of the interval
    lag: int  # frames that wait in the stream


class Load:
    """The partitions of a worker, how much is at stake in each, and how often each is decided.

    `share` is the part of all work that is left out, 0 where there is time for everything.
    """

    def __init__(self, *, worker: str, interval: float) -> None:
        self.share = 0.0
        self._worker = worker
        self._interval = interval
        self._parts: dict[int, _Part] = {}
        self._intervals = max(1, round(REVIEW_S / interval))  # that a review looks at
        self._review_at = 0.0  # monotonic
        self._done = 0.0  # work since the last review; of it in rounds that were late, and slow
        self._late = self._slow = 0.0
        self._done_late = 0.0  # in this row of late reviews
        self._settling = 0
        self._late_reviews = self._good_reviews = 0
        self._good_wanted = GOOD_REVIEWS
        self._has_eased = False  # with the last change
        self._lag = 0

    @property
    def is_overloaded(self) -> bool:
        return self.share > 0

    def every(self, partition: int) -> int:
        """Return that a partition is decided every so many times."""
        part = self._parts.get(partition)
        return 1 if part is None else part.every

    def is_due(self, partition: int, due_ms: int) -> bool:
        """Return whether a partition's round at a time is to be decided."""
        part = self._parts.get(partition)
        if part is None or part.every == 1:
            return True
        return (due_ms // round(self._interval * 1000) + part.turn) % part.every == 0

    def disturbed(self) -> None:
        """Note that other work held the rounds up for once: what is late now says nothing of load.

        To take a partition is such work: its history is read and decided again.
        """
        self._done = self._late = self._slow = 0.0
        self._settling = max(self._settling, 1)

    def forget(self, partition: int) -> None:
        """Leave out a partition that this worker does not have any more."""
        self._parts.pop(partition, None)
        if self.is_overloaded:
            self._choose()

    def tell(self, partition: int, told: Told, *, now: float) -> None:
        """Take in what a round came to; `now` is monotonic."""
        if now >= self._review_at:
            if self._review_at:
                self._review()
            self._review_at = now + self._interval * self._intervals
        part = self._parts.setdefault(partition, _Part())
        if part.settled is not None:
            rise = max(0, told.settled_micros - part.settled)
            part.spent += _REMEMBERED * (rise - part.spent)
        part.settled, part.planned = told.settled_micros, told.planned_micros
        part.campaigns, part.lag = told.campaigns, told.lag
        self._done += part.work
        self._late += part.work * told.late
        self._slow += part.work * told.slow

    def _review(self) -> None:
        """Look at the rounds since the last review, and leave out more, or less."""
        done, many = self._done, MANY * self._done
        lag = sum(part.lag for part in self._parts.values())
        is_late = self._late > many or LAG_FRAMES < lag > self._lag
        is_good = not (is_late or self._slow > many)
        self._lag, self._done, self._late, self._slow = lag, 0.0, 0.0, 0.0
        if not self._parts:  # all are with others by now: nothing is known of the next ones
            return
        if self._settling:
            self._settling -= 1
            return
        self._late_reviews = self._late_reviews + 1 if is_late else 0
        self._done_late = self._done_late + done if is_late else 0.0
        self._good_reviews = 0 if is_late else self._good_reviews + is_good
        if self._late_reviews >= LATE_REVIEWS:
            self._shed(self._done_late / self._late_reviews)
        elif self.share and self._good_reviews >= self._good_wanted:
            self._ease()

    def _shed(self, possible: float) -> None:
        """Leave out what is more than was possible while all were late, and some to spare."""
        wanted = 1.0 - (1.0 - SPARE) * possible / (self._intervals * self._all_work())
        if self._has_eased:
            self._good_wanted = min(2 * self._good_wanted, MOST_GOOD_REVIEWS)
        self._has_eased = False
        self._leave_out(min(MOST, max(wanted, self.share + STEP / 2)))

    def _ease(self) -> None:
        """Leave out a little less, and see."""
        if self._has_eased:  # the last time was not too early
            self._good_wanted = GOOD_REVIEWS
        self._has_eased = True
        self._leave_out(max(0.0, self.share - STEP))

    def _all_work(self) -> float:
        return sum(part.work for part in self._parts.values())

    def _leave_out(self, share: float) -> None:
        self._late_reviews = self._good_reviews = 0
        self._done_late = 0.0
        if share == self.share:
            return
        self._settling = SETTLING_REVIEWS
        before, self.share = self.share, share
        self._choose()
        seldom = sorted(number for number, part in self._parts.items() if part.every > 1)
        if not share:
            _log.info("overload_over", worker=self._worker)
            return
        _log.warning(
            "overloaded" if share > before else "overload_eases",
            worker=self._worker,
            share_left_out=round(share, 3),
            partitions_decided_less_often=len(seldom),
            longest_s=round(max(part.every for part in self._parts.values()) * self._interval, 3),
            lag_frames=self._lag,
        )

    def _choose(self) -> None:
        """Let the partitions with the least at stake be decided less often, up to the share."""
        for part in self._parts.values():
            part.every = 1
        left = self.share * self._all_work()
        heap = [(part.stake, number) for number, part in self._parts.items()]
        heapq.heapify(heap)
        while heap and left > 1e-9:
            _, number = heapq.heappop(heap)
            part = self._parts[number]
            left -= part.work / (2 * part.every)
            part.every *= 2
            if part.every < SELDOM:
                heapq.heappush(heap, (part.stake * part.every**2, number))
        seldom = sorted(number for number, part in self._parts.items() if part.every > 1)
        for turn, number in enumerate(seldom):
            self._parts[number].turn = turn  # they take turns
