"""Changes of state that time and money bring, and how they are written."""

import asyncio

import pytest

from engine.domain.campaign import Flight
from engine.domain.codec import decode_campaign, encode_campaign
from engine.domain.lifecycle import State
from engine.messaging.memory import MemoryBroker
from engine.worker.chores import Chores
from engine.worker.lifecycle import Change, Lifecycle, changed
from engine.worker.state import Entry
from support.clock import ManualClock, settle
from support.definitions import START, campaign

NAME = "spring-shoes"
FLIGHT = Flight(starts_at=START + 10, ends_at=START + 100)


def entry(state: State, *, revision: int = 1) -> Entry:
    return Entry(revision, campaign(NAME, state=state, flight=FLIGHT))


def due(lifecycle: Lifecycle, found: Entry, *, at: float, is_spent: bool = False) -> list[State]:
    spent = [NAME] if is_spent else []
    return [change.state for change in lifecycle.due({NAME: found}, at=START + at, spent=spent)]


@pytest.mark.parametrize(
    ("state", "at", "wanted"),
    [
        (State.SCHEDULED, 9, []),
        (State.SCHEDULED, 10, [State.ACTIVE]),
        (State.SCHEDULED, 100, [State.COMPLETED]),  # nobody was there while it lasted
        (State.ACTIVE, 99, []),
        (State.ACTIVE, 100, [State.COMPLETED]),
        (State.PAUSED, 50, []),
        (State.PAUSED, 100, [State.COMPLETED]),
        (State.EXHAUSTED, 100, [State.COMPLETED]),
        (State.DRAFT, 100, []),
        (State.STOPPED, 100, []),
        (State.COMPLETED, 100, []),
    ],
)
def test_time_changes_a_state(state: State, at: float, wanted: list[State]) -> None:
    lifecycle, found = Lifecycle(), entry(state)
    lifecycle.watch([found])
    assert due(lifecycle, found, at=at) == wanted


@pytest.mark.parametrize(
    ("state", "wanted"),
    [(State.ACTIVE, [State.EXHAUSTED]), (State.PAUSED, []), (State.STOPPED, [])],
)
def test_a_used_up_budget_exhausts_what_is_active(state: State, wanted: list[State]) -> None:
    lifecycle, found = Lifecycle(), entry(state)
    lifecycle.watch([found])
    assert due(lifecycle, found, at=50, is_spent=True) == wanted


def test_a_change_is_given_once_for_a_revision() -> None:
    lifecycle, found = Lifecycle(), entry(State.ACTIVE)
    lifecycle.watch([found])
    assert due(lifecycle, found, at=50, is_spent=True) == [State.EXHAUSTED]
    assert due(lifecycle, found, at=51, is_spent=True) == []
    newer = entry(State.ACTIVE, revision=2)
    lifecycle.watch([newer])
    assert due(lifecycle, newer, at=52, is_spent=True) == [State.EXHAUSTED]


def test_an_instant_of_an_entry_written_over_means_nothing() -> None:
    lifecycle, found = Lifecycle(), entry(State.SCHEDULED)
    lifecycle.watch([found])
    newer = entry(State.PAUSED, revision=2)
    lifecycle.watch([newer])
    assert due(lifecycle, newer, at=10) == []


def test_a_change_that_could_not_be_written_is_found_again() -> None:
    lifecycle, found = Lifecycle(), entry(State.SCHEDULED)
    lifecycle.watch([found])
    (change,) = lifecycle.due({NAME: found}, at=START + 10, spent=[])
    lifecycle.again(change, at=START + 11)
    assert due(lifecycle, found, at=10.5) == []
    assert due(lifecycle, found, at=11) == [State.ACTIVE]


def test_a_changed_campaign_says_who_when_and_why() -> None:
    change = Change(entry(State.SCHEDULED), State.ACTIVE, "the flight has begun")
    after = decode_campaign("", changed(change, at=START + 10, by="w1"))
    assert (after.state, after.changed_at, after.changed_by, after.note) == (
        State.ACTIVE,
        START + 10,
        "w1",
        "the flight has begun",
    )
    assert after.definition == change.entry.campaign.definition


async def test_an_entry_changed_meanwhile_is_not_written_over() -> None:
    clock = ManualClock(START)
    broker = MemoryBroker(clock=clock)
    first = campaign(NAME, flight=FLIGHT)
    revision = await broker.campaigns.put(NAME, encode_campaign(first), expected=0)
    paused = campaign(NAME, state=State.PAUSED, flight=FLIGHT)
    await broker.campaigns.put(NAME, encode_campaign(paused), expected=revision)
    chores = Chores(
        25,
        snapshots=broker.snapshots,
        campaigns=broker.campaigns,
        clock=clock,
        worker="w1",
        lifecycle=Lifecycle(),
    )
    chores.change([Change(Entry(revision, first), State.EXHAUSTED, "the budget is spent")])
    task = asyncio.create_task(chores.run())
    await settle()
    task.cancel()
    await asyncio.wait([task])
    newest = await broker.campaigns.get(NAME)
    assert newest is not None
    assert decode_campaign("", newest.payload).state is State.PAUSED
