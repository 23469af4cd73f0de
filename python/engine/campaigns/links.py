"""Who steers what: an entity of an ad account is linked by one campaign alone.

Two that were linked to one would each set its bid and its cap, and each would take the other's
spend for its own. A campaign that has reached its end steers nothing any more.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from engine.campaigns.files.reader import Found
from engine.campaigns.files.rows import Problem
from engine.campaigns.repository import Stored
from engine.domain.campaign import Definition

__all__ = ["has_links", "unshared"]


class _Entity(NamedTuple):
    platform: str
    ad_account: str
    name: str


class _Holder(NamedTuple):
    campaign: str
    place: str  # "" where it is published, and in none of the files


def has_links(definition: Definition) -> bool:
    """Return whether a campaign is linked to anything."""
    return any(_entities(definition))


def unshared(
    found: Sequence[Found], stored: Mapping[str, Stored]
) -> tuple[list[Found], list[Problem]]:
    """Return the definitions whose entities no other campaign has, and why not the others.

    What is published counts as it will be when the files are. Of two in the files neither is more
    likely to be meant, so both are refused.
    """
    if not any(has_links(one.definition) for one in found):
        return list(found), []
    ended = {name for name, one in stored.items() if one.campaign.state.is_final}
    named = {one.definition.id for one in found}
    holders: dict[_Entity, list[_Holder]] = defaultdict(list)
    for name, other in stored.items():
        if name not in ended and name not in named:
            for entity in _entities(other.campaign.definition):
                holders[entity].append(_Holder(name, ""))
    live = [one for one in found if one.definition.id not in ended]
    for one in live:
        for entity in _entities(one.definition):
            holders[entity].append(_Holder(one.definition.id, f"{one.file}:{one.line}"))
    problems = [problem for one in live for problem in _problems(one, holders)]
    refused = {problem.campaign for problem in problems}
    return [one for one in found if one.definition.id not in refused], problems


def _problems(one: Found, holders: Mapping[_Entity, list[_Holder]]) -> Iterator[Problem]:
    """Iterate why a definition is refused: the first of its entities that another has, if any."""
    campaign = one.definition.id
    for entity in _entities(one.definition):
        other = next((other for other in holders[entity] if other.campaign != campaign), None)
        if other is not None:
            where = f"at {other.place}" if other.place else "published already"
            yield Problem(
                one.file,
                one.line,
                f"platforms.{entity.platform}.entity",
                "an entity that no other campaign steers",
                f"{entity.name} of {entity.ad_account}, linked to {other.campaign!r} too ({where})",
                campaign,
            )
            return


def _entities(definition: Definition) -> Iterator[_Entity]:
    for platform, bounds in definition.platforms.items():
        if bounds.ad_account is not None and bounds.entity is not None:
            yield _Entity(platform, bounds.ad_account, bounds.entity)
