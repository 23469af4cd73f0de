"""What files would change: each campaign's fields, as they are and as they would be.

A plan is what `engine apply` shows before it asks, and what it then does: a campaign that somebody
else changed meanwhile is left alone.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum

import msgspec

from engine.campaigns.files.reader import Found
from engine.campaigns.files.rows import Problem
from engine.campaigns.links import unshared
from engine.campaigns.publisher import Outcome, RefusedError, meant, planned, problem_of
from engine.campaigns.repository import ATTEMPTS, Repository, Stored
from engine.clock import Clock
from engine.domain.campaign import Definition
from engine.domain.lifecycle import State
from engine.domain.money import from_micros
from engine.errors import ConflictError

__all__ = ["FieldChange", "Plan", "Planned", "apply_one", "differences", "plan_of"]


class FieldChange(msgspec.Struct, frozen=True):
    """One field, in the words of campaign files; None where it is not given."""

    field: str
    before: str | None
    after: str | None


class Planned(msgspec.Struct, frozen=True):
    """One campaign of the files that would be created or changed."""

    found: Found
    outcome: Outcome
    state: State  # that it would have
    before: Definition | None
    revision: int  # of the entry that the plan was made from; 0: there is none
    changes: tuple[FieldChange, ...]

    @property
    def campaign(self) -> str:
        return self.found.definition.id


class Plan(msgspec.Struct, frozen=True):
    """All of it. `missing` are live campaigns that no file names: they stay as they are."""

    creates: tuple[Planned, ...]
    updates: tuple[Planned, ...]
    unchanged: int
    problems: tuple[Problem, ...]  # one for each campaign that is refused
    missing: tuple[str, ...]

    @property
    def todo(self) -> tuple[Planned, ...]:
        return (*self.creates, *self.updates)


def plan_of(
    found: Sequence[Found], stored: Mapping[str, Stored], *, now: float, as_draft: bool = False
) -> Plan:
    """Return what publishing definitions over what is stored would do."""
    made: dict[Outcome, list[Planned]] = {outcome: [] for outcome in Outcome}
    good, problems = unshared(found, stored)
    for one in good:
        try:
            made_of = _planned(one, stored.get(one.definition.id), now=now, as_draft=as_draft)
            made[made_of.outcome].append(made_of)
        except RefusedError as error:
            problems.append(problem_of(one, error))
    named = {one.definition.id for one in found}
    missing = sorted(
        name
        for name, one in stored.items()
        if name not in named and not one.campaign.state.is_final
    )
    return Plan(
        creates=tuple(made[Outcome.CREATED]),
        updates=tuple(made[Outcome.UPDATED]),
        unchanged=len(made[Outcome.UNCHANGED]),
        problems=tuple(problems),
        missing=tuple(missing),
    )


async def apply_one(
    one: Planned,
    *,
    repository: Repository,
    clock: Clock,
    as_draft: bool = False,
    note: str = "applied",
) -> Outcome:
    """Carry out a planned change: the whole campaign, or nothing of it.

    A worker that moved the campaign on in its life meanwhile does not matter. Done twice it is
    done once.

    Raises:
        RefusedError: somebody else changed its definition since the plan, or it has ended.
        BrokerError: the broker stays away.
    """
    revision, state = one.revision, one.state
    for _ in range(ATTEMPTS):
        try:
            await repository.write(one.found.definition, state, expected=revision, note=note)
        except ConflictError:
            stored = await repository.get(one.campaign)
            if stored is not None and stored.campaign.definition == one.found.definition:
                return Outcome.UNCHANGED
            if stored is None or stored.campaign.definition != one.before:
                by = "nobody" if stored is None else stored.campaign.changed_by or "somebody"
                raise RefusedError(
                    "id", "a campaign as it was when it was planned", f"one changed by {by}"
                ) from None
            again = _planned(one.found, stored, now=clock.now(), as_draft=as_draft)
            revision, state = again.revision, again.state
        else:
            return one.outcome
    raise RefusedError("id", "nobody else to change it meanwhile", f"{ATTEMPTS} such changes")


def differences(before: Definition | None, after: Definition) -> tuple[FieldChange, ...]:
    """Return the fields in which two definitions differ, in the order of campaign files."""
    new = _fields(after)
    old = {} if before is None else _fields(before)
    names = [*new, *(name for name in old if name not in new)]
    return tuple(
        FieldChange(name, old.get(name), new.get(name))
        for name in names
        if old.get(name) != new.get(name)
    )


def _planned(one: Found, stored: Stored | None, *, now: float, as_draft: bool) -> Planned:
    definition = meant(one, stored)
    outcome, state = planned(definition, stored, now=now, as_draft=as_draft)
    before = None if stored is None else stored.campaign.definition
    return Planned(
        found=msgspec.structs.replace(one, definition=definition),
        outcome=outcome,
        state=state,
        before=before,
        revision=0 if stored is None else stored.revision,
        changes=differences(before, definition),
    )


def _fields(definition: Definition) -> dict[str, str]:
    """Return what a definition says, flat, in the words of campaign files."""
    found: dict[str, str] = {}
    _flatten("", definition, found)
    return found


def _flatten(path: str, value: object, into: dict[str, str]) -> None:
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _flatten(_joined(path, name), getattr(value, name), into)
    elif isinstance(value, dict):
        if path == "platforms":
            into[path] = ", ".join(value)
        for name, inner in value.items():
            _flatten(_joined(path, str(name)), inner, into)
    elif value not in (None, "", ()):
        name, text = _shown(path, value)
        into[name] = text


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(path: str, value: object) -> tuple[str, str]:
    """Return a field's name and value as people write them: amounts in decimals, times in UTC."""
    if isinstance(value, int) and path.endswith("_micros"):
        return path.removesuffix("_micros"), from_micros(value)
    if isinstance(value, int | float) and path.startswith("flight."):
        return path, _time(value)
    if isinstance(value, tuple):
        return path, ", ".join(map(str, value))
    if isinstance(value, float):
        return path, f"{value:g}"
    return path, str(value.value if isinstance(value, Enum) else value)


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
