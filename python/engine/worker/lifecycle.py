"""Changes of state that time and money bring: a flight begins or ends, a budget is used up.

They are found after a round has been committed and written to the campaign table by
compare-and-swap. Whoever changed the entry meanwhile wins: the newer entry is applied first, and
if the change is still due it is found again. Raising a budget again is the publisher's to do.
"""

import heapq
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.domain.codec import encode_campaign
from engine.domain.decision import Binding
from engine.domain.lifecycle import LEGAL, State, transition
from engine.worker.columns import Names
from engine.worker.state import Entry

__all__ = ["Change", "Lifecycle", "changed", "planned_per_s", "used_up"]


class Change(NamedTuple):
    """A change of state that is due, on top of one revision of a campaign's entry."""

    entry: Entry
    state: State
    note: str


class Lifecycle:
    """The instants at which flights begin and end, soonest first.

    A change is given once for a revision; `again` puts one back that could not be written.
    """

    def __init__(self) -> None:
        self._instants: list[tuple[float, int, str]] = []  # epoch seconds, revision, campaign
        self._given: dict[str, int] = {}  # the revision for which a change was given

    def watch(self, entries: Iterable[Entry]) -> None:
        """Follow campaigns whose entries are new in force."""
        for revision, campaign in entries:
            flight, name = campaign.definition.flight, campaign.definition.id
            if campaign.state is State.SCHEDULED:
                heapq.heappush(self._instants, (flight.starts_at, revision, name))
            if State.COMPLETED in LEGAL[campaign.state]:
                heapq.heappush(self._instants, (flight.ends_at, revision, name))

    def due(self, entries: dict[str, Entry], *, at: float, spent: Iterable[str]) -> list[Change]:
        """Return the changes due at a time, given the entries in force and who has used up."""
        changes = []
        while self._instants and self._instants[0][0] <= at:
            _, revision, name = heapq.heappop(self._instants)
            entry = entries.get(name)
            if entry is not None and entry.revision == revision:
                changes += self._give(_by_time(entry, at))
        for name in spent:
            entry = entries[name]
            if State.EXHAUSTED in LEGAL[entry.campaign.state]:
                change = Change(entry, State.EXHAUSTED, "the budget is spent")
                changes += self._give(change)
        return changes

    def again(self, change: Change, *, at: float) -> None:
        """Let a change that could not be written be found again, at a time or later."""
        name = change.entry.campaign.definition.id
        self._given.pop(name, None)
        heapq.heappush(self._instants, (at, change.entry.revision, name))

    def _give(self, change: Change | None) -> list[Change]:
        if change is None:
            return []
        name, revision = change.entry.campaign.definition.id, change.entry.revision
        if self._given.get(name) == revision:
            return []
        self._given[name] = revision
        return [change]


def planned_per_s(entries: Iterable[Entry]) -> float:
    """Return what the active campaigns among them plan to spend a second, in micros."""
    definitions = (
        entry.campaign.definition for entry in entries if entry.campaign.state is State.ACTIVE
    )
    return sum(
        one.budget_micros / max(1.0, one.flight.ends_at - one.flight.starts_at)
        for one in definitions
    )


_OF_BUDGET = int(Binding.BUDGET)  # an array compares itself with an enumeration twice as slowly


def used_up(decisions: NDArray[np.void], names: Names) -> list[str]:
    """Return the campaigns with nothing left: no bid for want of budget, nothing reserved."""
    over = (decisions["binding"] == _OF_BUDGET) & (decisions["reserved_micros"] == 0)
    return [names.campaigns[key] for key in decisions["campaign"][over].tolist()]


def changed(change: Change, *, at: float, by: str) -> bytes:
    """Return the campaign of a change in its new state, as the table keeps it."""
    campaign = change.entry.campaign
    return encode_campaign(
        msgspec.structs.replace(
            campaign,
            state=transition(campaign.definition.id, campaign.state, change.state),
            changed_at=at,
            changed_by=by,
            note=change.note,
        )
    )


def _by_time(entry: Entry, at: float) -> Change | None:
    campaign = entry.campaign
    flight = campaign.definition.flight
    if at >= flight.ends_at and State.COMPLETED in LEGAL[campaign.state]:
        return Change(entry, State.COMPLETED, "the flight is over")
    if at >= flight.starts_at and campaign.state is State.SCHEDULED:
        return Change(entry, State.ACTIVE, "the flight has begun")
    return None
