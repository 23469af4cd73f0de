"""A second book beside a recording: the same samples, other parameters, and what it decided."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.backtest.changes import Change, apply_changes
from engine.core.book import Book, Round
from engine.domain.accounts import Halt, Share
from engine.domain.campaign import Campaign
from engine.domain.decision import Action
from engine.messaging.ports import Message
from engine.worker.state import Bury, Entry, State

__all__ = ["CampaignComparison", "Comparison", "WhatIf"]


class CampaignComparison(msgspec.Struct, frozen=True):
    """One campaign's decisions as recorded, and as they would have been. Money in micros."""

    campaign: str
    rounds: int
    changed: int  # rounds in which a bid, the action or what bound it would have been another
    bid_micros: float | None  # mean over rounds and platforms with a bid
    bid_micros_then: float | None
    no_bids: int  # over rounds and platforms
    no_bids_then: int
    reserved_micros: int  # at the end
    reserved_micros_then: int


class Comparison(msgspec.Struct, frozen=True):
    """A partition's decisions as recorded, and as they would have been."""

    decisions: int
    changed: int
    actions: dict[str, int]
    actions_then: dict[str, int]
    campaigns: tuple[CampaignComparison, ...]


class _Changed(State):
    """A state that reads every campaign with changes made."""

    def __init__(
        self, partition: int, book: Book, *, bury: Bury, changes: Sequence[Change]
    ) -> None:
        super().__init__(partition, book, bury=bury)
        self.changes = changes

    def _read(self, message: Message) -> Campaign | Share | Halt | None:
        entry = super()._read(message)
        return _with(entry, self.changes) if isinstance(entry, Campaign) else entry


class _Sums:
    """What one campaign's decisions add up to, recorded first, then the what-if's."""

    __slots__ = ("bids", "changed", "counts", "no_bids", "reserved", "rounds")

    def __init__(self) -> None:
        self.rounds = self.changed = 0
        self.bids = [0, 0]
        self.counts = [0, 0]
        self.no_bids = [0, 0]
        self.reserved = [0, 0]


class WhatIf:
    """A state with changes, and how its decisions compare with the record's."""

    def __init__(self, state: _Changed, changes: Sequence[Change]) -> None:
        self.state = state
        self._changes = changes
        self._is_begun = False
        self._sums: dict[int, _Sums] = {}
        self._actions = np.zeros((2, 256), np.int64)

    @classmethod
    def fork(cls, state: State, changes: Sequence[Change]) -> "WhatIf":
        """Return what goes on from where a state is; changes are in force from its next round."""
        book = Book.restore(state.book.snapshot())
        other = _Changed(state.partition, book, bury=state.bury, changes=())
        for entry in state.entries.values():
            other.learn(entry)
        other.stand_at(state.round, state.metrics_sequence, state.campaigns_revision)
        return cls(other, changes)

    @classmethod
    def anew(cls, state: State, changes: Sequence[Change], *, interval_ms: int) -> "WhatIf":
        """Return what begins with an empty book of another window; as yet only that is changed."""
        windows = [int(change.value) for change in changes if change.field == "window"]
        book = Book(window=windows[-1], interval_ms=interval_ms)
        other = _Changed(state.partition, book, bury=state.bury, changes=())
        return cls(other, changes)

    def begin(self) -> None:
        """Put the changes in force, once."""
        if self._is_begun:
            return
        self._is_begun = True
        self.state.changes = self._changes
        entries = self.state.entries.values()
        others = [Entry(one.revision, _with(one.campaign, self._changes)) for one in entries]
        if others:
            self.state.book.put([one.campaign for one in others])
        for one in others:
            self.state.learn(one)

    def compare(self, recorded: Round, then: Round) -> None:
        """Count a round in: the same campaigns, in the same order, decided twice."""
        differs = _differs(recorded, then)
        for i, decided in enumerate((recorded, then)):
            self._actions[i] += np.bincount(decided.decisions["action"], minlength=256)
        columns = [_columns(decided) for decided in (recorded, then)]
        for row, key in enumerate(recorded.decisions["campaign"].tolist()):
            sums = self._sums.setdefault(key, _Sums())
            sums.rounds += 1
            sums.changed += differs[row]
            for i, (bids, counts, no_bids, reserved) in enumerate(columns):
                sums.bids[i] += bids[row]
                sums.counts[i] += counts[row]
                sums.no_bids[i] += no_bids[row]
                sums.reserved[i] = reserved[row]

    def comparison(self) -> Comparison:
        names = self.state.names.campaigns
        found = [
            CampaignComparison(
                campaign=names[key],
                rounds=sums.rounds,
                changed=sums.changed,
                bid_micros=_mean(sums, 0),
                bid_micros_then=_mean(sums, 1),
                no_bids=sums.no_bids[0],
                no_bids_then=sums.no_bids[1],
                reserved_micros=sums.reserved[0],
                reserved_micros_then=sums.reserved[1],
            )
            for key, sums in self._sums.items()
        ]
        return Comparison(
            decisions=sum(one.rounds for one in found),
            changed=sum(one.changed for one in found),
            actions=_named(self._actions[0]),
            actions_then=_named(self._actions[1]),
            campaigns=tuple(sorted(found, key=lambda one: one.campaign)),
        )


def _with(campaign: Campaign, changes: Sequence[Change]) -> Campaign:
    """Return a campaign with changes made to its definition. Raises ConfigError."""
    definition = apply_changes(campaign.definition, changes)
    return msgspec.structs.replace(campaign, definition=definition)


def _differs(recorded: Round, then: Round) -> list[bool]:
    """Return, campaign by campaign, whether something people would see is another."""
    one, other = recorded.decisions, then.decisions
    differs = (one["action"] != other["action"]) | (one["binding"] != other["binding"])
    if len(one):
        bids = recorded.series["bid_micros"] != then.series["bid_micros"]
        differs |= np.logical_or.reduceat(bids, one["first"].astype(np.int64))
    found: list[bool] = differs.tolist()
    return found


def _columns(decided: Round) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return sums of bids, how many there are and are not, and what is reserved, by campaign."""
    first = decided.decisions["first"].astype(np.int64)
    if not len(first):
        return [], [], [], []

    def total(column: NDArray[np.int64]) -> list[int]:
        summed: list[int] = np.add.reduceat(column, first).tolist()
        return summed

    bids = decided.series["bid_micros"]
    return (
        total(bids),
        total((bids > 0).astype(np.int64)),
        total((bids == 0).astype(np.int64)),
        decided.decisions["reserved_micros"].tolist(),
    )


def _mean(sums: _Sums, which: int) -> float | None:
    return round(sums.bids[which] / sums.counts[which], 2) if sums.counts[which] else None


def _named(counts: NDArray[np.int64]) -> dict[str, int]:
    names = [action.name.lower() for action in Action]
    return {name: int(counts[code]) for code, name in enumerate(names) if counts[code]}
