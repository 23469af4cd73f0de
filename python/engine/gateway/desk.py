"""One ad account's desk: what is linked, wanted and in force there, and what is to be sent next.

Pure but for its memory: no I/O and no clock, times are handed in. The runner of the ad account
feeds it with campaigns, decisions, standings and reports, and sends what it picks.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.domain.campaign import Campaign
from engine.domain.ids import partition_of
from engine.domain.lifecycle import State
from engine.gateway.bucket import TokenBucket
from engine.gateway.columns import MOVES, SERVING, STEER, STEERED_BY, Columns, lever_of
from engine.gateway.desire import DesireSettings, Why, desires, follow_bid, follow_rate
from engine.gateway.gate import Gate, HeldBack, Picked, pick, settle
from engine.gateway.purse import Purse
from engine.gateway.worth import Curves
from engine.messaging.changes import Change, Setting
from engine.platforms.port import Lever, Standing

__all__ = ["Decided", "Desk", "Link"]

Floats = NDArray[np.float64]

NOT_IN_CHARGE = (State.DRAFT, State.SCHEDULED)
"""States in which an entity is left as it is: the engine is not in charge yet."""
UNLINKED_CURRENCY = "currency"
UNLINKED_TAKEN = "taken"


class Link(msgspec.Struct, frozen=True):
    """A campaign's claim on an entity."""

    campaign: Campaign
    platform: str
    entity: str

    @property
    def id(self) -> str:
        return self.campaign.definition.id

    @property
    def is_over(self) -> bool:
        return self.campaign.state.is_final


class Decided(msgspec.Struct):
    """Decisions for places of one desk, in columns."""

    place: list[int]
    bid: list[float]
    cap: list[float]
    cpc: list[float]  # NaN: no answer yet, as the next two
    cvr: list[float]
    roi: list[float]
    confidence: list[float]
    bound_by: list[int]
    partition: int
    sequence: int
    at: float


class Desk:
    """See the head of this file. Nothing is sent before `know` has told the currency."""

    def __init__(
        self,
        *,
        platform: str,
        ad_account: str,
        purse: Purse,
        bucket: TokenBucket,
        gate: Gate,
        desire: DesireSettings,
        hourly: int | None = None,
    ) -> None:
        self.platform = platform
        self.ad_account = ad_account
        self.currency: str | None = None  # of the ad account; not known yet
        self.columns = Columns()
        self.curves = Curves()
        self.purse = purse
        self.bucket = bucket
        self.waiting = 0
        self.waiting_worth = 0.0
        self.held: dict[str, int] = {}
        self._gate = gate
        self._desire = desire
        self._hourly = hourly
        self._entities: list[str] = []  # by place
        self._places: dict[str, int] = {}
        self._claims: dict[str, dict[str, Link]] = {}  # by entity and campaign
        self._claimed: dict[str, str] = {}  # entity by campaign
        self._links: dict[int, Link] = {}  # who has a place
        self._leaving: dict[int, Link] = {}  # let go by its campaign, and not stopped yet
        self._holders: dict[int, str] = {}  # campaign whose counts a place has
        self._halted: set[int] = set()  # partitions
        self._why_unlinked: dict[str, str] = {}
        self._pins: dict[tuple[str, int], tuple[Setting, float]] = {}  # by entity and move

    # links

    @property
    def linked(self) -> int:
        return len(self._links)

    @property
    def unlinked(self) -> dict[str, str]:
        """Return campaigns whose claim does not hold, each with why."""
        return self._why_unlinked

    @property
    def entities(self) -> Sequence[str]:
        """Return the entities, by place; some may not be linked any more."""
        return self._entities

    def links(self) -> Iterator[tuple[int, Link]]:
        """Iterate places with the campaigns that have them."""
        return iter(self._links.items())

    def place(self, campaign: str, entity: str) -> int | None:
        """Return where an entity stands, if that campaign has it."""
        place = self._places.get(entity)
        link = None if place is None else self._links.get(place)
        return place if link is not None and link.id == campaign else None

    def place_of(self, entity: str) -> int | None:
        """Return where an entity stands, whoever has it."""
        return self._places.get(entity)

    def link_of(self, place: int) -> Link | None:
        return self._links.get(place)

    def begin(self) -> None:
        """Know nothing of how entities stand: another gateway may have moved them."""
        c = self.columns
        c.is_known[:] = c.is_ours[:] = c.in_flight[:] = False
        c.serving[:] = c.steer[:] = c.budget[:] = float("nan")
        c.not_before[:] = -1e18

    def know(self, currency: str, *, step_micros: int) -> None:
        """Note the ad account's currency: campaigns of another one are not linked.

        `step_micros`: what amounts sent are multiples of.
        """
        self.currency = currency
        self._gate = msgspec.structs.replace(self._gate, step=float(step_micros))
        self._desire = msgspec.structs.replace(self._desire, step=float(step_micros))
        for entity in list(self._claims):
            self._assign(entity)

    def claim(self, link: Link) -> set[int]:
        """Let a campaign claim an entity, or change; return places that are another series now."""
        moved = self.disclaim(link.id, but=link.entity)
        self._claims.setdefault(link.entity, {})[link.id] = link
        self._claimed[link.id] = link.entity
        return moved | self._assign(link.entity)

    def disclaim(self, campaign: str, *, but: str | None = None) -> set[int]:
        """Let a campaign's other claims go."""
        self._why_unlinked.pop(campaign, None)
        entity = self._claimed.get(campaign)
        if entity is None or entity == but:
            return set()
        del self._claimed[campaign], self._claims[entity][campaign]
        return self._assign(entity)

    def _assign(self, entity: str) -> set[int]:
        """Give an entity to the first of those who claim it: of those that run, by id."""
        claims = self._claims.get(entity, {})
        fitting = {}
        for name, link in claims.items():
            if self.currency in (None, link.campaign.definition.currency):
                fitting[name] = link
                self._why_unlinked.pop(name, None)
            else:
                self._why_unlinked[name] = UNLINKED_CURRENCY
        winner = min(fitting.values(), key=lambda one: (one.is_over, one.id), default=None)
        for name, link in fitting.items():
            if link is not winner and not link.is_over:
                self._why_unlinked[name] = UNLINKED_TAKEN
        place = self._places.get(entity)
        if winner is None:
            if place is not None:
                self._let_go(place)
            return set()
        moved: set[int] = set()
        if place is None:
            place = self._add(entity)
            moved.add(place)
        if self._holders.setdefault(place, winner.id) != winner.id:
            was_ours = bool(self.columns.is_ours[place])
            self.columns.reset(place)
            self.columns.is_ours[place] = was_ours
            moved.add(place)
        self._links[place], self._holders[place] = winner, winner.id
        self._leaving.pop(place, None)
        self._allow(place, winner)
        self._pin(place)
        return moved

    def _let_go(self, place: int) -> None:
        """Have an entity stopped that nobody claims any more: it would spend unseen."""
        c, link = self.columns, self._links.pop(place, None)
        if link is not None and c.is_linked[place]:
            c.may_run[place] = False
            self._leaving[place] = link
            self._leave(place)

    def _leave(self, place: int) -> None:
        """Leave an entity to itself once it was let go and does not serve."""
        if place in self._leaving and self.columns.serving[place] == 0.0:
            del self._leaving[place]
            self.columns.is_linked[place] = False

    def _add(self, entity: str) -> int:
        place = self.columns.add()
        self._places[entity] = place
        self._entities.append(entity)
        self.curves.grow(self.columns.count)
        return place

    def _allow(self, place: int, link: Link) -> None:
        """Note what the campaign allows of an entity."""
        c, definition = self.columns, link.campaign.definition
        bounds, rails = definition.platforms[link.platform], definition.guardrails
        state = link.campaign.state
        c.is_linked[place] = state not in NOT_IN_CHARGE and self.currency is not None
        c.may_run[place] = state is State.ACTIVE
        c.ends_at[place] = definition.flight.ends_at
        c.value[place] = _or_nan(definition.conversion_value_micros)
        low = rails.min_bid_micros if bounds.min_bid_micros is None else bounds.min_bid_micros
        high = rails.max_bid_micros if bounds.max_bid_micros is None else bounds.max_bid_micros
        c.least_bid[place], c.most_bid[place] = low, high
        c.most_cpa[place] = _or_nan(definition.target_cpa_micros)
        c.least_roas[place] = _or_nan(definition.target_roas)
        caps = (bounds.daily_cap_micros, rails.daily_cap_micros, definition.budget_micros)
        c.whole[place] = definition.budget_micros
        c.day_cap[place] = min(cap for cap in caps if cap is not None)

    # what is heard

    def decided(self, found: Decided) -> None:
        """Take in decisions: the newest of each place counts."""
        place = np.array(found.place, np.int64)
        c = self.columns
        bid = np.array(found.bid, np.float64)
        seconds = np.clip(found.at - c.decided_at[place], 0.0, 3600.0)
        follow_bid(c, place, bid, at=found.at)
        c.cap[place] = found.cap
        for name in ("cpc", "cvr", "roi", "confidence"):
            getattr(c, name)[place] = getattr(found, name)
        c.bound_by[place] = found.bound_by
        c.partition[place], c.sequence[place] = found.partition, found.sequence
        follow_rate(c, place, seconds=seconds, lag_s=self._desire.lag_s)

    def halted(self, partition: int, *, is_halted: bool) -> None:
        """Note the kill switch of a partition."""
        (self._halted.add if is_halted else self._halted.discard)(partition)

    @property
    def is_halted(self) -> bool:
        return bool(self._halted)

    def stands(self, standing: Standing, *, is_dry_run: bool = False) -> None:
        """Take in how an entity stands. In a dry run what was only pretended stays in force."""
        place = self._places.get(standing.target.entity)
        if place is None:
            return
        c = self.columns
        c.is_learning[place] = standing.is_learning
        if is_dry_run and c.is_known[place]:
            return
        has_lever = standing.steered_by in STEERED_BY
        index = STEERED_BY.index(standing.steered_by) if has_lever else -1
        levers = (standing.bid_micros, standing.target_cpa_micros, standing.target_roas, None)
        steer = levers[index]
        if not c.in_flight[place, SERVING]:
            if standing.is_serving:
                c.is_ours[place] = False  # whoever has started it: who pauses it next is another
            c.serving[place] = float(standing.is_serving)
        if not c.in_flight[place, STEER]:
            c.steered_by[place] = index
            c.steer[place] = _or_nan(steer)
        budget = None if standing.is_budget_shared else standing.daily_budget_micros
        c.budget[place] = _or_nan(budget)
        c.is_known[place] = True
        self._leave(place)

    def ordered(self, settings: Sequence[Setting], *, until: float) -> None:
        """Pin levers to what somebody ordered, until a time; one without settings frees all."""
        if not settings:
            self._pins.clear()
            self.columns.pinned_until[:] = -1e18
        for one in settings:
            self._pins[one.entity, _move_of(one.lever)] = (one, until)
            place = self._places.get(one.entity)
            if place is not None:
                self._pin(place)

    def _pin(self, place: int) -> None:
        link = self._links.get(place)
        for move in range(MOVES):
            one, until = self._pins.get((self._entities[place], move), (None, 0.0))
            if one is not None and link is not None and one.campaign == link.id:
                self.columns.pinned[place, move] = one.value
                self.columns.pinned_until[place, move] = until

    # what is sent

    def pick(
        self, now: float, *, mono: float, day_left_s: float, most: int, urgent_only: bool = False
    ) -> list[Change]:
        """Return the changes to send now, at most `most`; they are in flight from here on.

        `now` is epoch seconds, `mono` a reading of the bucket's clock. `urgent_only`: stops, and
        nothing else. Ids are for the caller to give.
        """
        tokens = int(self.bucket.available(mono))
        in_purse = self.purse.available(now)
        usual = 0 if urgent_only else min(most, tokens, in_purse)
        urgent = min(most, tokens, self.purse.available(now, is_emergency=True))
        short_of = HeldBack.BREAKER if urgent_only else HeldBack.RATE
        if not urgent_only and in_purse <= min(most, tokens):
            short_of = HeldBack.PURSE
        c = self.columns
        is_halted = np.zeros(c.count, np.bool_)
        if self._halted:
            for place, link in self._links.items():
                is_halted[place] = partition_of(link.id) in self._halted and c.is_linked[place]
        wanted = desires(
            c, now=now, day_left_s=day_left_s, is_halted=is_halted, settings=self._desire
        )
        picked = pick(
            c,
            wanted,
            now=now,
            day_left_s=day_left_s,
            curve=self.curves.curve(c.bid[: c.count]),
            most=usual,
            most_urgent=urgent,
            short_of=short_of,
            settings=self._gate,
            hourly=self._hourly,
        )
        self.waiting, self.waiting_worth = picked.waiting, picked.waiting_worth
        self.held = picked.held
        return self._changes(picked, mono=mono)

    def _changes(self, picked: Picked, *, mono: float) -> list[Change]:
        c, changes = self.columns, []
        for i, place in enumerate(picked.place.tolist()):
            move, before = int(picked.move[i]), float(picked.before[i])
            link = self._links.get(place) or self._leaving[place]
            c.in_flight[place, move] = True
            changes.append(
                Change(
                    id="",
                    campaign=link.id,
                    entity=self._entities[place],
                    lever=lever_of(move, int(c.steered_by[place])).value,
                    value=float(picked.value[i]),
                    before=None if np.isnan(before) else before,
                    why=Why.WORDS[int(picked.why[i])],
                    partition=int(c.partition[place]),
                    sequence=int(c.sequence[place]),
                    worth_micros_per_h=round(float(picked.worth[i]), 3),
                )
            )
        self.bucket.take(len(changes), now=mono)
        self.purse.spend(len(changes))
        return changes

    def settle(self, change: Change, result: str, now: float) -> None:
        """Note what became of a change that was sent."""
        place = self._places.get(change.entity)
        if place is not None:
            settle(
                self.columns,
                place,
                _move_of(change.lever),
                value=change.value,
                result=result,
                now=now,
            )
            self._leave(place)

    def recall(self, change: Change, result: str, at: float) -> None:
        """Take in a change of the journal, from before this gateway had the ad account."""
        place = self._places.get(change.entity)
        if place is None or result != "applied":
            return
        move = _move_of(change.lever)
        c = self.columns
        c.moved_at[place, move] = max(float(c.moved_at[place, move]), at)
        if move == SERVING:
            c.is_ours[place] = change.value == 0.0
        elif move == MOVES - 1:
            c.hour[place, int(c.hour[place].argmin())] = at

    def stopped(self) -> list[str]:
        """Return the entities that we have stopped, and may start again."""
        ours = np.flatnonzero(self.columns.is_ours[: self.columns.count])
        return [self._entities[place] for place in ours.tolist()]

    def recall_stopped(self, entities: Collection[str]) -> None:
        """Take over which entities were stopped by a gateway before."""
        for entity in entities:
            place = self._places.get(entity)
            if place is not None:
                self.columns.is_ours[place] = True

    def saw(self, clicks: Floats, spend: Floats, seconds: float, *, today: Floats) -> None:
        """Take in what was reported of the newest stretch, one entry a place."""
        c, n = self.columns, len(clicks)
        bids = np.where((c.serving[:n] == 1.0) & ~np.isnan(c.bid[:n]), c.bid[:n], 0.0)
        full = np.zeros((3, self.columns.count))
        full[:, :n] = clicks, spend, bids
        self.curves.saw(full[0], full[1], full[2], seconds)
        weight = 1.0 - 0.5 ** (seconds / 1800.0)
        c.spend_per_s[:n] += weight * (spend / max(seconds, 1.0) - c.spend_per_s[:n])
        c.today[:n] = today

    def held_back(self) -> Mapping[str, int]:
        """Return how many wanted changes are held back now, by reason."""
        found = dict(self.held)
        for why in self._why_unlinked.values():
            key = f"unlinked-{why}"
            found[key] = found.get(key, 0) + 1
        return found


def _move_of(lever: str) -> int:
    if lever == Lever.SERVING.value:
        return SERVING
    return MOVES - 1 if lever == Lever.DAILY_BUDGET.value else STEER


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
