"""Campaigns that are changed all the while: paused, resumed, given more money, or less."""

import random
from collections import Counter

import msgspec

from engine.campaigns.files.reader import Found
from engine.campaigns.publisher import Publisher
from engine.campaigns.repository import Repository
from engine.clock import Clock
from engine.domain.campaign import Definition, Flight, PlatformBounds
from engine.domain.codec import decode_campaign
from engine.domain.ids import PARTITIONS, partition_of
from engine.domain.lifecycle import State
from engine.errors import EngineError
from engine.messaging.ports import Message

__all__ = ["Budgets", "Changer", "definitions"]

CHANGE_S = 0.1
MOST_CHANGES = 12
"""For each campaign: more than the eight entries that the table keeps."""
DAY_S = 86_400.0
PLATFORMS = ("google", "meta", "tiktok")


def definitions(count: int, *, seed: int, now: float, seconds: float) -> list[Definition]:
    """Return campaigns spread evenly over all partitions, with money for so many seconds."""
    chance = random.Random(seed)
    found: list[Definition] = []
    room = dict.fromkeys(range(PARTITIONS), -(-count // PARTITIONS))
    number = 0
    while len(found) < count:
        name = f"drill-{number}"
        number += 1
        if room[partition_of(name)] == 0:
            continue
        room[partition_of(name)] -= 1
        platforms = PLATFORMS[: chance.randint(1, len(PLATFORMS))]
        found.append(
            Definition(
                id=name,
                budget_micros=round(chance.randint(20, 200) * 1_000_000 * max(1.0, seconds / 60)),
                flight=Flight(starts_at=now - DAY_S, ends_at=now + 30 * DAY_S),
                platforms={platform: PlatformBounds() for platform in platforms},
                conversion_value_micros=20_000_000,
            )
        )
    return found


class Budgets:
    """Every budget that ever was in force, by the revision that brought it."""

    def __init__(self) -> None:
        self._of: dict[str, list[tuple[int, int]]] = {}

    def heard(self, message: Message) -> None:
        """Take an entry of the table."""
        definition = decode_campaign("drill", message.payload).definition
        self.note(definition.id, message.sequence, definition.budget_micros)

    def note(self, campaign: str, revision: int, budget_micros: int) -> None:
        """Note that a revision gave a campaign this budget; revisions rise."""
        self._of.setdefault(campaign, []).append((revision, budget_micros))

    def at(self, campaign: str, revision: int) -> int:
        """Return the budget in force when entries up to a revision had been applied."""
        budget = 0
        for found, micros in self._of.get(campaign, []):
            if found > revision:
                break
            budget = micros
        return budget

    def most(self, campaign: str) -> int:
        """Return the largest budget a campaign ever had."""
        return max((micros for _, micros in self._of.get(campaign, [])), default=0)


class Changer:
    """Changes campaigns, up to ten a second, as people and their scripts do."""

    def __init__(
        self,
        *,
        repository: Repository,
        definitions: list[Definition],
        seed: int,
        seconds: float,
        clock: Clock,
    ) -> None:
        self._left = {one.id: MOST_CHANGES for one in definitions}
        self._every_s = max(CHANGE_S, seconds / (MOST_CHANGES * len(definitions)))
        self.changes: Counter[str] = Counter()
        self._definitions = {one.id: one for one in definitions}
        self._paused: set[str] = set()
        self._repository = repository
        self._publisher = Publisher(repository=repository, clock=clock)
        self._random = random.Random(seed + 1)
        self._clock = clock

    async def publish_all(self) -> None:
        """Publish every campaign; raises AssertionError where one is refused."""
        found = [Found(one, "drill", 1) for one in self._definitions.values()]
        published = await self._publisher.publish(found)
        assert not published.problems, published.problems

    async def run(self) -> None:
        """Change campaigns until cancelled, or until each has had its share."""
        while names := sorted(name for name, left in self._left.items() if left):
            await self._clock.sleep(self._every_s)
            name = self._random.choice(names)
            self._left[name] -= 1
            chosen = self._random.choice(("pause", "raise", "raise", "lower"))
            kind = "resume" if name in self._paused else chosen
            try:
                await self._change(name, kind)
            except EngineError:  # the broker is away, or the lifecycle forbids it: as in life
                self.changes["refused"] += 1
            else:
                self.changes[kind] += 1

    async def _change(self, name: str, kind: str) -> None:
        if kind == "pause":
            await self._repository.move(name, lambda _: State.PAUSED, note="drill")
            self._paused.add(name)
        elif kind == "resume":
            await self._repository.move(name, lambda _: State.ACTIVE, note="drill")
            self._paused.discard(name)
        else:
            known = self._definitions[name]
            factor = self._random.uniform(1.05, 1.5) if kind == "raise" else 0.9
            budget = round(known.budget_micros * factor)
            changed = msgspec.structs.replace(known, budget_micros=budget)
            published = await self._publisher.publish([Found(changed, "drill", 1)])
            if not published.problems:
                self._definitions[name] = changed
