"""Publishing over a broker in memory: created, updated, left alone, refused."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.campaigns.files.reader import Found, read_definitions
from engine.campaigns.files.times import Relative
from engine.campaigns.publisher import Outcome, Published, Publisher, RefusedError, planned
from engine.campaigns.repository import Repository, Stored, state_by_flight
from engine.domain.campaign import Campaign, Definition, Flight, PlatformBounds
from engine.domain.lifecycle import State
from engine.errors import BrokerError, ConflictError, DefinitionError, TransitionError
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.ports import CampaignTable, Message
from support.clock import ManualClock
from support.definitions import DAY, START, definition


class Desk:
    """A publisher and a repository over one table."""

    def __init__(self, table: CampaignTable | None = None) -> None:
        self.clock = ManualClock(START)
        self.table = table or MemoryBroker(server=MemoryServer(), name="test").campaigns
        self.repository = Repository(table=self.table, clock=self.clock, by="me")
        self.publisher = Publisher(repository=self.repository, clock=self.clock)

    async def publish(
        self, *definitions: Definition, as_draft: bool = False, dry_run: bool = False
    ) -> Published:
        found = [Found(one, "a.yaml", line) for line, one in enumerate(definitions, start=1)]
        return await self.publisher.publish(found, as_draft=as_draft, dry_run=dry_run)

    async def stored(self, campaign: str = "spring-shoes") -> Campaign:
        stored = await self.repository.get(campaign)
        assert stored is not None
        return stored.campaign

    async def move(self, state: State, campaign: str = "spring-shoes") -> None:
        await self.repository.move(campaign, lambda _: state)


def counts(published: Published) -> tuple[int, int, int, int]:
    return (
        published.created,
        published.updated,
        published.unchanged,
        len(published.problems),
    )


async def test_publishing_twice_changes_nothing_the_second_time() -> None:
    desk = Desk()
    many = [definition(f"c{i}") for i in range(200)]
    assert counts(await desk.publish(*many)) == (200, 0, 0, 0)
    before = [message async for message in desk.table.all()]
    assert counts(await desk.publish(*many)) == (0, 0, 200, 0)
    assert [message async for message in desk.table.all()] == before


async def test_a_new_campaign_is_active_in_its_flight_and_scheduled_before_it() -> None:
    desk = Desk()
    later = Flight(starts_at=START + 60, ends_at=START + DAY)
    await desk.publish(definition("now"), definition("later", flight=later))
    assert (await desk.stored("now")).state is State.ACTIVE
    assert (await desk.stored("later")).state is State.SCHEDULED
    assert (await desk.stored("now")).changed_by == "me"


@pytest.mark.parametrize(
    ("ends", "length"), [("+2h", 7_200), ("+1d", 23 * 3_600), ("2024-12-01", None)]
)
async def test_a_flight_that_starts_now_keeps_its_start_when_it_is_published_again(
    ends: str, length: int | None, tmp_path: Path
) -> None:
    # The first of its days, 31 March 2024, has 23 hours where the campaign is.
    began = datetime(2024, 3, 30, 12, tzinfo=UTC).timestamp()
    path = tmp_path / "a.yaml"
    path.write_text(
        "- {id: a, budget: 10, currency: EUR, timezone: Europe/Berlin, conversion_value: 20,\n"
        f"   platforms: [meta], flight: {{starts_at: now, ends_at: {ends}}}}}\n"
    )
    desk = Desk()

    async def publish(at: float) -> Published:
        return await desk.publisher.publish(read_definitions([path], now=at).found)

    assert counts(await publish(began)) == (1, 0, 0, 0)
    first = (await desk.stored("a")).definition.flight
    assert first.starts_at == began
    assert length is None or first.ends_at == began + length
    assert counts(await publish(began + 5_000.5)) == (0, 0, 1, 0)
    path.write_text(path.read_text().replace("now", "+1h"))
    assert counts(await publish(began + 6_000)) == (0, 0, 1, 0)
    path.write_text(path.read_text().replace("budget: 10", "budget: 11"))
    assert counts(await publish(began + 7_000)) == (0, 1, 0, 0)
    assert (await desk.stored("a")).definition.flight == first


async def test_a_campaign_that_was_to_start_later_starts_now_where_its_file_says_so() -> None:
    desk = Desk()
    later = Flight(starts_at=START + 60, ends_at=START + DAY)
    await desk.publish(definition("a", flight=later))
    now = Found(definition("a"), "a.yaml", 1, Relative(ends="+1d"))
    assert counts(await desk.publisher.publish([now])) == (0, 1, 0, 0)
    assert (await desk.stored("a")).definition.flight == now.definition.flight


async def test_a_draft_stays_one_until_it_is_resumed() -> None:
    desk = Desk()
    await desk.publish(definition(), as_draft=True)
    assert (await desk.stored()).state is State.DRAFT
    await desk.publish(definition(budget_micros=5_000_000))
    assert (await desk.stored()).state is State.DRAFT


async def test_a_new_campaign_whose_flight_is_over_is_refused() -> None:
    desk = Desk()
    over = Flight(starts_at=START - DAY, ends_at=START)
    published = await desk.publish(definition("over", flight=over), definition("good"))
    assert counts(published) == (1, 0, 0, 1)
    assert str(published.problems[0]) == (
        "a.yaml:1: over: flight.ends_at: wanted a time to come, for a new campaign, found one past"
    )


@pytest.mark.parametrize("state", [State.PAUSED, State.EXHAUSTED])
async def test_an_update_keeps_the_place_in_life(state: State) -> None:
    desk = Desk()
    await desk.publish(definition())
    await desk.move(state)
    assert counts(await desk.publish(definition(target_reach=7))) == (0, 1, 0, 0)
    assert (await desk.stored()).state is state
    assert (await desk.stored()).definition.target_reach == 7


async def test_raising_the_budget_of_an_exhausted_campaign_lets_it_run_again() -> None:
    desk = Desk()
    await desk.publish(definition())
    await desk.move(State.EXHAUSTED)
    await desk.publish(definition(budget_micros=50_000_000))
    assert (await desk.stored()).state is State.EXHAUSTED  # lowered, not raised
    await desk.publish(definition(budget_micros=150_000_000))
    assert (await desk.stored()).state is State.ACTIVE


def linked(name: str, entity: str = "adsets/7", **fields: Any) -> Definition:  # noqa: ANN401
    to = PlatformBounds(ad_account="act_1", entity=entity)
    return definition(name, platforms={"meta": to}, **fields)


async def test_an_entity_that_two_campaigns_of_the_files_link_is_refused_to_both() -> None:
    desk = Desk()
    published = await desk.publish(linked("a"), linked("b"), linked("c", "adsets/8"))
    assert counts(published) == (1, 0, 0, 2)
    assert str(published.problems[0]) == (
        "a.yaml:1: a: platforms.meta.entity: wanted an entity that no other campaign steers, "
        "found adsets/7 of act_1, linked to 'b' too (at a.yaml:2)"
    )
    assert (await desk.stored("c")).definition.platforms["meta"].entity == "adsets/8"


async def test_an_entity_of_a_published_campaign_is_refused_until_that_lets_go_of_it() -> None:
    desk = Desk()
    await desk.publish(linked("a"))
    published = await desk.publish(linked("b"))
    assert counts(published) == (0, 0, 0, 1)
    assert "linked to 'a' too (published already)" in str(published.problems[0])
    assert counts(await desk.publish(linked("a"))) == (0, 0, 1, 0), "its own it may keep"
    assert counts(await desk.publish(linked("b"), linked("a", "adsets/9"))) == (1, 1, 0, 0)
    await desk.move(State.STOPPED, "b")
    assert counts(await desk.publish(linked("c"))) == (1, 0, 0, 0), "one that has ended has none"
    assert counts(await desk.publish(linked("b"), linked("c"))) == (0, 0, 2, 0)


async def test_a_campaign_at_its_end_stays_as_it_is() -> None:
    desk = Desk()
    await desk.publish(definition())
    await desk.move(State.STOPPED)
    assert counts(await desk.publish(definition())) == (0, 0, 1, 0)
    published = await desk.publish(definition(budget_micros=1))
    assert counts(published) == (0, 0, 0, 1)
    assert "found 'spring-shoes', which is stopped" in str(published.problems[0])
    assert (await desk.stored()).definition.budget_micros == 100_000_000


async def test_the_currency_of_a_campaign_cannot_change() -> None:
    desk = Desk()
    await desk.publish(definition())
    (problem,) = (await desk.publish(definition(currency="EUR"))).problems
    assert "the currency it has spent in, USD" in str(problem)


async def test_a_dry_run_says_the_same_and_writes_nothing() -> None:
    desk = Desk()
    await desk.publish(definition("old"), definition("same"))
    wanted = (definition("old", target_reach=7), definition("same"), definition("new"))
    before = [message async for message in desk.table.all()]
    assert counts(await desk.publish(*wanted, dry_run=True)) == (1, 1, 1, 0)
    assert [message async for message in desk.table.all()] == before
    assert counts(await desk.publish(*wanted)) == (1, 1, 1, 0)


class Contended:
    """A table in which somebody else is always first: `times` puts lose, after `meanwhile`."""

    def __init__(self, table: CampaignTable, times: int) -> None:
        self._table = table
        self.times = times
        self.gone = False
        self.gets = 0
        self.in_flight = 0
        self.most_in_flight = 0

    async def get(self, campaign: str) -> Message | None:
        if self.gone:
            raise BrokerError("the broker is away")
        self.gets += 1
        return await self._table.get(campaign)

    async def put(self, campaign: str, payload: bytes, *, expected: int) -> int:
        if self.times:
            self.times -= 1
            raise ConflictError(campaign, expected)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        return await self._table.put(campaign, payload, expected=expected)

    def all(self, *, partitions: Sequence[int] | None = None) -> AsyncIterator[Message]:
        return self._table.all(partitions=partitions)

    def follow(self, *args: object, **kwargs: object) -> None:
        raise AssertionError("publishing does not follow")


def contended(times: int = 0) -> tuple[Desk, Contended]:
    table = Contended(MemoryBroker(server=MemoryServer(), name="test").campaigns, times)
    return Desk(table), table  # type: ignore[arg-type] # follow is not asked for here


async def test_a_lost_race_is_run_again() -> None:
    desk, _ = contended(times=3)
    assert counts(await desk.publish(definition())) == (1, 0, 0, 0)


async def test_a_race_that_is_always_lost_is_refused_in_the_end() -> None:
    desk, _ = contended(times=1_000)
    (problem,) = (await desk.publish(definition())).problems
    assert "found 8 such changes" in str(problem)
    with pytest.raises(DefinitionError):
        await desk.move(State.PAUSED)


async def test_no_more_than_512_are_in_flight() -> None:
    desk, table = contended()
    await desk.publish(*(definition(f"c{i}") for i in range(1_000)))
    assert 256 <= table.most_in_flight <= 512


async def test_of_many_those_that_stand_already_are_found_in_one_reading() -> None:
    desk, table = contended()
    many = [definition(f"c{i}") for i in range(100)]
    assert counts(await desk.publish(*many[:70])) == (70, 0, 0, 0)
    table.gets = 0
    changed = [definition(f"c{i}", budget_micros=77_000_000) for i in range(10)]
    assert counts(await desk.publish(*changed, *many[10:])) == (30, 10, 60, 0)
    assert table.gets == 0


async def test_a_broker_that_goes_away_is_one_error_that_says_how_far_it_came() -> None:
    desk, table = contended()
    await desk.publish(definition("a"))
    table.gone = True
    with pytest.raises(BrokerError, match="the broker is away") as error:
        await desk.publish(definition("b"), definition("c"))
    assert error.value.__notes__ == ["0 of 2 were written; run it again to go on"]


async def test_a_broker_that_gives_no_answer_is_not_waited_for_for_ever() -> None:
    desk, table = contended()

    async def wait(campaign: str) -> Message | None:
        await asyncio.Event().wait()
        return None

    table.get = wait  # type: ignore[method-assign] # of this one table
    repository = Repository(table=desk.table, clock=desk.clock, by="me", patience=0.01)
    publisher = Publisher(repository=repository, clock=desk.clock)
    with pytest.raises(BrokerError, match=r"the broker gives no answer, 0\.01 s long"):
        await publisher.publish([Found(definition(), "a.yaml", 1)])


async def test_moving_an_unknown_campaign_or_against_the_lifecycle_is_refused() -> None:
    desk = Desk()
    with pytest.raises(DefinitionError, match="a published campaign"):
        await desk.move(State.PAUSED, "nobody")
    await desk.publish(definition())
    with pytest.raises(TransitionError):
        await desk.move(State.SCHEDULED)


async def test_an_unreadable_entry_refuses_its_own_row_only() -> None:
    desk = Desk()
    await desk.table.put("bad", b"\xc1", expected=0)
    published = await desk.publish(definition("bad"), definition("good"))
    assert counts(published) == (1, 0, 0, 1)


def test_what_is_planned_depends_on_nothing_but_what_is_given() -> None:
    stored = Stored(
        Campaign(definition=definition(), state=State.EXHAUSTED, changed_at=START), revision=7
    )
    raised = definition(budget_micros=200_000_000)
    assert planned(raised, stored, now=START) == (Outcome.UPDATED, State.ACTIVE)
    # after its flight a raised budget brings nobody back
    assert planned(raised, stored, now=START + DAY) == (Outcome.UPDATED, State.EXHAUSTED)
    with pytest.raises(RefusedError):
        planned(raised, None, now=START + DAY)


def test_the_state_by_flight_changes_at_its_ends_exactly() -> None:
    one = msgspec.structs.replace(definition(), flight=Flight(10.0, 20.0))
    states = [state_by_flight(one, now) for now in (9.999, 10.0, 19.999, 20.0)]
    assert [state.value for state in states] == ["scheduled", "active", "active", "completed"]
