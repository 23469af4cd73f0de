"""What a sandbox's platform knows: ad accounts, entities with their levers, and what they did.

`Books` is what the servers ask of it, the same for every platform: a table in memory here, a
simulated market elsewhere. What is counted is kept in slots of a quarter of an hour, so that the
hours of every time zone are sums of slots.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from engine.platforms.port import Lever

__all__ = ["SLOT_S", "Account", "Books", "Entity", "Level", "MemoryBooks", "Move", "Stat"]

SLOT_S = 900


class Level(Enum):
    """What kind of entity it is. Ids are unique within a kind and an ad account."""

    CAMPAIGN = "campaign"
    GROUP = "group"  # ad group, ad set
    BUDGET = "budget"  # where a platform has budgets as things of their own
    PORTFOLIO = "portfolio"  # a bidding strategy that several campaigns share


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An ad account."""

    id: str
    name: str = ""
    currency: str = "USD"
    timezone: str = "UTC"
    is_test: bool = False
    manager: str = ""  # the id of the manager it is reached through
    is_manager: bool = False
    is_suspended: bool = False


class Entity(msgspec.Struct, kw_only=True):
    """An entity and its levers. `None`: it has no such value of its own."""

    id: str
    level: Level
    name: str = ""
    parent: str = ""  # the campaign of a group
    budget: str = ""  # the budget it spends from, where that is an entity
    portfolio: str = ""  # the portfolio that bids for it
    strategy: str = ""  # how it bids, in the platform's words: MANUAL_CPC, COST_CAP
    is_on: bool = True
    is_removed: bool = False
    is_learning: bool = False
    is_shared: bool = False  # of a budget: more than one campaign may spend from it
    is_lifetime: bool = False  # of a budget: so much in all, not a day
    why_not_serving: str = ""  # in the platform's words
    bid_micros: int | None = None
    target_cpa_micros: int | None = None
    target_roas: float | None = None
    daily_budget_micros: int | None = None

    def value(self, lever: Lever) -> float | None:
        """Return where a lever stands."""
        if lever is Lever.SERVING:
            return float(self.is_on)
        found: float | None = getattr(self, _FIELDS[lever])
        return found


class Stat(msgspec.Struct, frozen=True, kw_only=True):
    """What an entity did in one slot, as it is known now."""

    entity: str
    at: int  # epoch seconds, when the slot begins
    impressions: int = 0
    clicks: int = 0
    spend_micros: int = 0
    milliconversions: int = 0
    revenue_micros: int = 0
    order_ids: tuple[str, ...] = ()


class Move(msgspec.Struct, frozen=True):
    """A lever that was moved: what drills count."""

    account: str
    level: Level
    entity: str
    lever: Lever
    was: float | None
    value: float


class Books(Protocol):
    """Where a server finds what there is, and says what was changed."""

    def accounts(self) -> Sequence[Account]:
        """Return all ad accounts, managers among them."""
        ...

    def entities(self, account: str, level: Level) -> Sequence[Entity]:
        """Return the entities of an ad account, removed ones too."""
        ...

    def entity(self, account: str, level: Level, entity: str) -> Entity | None:
        """Return one entity."""
        ...

    def move(self, account: str, level: Level, entity: str, lever: Lever, value: float) -> None:
        """Set a lever; the server has seen to it that the entity is there and the value good."""
        ...

    def restrategise(self, account: str, level: Level, entity: str, strategy: str) -> None:
        """Change how an entity bids, by itself: what a careless client does by accident."""
        ...

    def stats(self, account: str, level: Level, *, since: float, until: float) -> Iterable[Stat]:
        """Iterate what entities of a level did in the slots that begin in [since, until)."""
        ...


_FIELDS = {
    Lever.BID: "bid_micros",
    Lever.TARGET_CPA: "target_cpa_micros",
    Lever.TARGET_ROAS: "target_roas",
    Lever.DAILY_BUDGET: "daily_budget_micros",
}


class MemoryBooks:
    """Books in memory. `moves` is every lever that was moved, in order."""

    def __init__(self) -> None:
        self.moves: list[Move] = []
        self._accounts: dict[str, Account] = {}
        self._entities: dict[tuple[str, Level], dict[str, Entity]] = defaultdict(dict)
        self._stats: dict[tuple[str, Level], dict[tuple[str, int], Stat]] = defaultdict(dict)

    def open(self, account: Account) -> None:
        """Add an ad account, or put another in its place."""
        self._accounts[account.id] = account

    def add(self, account: str, *entities: Entity) -> None:
        """Add entities to an ad account."""
        for entity in entities:
            self._entities[account, entity.level][entity.id] = entity

    def record(self, account: str, level: Level, *stats: Stat) -> None:
        """Put down what an entity did; of the same entity and slot the newest counts.

        What groups do is no part of what their campaign does here: record both.
        """
        for stat in stats:
            if stat.at % SLOT_S:
                raise ValueError(f"at: a multiple of {SLOT_S} wanted, found {stat.at}")
            self._stats[account, level][stat.entity, stat.at] = stat

    def accounts(self) -> Sequence[Account]:
        return list(self._accounts.values())

    def entities(self, account: str, level: Level) -> Sequence[Entity]:
        return list(self._entities[account, level].values())

    def entity(self, account: str, level: Level, entity: str) -> Entity | None:
        return self._entities[account, level].get(entity)

    def move(self, account: str, level: Level, entity: str, lever: Lever, value: float) -> None:
        found = self._entities[account, level][entity]
        self.moves.append(Move(account, level, entity, lever, found.value(lever), value))
        if lever is Lever.SERVING:
            found.is_on = bool(value)
        else:
            whole = value if lever is Lever.TARGET_ROAS else int(value)
            setattr(found, _FIELDS[lever], whole)

    def restrategise(self, account: str, level: Level, entity: str, strategy: str) -> None:
        found = self._entities[account, level][entity]
        found.strategy, found.portfolio = strategy, ""

    def stats(self, account: str, level: Level, *, since: float, until: float) -> Iterator[Stat]:
        for (_, at), stat in sorted(self._stats[account, level].items()):
            if since <= at < until:
                yield stat
