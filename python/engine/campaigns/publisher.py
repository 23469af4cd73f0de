"""Publishing: definitions from files become entries in the table, each by compare-and-swap.

Publishing the same file twice changes nothing the second time, so that one that was interrupted
is simply started again. An update keeps the campaign's place in its life.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from enum import Enum

import msgspec

from engine.campaigns.files.reader import Found
from engine.campaigns.files.rows import Problem, shown
from engine.campaigns.files.times import zone_of
from engine.campaigns.links import has_links, unshared
from engine.campaigns.repository import ATTEMPTS, Repository, Stored, state_by_flight
from engine.clock import Clock
from engine.domain.campaign import Definition
from engine.domain.lifecycle import State
from engine.errors import ConflictError, DefinitionError, EngineError, MalformedMessageError

__all__ = ["Outcome", "Published", "Publisher", "RefusedError", "meant", "planned", "problem_of"]

IN_FLIGHT = 512  # writes that wait for one another go together (messaging.group)
MANY = 64  # from so many on, the table is read once instead of entry by entry


class Outcome(Enum):
    """What publishing a definition does."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


class RefusedError(EngineError):
    """A definition that is sound in itself cannot be published now."""

    def __init__(self, field: str, wanted: str, found: str) -> None:
        super().__init__(f"{field}: wanted {wanted}, found {found}")
        self.field = field
        self.wanted = wanted
        self.found = found


class Published(msgspec.Struct):
    """What became of some definitions: every one is in one of the four counts."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    problems: list[Problem] = []  # one for each that was refused

    @property
    def done(self) -> int:
        return self.created + self.updated + self.unchanged + len(self.problems)

    def count(self, outcome: Outcome) -> None:
        setattr(self, outcome.value, getattr(self, outcome.value) + 1)


class Publisher:
    """Publishes definitions, many at a time."""

    def __init__(self, *, repository: Repository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock

    async def publish(
        self,
        found: Sequence[Found],
        *,
        as_draft: bool = False,
        dry_run: bool = False,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Published:
        """Publish definitions and return what became of them; `dry_run` only finds out.

        Raises a MessagingError where the broker is away; its note says how far this came.
        """
        published = Published()
        known: dict[str, Stored] | None = None
        if any(has_links(one.definition) for one in found):
            known = await self._repository.known()
            found, published.problems = unshared(found, known)
        elif len(found) >= MANY:
            known = await self._repository.known(one.definition.id for one in found)

        todo = iter(found)

        async def work(todo: Iterator[Found]) -> None:
            for one in todo:
                try:
                    published.count(await self._one(one, known, as_draft, dry_run))
                except RefusedError as error:
                    published.problems.append(problem_of(one, error))
                progress(published.done)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(IN_FLIGHT, len(found))):
                    group.create_task(work(todo))
        except ExceptionGroup as errors:
            first = errors.exceptions[0]
            if not dry_run:
                done = published.created + published.updated
                first.add_note(f"{done:,} of {len(found):,} were written; run it again to go on")
            raise first from None
        published.problems.sort(key=lambda problem: (problem.file, problem.line or 0))
        return published

    async def _one(
        self,
        one: Found,
        known: dict[str, Stored] | None,
        as_draft: bool,
        dry_run: bool,
    ) -> Outcome:
        name = one.definition.id
        for attempt in range(ATTEMPTS):
            try:
                if known is not None and attempt == 0:
                    stored = known.get(name)
                else:
                    stored = await self._repository.get(name)
            except MalformedMessageError as error:
                wanted = "an entry in the table that can be read"
                raise RefusedError("id", wanted, str(error)) from error
            definition = meant(one, stored)
            outcome, state = planned(definition, stored, now=self._clock.now(), as_draft=as_draft)
            if dry_run or outcome is Outcome.UNCHANGED:
                return outcome
            expected = 0 if stored is None else stored.revision
            try:
                await self._repository.write(
                    definition, state, expected=expected, note=outcome.value
                )
            except ConflictError:
                continue  # read it again: what others wrote may need no change, or forbid it
            return outcome
        raise RefusedError("id", "nobody else to change it meanwhile", f"{ATTEMPTS} such changes")


def meant(one: Found, stored: Stored | None) -> Definition:
    """Return the definition that a row stands for over what is stored.

    A file that is published again is no change: a flight that it starts "now" keeps its start.
    """
    definition = one.definition
    if one.relative is None or stored is None:
        return definition
    flight = one.relative.kept(
        definition.flight,
        before=stored.campaign.definition.flight,
        zone=zone_of(definition.timezone),
    )
    return msgspec.structs.replace(definition, flight=flight)


def planned(
    definition: Definition, stored: Stored | None, *, now: float, as_draft: bool = False
) -> tuple[Outcome, State]:
    """Return what publishing a definition over what is stored does, and the state it leads to.

    Raises RefusedError: a new campaign whose flight is over, or one that has reached its end.
    """
    by_flight = state_by_flight(definition, now)
    if stored is None:
        if by_flight is State.COMPLETED:
            raise RefusedError("flight.ends_at", "a time to come, for a new campaign", "one past")
        return Outcome.CREATED, State.DRAFT if as_draft else by_flight
    state, old = stored.campaign.state, stored.campaign.definition
    if definition == old:
        return Outcome.UNCHANGED, state
    if state.is_final:
        wanted = "a new id: this campaign has reached its end and stays as it is"
        raise RefusedError("id", wanted, f"{shown(definition.id)}, which is {state.value}")
    if definition.currency != old.currency:
        wanted = f"the currency it has spent in, {old.currency}"
        raise RefusedError("currency", wanted, shown(definition.currency))
    if old.account is not None and definition.account != old.account:
        wanted = f"the account it has spent in, {old.account}"
        raise RefusedError("account", wanted, shown(definition.account))
    was_raised = definition.budget_micros > old.budget_micros
    if state is State.EXHAUSTED and was_raised and by_flight is State.ACTIVE:
        state = State.ACTIVE
    return Outcome.UPDATED, state


def problem_of(one: Found, error: RefusedError | DefinitionError) -> Problem:
    """Return why a definition is refused, with its place."""
    found = error.found if isinstance(error, RefusedError) else shown(error.found)
    return Problem(one.file, one.line, error.field, error.wanted, found, one.definition.id)
