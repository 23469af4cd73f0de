"""The rows of `engine top`: campaigns, workers and platforms; filtered, sorted, and cut to size."""

import heapq
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Literal

import msgspec

from engine.domain.campaign import Campaign
from engine.domain.decision import Action, Binding
from engine.domain.lifecycle import State
from engine.metrics.board import Board
from engine.reports.facts import Row, choose, code_name, parse
from engine.reports.plan import planned_micros
from engine.reports.where import Where

__all__ = [
    "SORTS",
    "CampaignLine",
    "Filter",
    "PlatformLine",
    "Sort",
    "WorkerLine",
    "campaign_lines",
    "filter_of",
    "platform_lines",
    "worker_lines",
]

Sort = Literal["spent", "pace", "left", "bid", "roi", "confidence", "decided", "state", "id"]
SORTS: tuple[Sort, ...] = (
    *("spent", "pace", "left", "bid", "roi"),
    *("confidence", "decided", "state", "id"),
)
AGAIN = 5_000  # campaigns judged again at each look, as time alone changes some fields


class CampaignLine(msgspec.Struct, frozen=True):
    """A campaign as the table shows it. Money in micros of its currency."""

    campaign: str
    state: str
    currency: str
    budget_micros: int
    spent_micros: int | None
    planned_micros: int
    best: str | None
    bid_micros: int | None
    cpc_micros: float | None
    cvr: float | None
    roi_micros: float | None
    confidence: float | None
    action: str | None
    bound_by: str | None
    decided_ago_s: float | None

    @property
    def pace(self) -> float | None:
        if self.spent_micros is None or not self.planned_micros:
            return None
        return self.spent_micros / self.planned_micros


class WorkerLine(msgspec.Struct, frozen=True):
    """A worker as it says it is."""

    worker: str
    state: str
    version: str
    partitions: int
    rounds: int
    decisions: int
    samples: int
    lag_frames: int
    round_ms: float
    late_rounds: int
    skipped_rounds: int
    heard_ago_s: float


class PlatformLine(msgspec.Struct, frozen=True):
    """A platform: what is bid there, and what its gateway says of one of its ad accounts."""

    platform: str
    campaigns: int  # active ones that name it
    bidding: int
    losing: int  # forecast to lose money there
    ad_account: str | None = None  # None: no gateway heard
    is_live: bool = False
    breaker: str | None = None
    operations_left: int | None = None
    operations_a_day: int | None = None
    waiting: int = 0
    held_back: int = 0


class Filter:
    """Which campaigns are shown: by an expression, or by a part of their id.

    Remembers the answer until there is news of a campaign; of the others some are asked again at
    each look, because time passes.
    """

    def __init__(self, text: str, where: Where[Row] | None) -> None:
        self.text = text
        self._where = where
        self._fits: set[str] = set()
        self._known: set[str] = set()
        self._turn = 0

    def names(self, board: Board, now: float) -> Iterable[str]:
        """Return the ids of the campaigns that fit."""
        if not self.text:
            return board.campaigns.keys()
        news = [*board.touched, *(board.campaigns.keys() - self._known)]
        board.touched.clear()
        for name in news:
            self._judge(board, name, now)
        if self._where is not None:
            for name in islice(board.campaigns, self._turn, self._turn + AGAIN):
                self._judge(board, name, now)
            self._turn = self._turn + AGAIN if self._turn + AGAIN < len(board.campaigns) else 0
        return self._fits

    def _judge(self, board: Board, name: str, now: float) -> None:
        campaign = board.campaigns.get(name)
        if campaign is None:
            return
        self._known.add(name)
        if self._where is None:
            fits = self.text.lower() in name.lower()
        else:
            decision, ledger = board.decision(name), board.ledger(name)
            fits = choose(self._where, campaign, decision, ledger, now).fits is True
        (self._fits.add if fits else self._fits.discard)(name)


def filter_of(text: str) -> Filter:
    """Return the filter that a text is: an expression where it reads as one, else part of an id.

    Raises WhereError, where it looks like an expression and is wrong.
    """
    text = text.strip()
    if not text:
        return Filter("", None)
    if not any(sign in text for sign in "=<>~ "):
        return Filter(text, None)
    return Filter(text, parse(text))


def campaign_lines(
    board: Board, names: Iterable[str], *, sort: Sort, ascending: bool, first: int, count: int,
    now: float,
) -> list[CampaignLine]:  # fmt: skip
    """Return the lines from place `first`, `count` of them at most, best first by what is asked."""
    key = _key(board, sort, now)
    if sort in ("id", "state"):
        ascending = not ascending  # names go up where figures go down
    pick = heapq.nsmallest if ascending else heapq.nlargest
    chosen = pick(first + count, names, key=lambda name: (key(name), name))
    return [_line(board, name, now) for name in chosen[first:]]


def _key(board: Board, sort: Sort, now: float) -> Callable[[str], float | str]:
    """Return what campaigns are sorted by; what is not known goes below everything."""
    lowest = float("-inf")

    def of_ledger(found: Callable[[Campaign, int], float]) -> Callable[[str], float | str]:
        def key(name: str) -> float:
            ledger = board.ledger(name)
            return lowest if ledger is None else found(board.campaigns[name], ledger[0])

        return key

    def of_best(field: str) -> Callable[[str], float | str]:
        def key(name: str) -> float:
            best = board.best(name)
            value = None if best is None else getattr(best, field)
            return lowest if value is None else float(value)

        return key

    def decided(name: str) -> float:
        codes = board.codes(name)
        return lowest if codes is None else codes[2]

    def pace(campaign: Campaign, spent: int) -> float:
        planned = planned_micros(campaign.definition, now)
        return spent / planned if planned else lowest

    keys: dict[Sort, Callable[[str], float | str]] = {
        "spent": of_ledger(lambda _, spent: spent),
        "left": of_ledger(lambda campaign, spent: campaign.definition.budget_micros - spent),
        "pace": of_ledger(pace),
        "bid": of_best("bid_micros"),
        "roi": of_best("roi_micros"),
        "confidence": of_best("confidence"),
        "decided": decided,
        "state": lambda name: board.campaigns[name].state.value,
        "id": lambda name: name,
    }
    return keys[sort]


def _line(board: Board, name: str, now: float) -> CampaignLine:
    campaign = board.campaigns[name]
    definition = campaign.definition
    ledger, best, codes = board.ledger(name), board.best(name), board.codes(name)
    return CampaignLine(
        campaign=name,
        state=campaign.state.value,
        currency=definition.currency,
        budget_micros=definition.budget_micros,
        spent_micros=None if ledger is None else ledger[0],
        planned_micros=planned_micros(definition, now),
        best=None if best is None else best.platform,
        bid_micros=None if best is None else best.bid_micros,
        cpc_micros=None if best is None else best.cpc_micros,
        cvr=None if best is None else best.cvr,
        roi_micros=None if best is None else best.roi_micros,
        confidence=None if best is None else best.confidence,
        action=None if codes is None else code_name(codes[0]),
        bound_by=None if codes is None or codes[1] is Binding.NONE else code_name(codes[1]),
        decided_ago_s=None if codes is None else max(now - codes[2], 0.0),
    )


def worker_lines(board: Board) -> list[WorkerLine]:
    """Return the workers heard, by name."""
    return [
        WorkerLine(
            worker=name,
            state="silent" if not one.is_alive else "draining" if one.beat.draining else "alive",
            version=one.beat.version,
            partitions=len(one.beat.partitions) if one.is_alive else 0,
            rounds=one.beat.rounds,
            decisions=one.beat.decisions,
            samples=one.beat.samples,
            lag_frames=one.beat.lag_frames,
            round_ms=one.beat.round_ms,
            late_rounds=one.beat.late_rounds,
            skipped_rounds=one.beat.skipped_rounds,
            heard_ago_s=one.ago_s,
        )
        for name, one in board.workers().items()
    ]


def platform_lines(board: Board) -> list[PlatformLine]:
    """Return the platforms that active campaigns name or gateways serve, by name."""
    campaigns: dict[str, int] = {}
    bidding: dict[str, int] = {}
    losing: dict[str, int] = {}
    for name, campaign in board.campaigns.items():
        if campaign.state is not State.ACTIVE:
            continue
        for platform in campaign.definition.platforms:
            campaigns[platform] = campaigns.get(platform, 0) + 1
        codes = board.codes(name)
        for platform, bid, roi in board.bids(name):
            if bid and codes is not None and codes[0] is not Action.HOLD:
                bidding[platform] = bidding.get(platform, 0) + 1
            if roi is not None and roi < 0:
                losing[platform] = losing.get(platform, 0) + 1
    served = [
        (one.platform, one) for status in board.gateways().values() for one in status.accounts
    ]
    lines = []
    for platform in sorted(campaigns.keys() | {name for name, _ in served}):
        counts = (campaigns.get(platform, 0), bidding.get(platform, 0), losing.get(platform, 0))
        mine = [one for name, one in served if name == platform]
        if not mine:
            lines.append(PlatformLine(platform, *counts))
        lines.extend(
            PlatformLine(
                platform,
                *counts,
                ad_account=one.ad_account,
                is_live=one.is_live,
                breaker=one.breaker,
                operations_left=one.operations_left,
                operations_a_day=one.operations_a_day,
                waiting=one.waiting,
                held_back=sum(one.held_back.values()),
            )
            for one in mine
        )
    return lines
