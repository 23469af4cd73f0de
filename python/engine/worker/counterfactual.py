"""What would have to be otherwise for a campaign to be decided otherwise: found by deciding again.

The state before a round is kept, cut down to the campaign (and those it shares an account with),
and decided as often as it takes, each time with one thing changed: a target a little higher, a
budget a little lower. Where the outcome turns, the place is halved until it is known closely. It
says what this round would have decided, not what later rounds would make of it.
"""

import math
from collections.abc import Callable, Iterator

import msgspec

from engine.backtest.changes import Change, apply_changes
from engine.core.book import Book, CoreError
from engine.domain.campaign import Campaign, Definition
from engine.domain.decision import Action, Binding, Condition, Decision, PlatformDecision
from engine.domain.ids import campaign_key
from engine.domain.lifecycle import State as Life
from engine.domain.money import MICROS
from engine.domain.prospect import Prospect
from engine.errors import ConfigError
from engine.messaging.records import Decide
from engine.worker.state import State

__all__ = ["Bench", "Turn"]

STEPS = (1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
HALVINGS = 12
DIGITS = 4  # of a threshold, as people read it

_MONEY: dict[str, Callable[[Definition], int | None]] = {
    "budget": lambda one: one.budget_micros,
    "target_cpa": lambda one: one.target_cpa_micros,
    "conversion_value": lambda one: one.conversion_value_micros,
    "max_bid": lambda one: one.guardrails.max_bid_micros,
    "min_bid": lambda one: one.guardrails.min_bid_micros,
    "daily_cap": lambda one: one.guardrails.daily_cap_micros,
}
_NUMBERS: dict[str, Callable[[Definition], float | None]] = {
    "target_roas": lambda one: one.target_roas,
    "max_change": lambda one: one.guardrails.max_change,
    "max_daily_change": lambda one: one.guardrails.max_daily_change,
    "min_confidence": lambda one: one.guardrails.min_confidence or None,
    "hold_seconds": lambda one: one.guardrails.hold_seconds or None,
}


class Turn(msgspec.Struct, frozen=True):
    """One thing that is otherwise, and the decision it makes."""

    lever: str  # a field of the campaign, or "halt", "state", "blocked"
    sign: str  # ">=", "<=", or "=" for what is not a number
    threshold: str  # decimals, as in campaign files
    now: str
    decision: Decision
    is_other_action: bool  # it bids where it did not, or the other way round; on other platforms

    @property
    def rank(self) -> tuple[int, float]:
        """Return what to sort by: what changes most for the least."""
        try:
            distance = abs(math.log(float(self.threshold) / float(self.now)))
        except (ValueError, ZeroDivisionError):
            distance = 0.0
        return (0 if self.is_other_action else 1, distance)


class Bench:
    """One campaign's state before a round, to be decided again and again."""

    def __init__(self, state: State, record: Decide, campaign: str) -> None:
        entry = state.entries[campaign]
        self.campaign: Campaign = entry.campaign
        self.record = record
        self.at_ms = record.at_ms
        account = self.campaign.definition.account
        for name, other in state.entries.items():
            is_near = account is not None and other.campaign.definition.account == account
            if name != campaign and not is_near:
                state.book.remove(name)
        self._book = state.book.snapshot()
        self._key = campaign_key(campaign)
        self._names = dict(state.names.platforms)  # those dropped too: their caps are in force
        self.base = self._decided(Book.restore(self._book))

    def prospects(self) -> dict[str, Prospect]:
        """Return what is forecast on each platform, as the round saw it."""
        book, definition = Book.restore(self._book), self.campaign.definition
        return {one: book.prospect(definition.id, one, self.at_ms) for one in definition.platforms}

    def turns(self) -> list[Turn]:
        """Return what would have made another decision, what matters most first."""
        found = [*self._toggles(), *self._levers()]
        return sorted(found, key=lambda turn: turn.rank)

    # one thing at a time

    def _toggles(self) -> Iterator[Turn]:
        campaign = self.campaign
        if campaign.state not in (Life.ACTIVE, Life.SCHEDULED):
            active = msgspec.structs.replace(campaign, state=Life.ACTIVE)
            yield from self._toggled("state", "active", campaign.state.value, self._with(active))
        if self.base.binding is Binding.HALTED:
            book = Book.restore(self._book)
            book.set_halted(False)
            yield from self._toggled("halt", "off", "on", self._decided(book))
        rails = campaign.definition.guardrails
        for field in ("blocked_platforms", "blocked_hours"):
            blocked = getattr(rails, field)
            if blocked:
                free = msgspec.structs.replace(rails, **{field: ()})
                definition = msgspec.structs.replace(campaign.definition, guardrails=free)
                other = self._with(msgspec.structs.replace(campaign, definition=definition))
                yield from self._toggled(field, "none", ", ".join(blocked), other)

    def _toggled(
        self, lever: str, wanted: str, now: str, decision: Decision | None
    ) -> Iterator[Turn]:
        if decision is not None and _outcome(decision) != _outcome(self.base):
            is_other = _acts(decision) != _acts(self.base)
            yield Turn(lever, "=", wanted, now, decision, is_other)

    def _levers(self) -> Iterator[Turn]:
        definition = self.campaign.definition
        for field, get in _MONEY.items():
            amount = get(definition)
            if amount:
                yield from self._turned(field, float(amount), is_money=True)
        for field, number_of in _NUMBERS.items():
            number = number_of(definition)
            if number:
                yield from self._turned(field, number, is_money=False)

    def _turned(self, field: str, now: float, *, is_money: bool) -> Iterator[Turn]:
        for is_up in (True, False):
            found = self._threshold(field, now, is_up=is_up, is_money=is_money)
            if found is not None:
                value, decision = found
                yield Turn(
                    field,
                    ">=" if is_up else "<=",
                    _written(value, is_money=is_money),
                    _written(now, is_money=is_money),
                    decision,
                    _acts(decision) != _acts(self.base),
                )

    def _threshold(
        self, field: str, now: float, *, is_up: bool, is_money: bool
    ) -> tuple[float, Decision] | None:
        """Return the value nearest to now that makes another decision, and that decision."""

        def tried(value: float) -> Decision | None:
            kept = round(value) if is_money else value
            return self._changed(Change(field, kept))

        inside, outside, decision = now, None, None
        for step in STEPS:
            value = now * step if is_up else now / step
            other = tried(value)
            if other is None:  # no campaign any more
                return None
            if _outcome(other) != _outcome(self.base):
                outside, decision = value, other
                break
            inside = value
        if outside is None or decision is None:
            return None
        for _ in range(HALVINGS):
            middle = math.sqrt(inside * outside)
            other = tried(middle)
            if other is not None and _outcome(other) != _outcome(self.base):
                outside, decision = middle, other
            else:
                inside = middle
        short = _rounded(outside, is_up=is_up, is_money=is_money)
        other = tried(short)
        if other is not None and _outcome(other) == _outcome(decision):
            return short, other
        return outside, decision

    # deciding

    def _changed(self, change: Change) -> Decision | None:
        try:
            definition = apply_changes(self.campaign.definition, [change])
        except ConfigError:
            return None
        return self._with(msgspec.structs.replace(self.campaign, definition=definition))

    def _with(self, campaign: Campaign) -> Decision | None:
        """Return the decision for another campaign in its place; None where it would be none."""
        book = Book.restore(self._book)
        try:
            book.put([campaign])
            return self._decided(book)
        except CoreError:
            return None

    def _decided(self, book: Book) -> Decision:
        decided = book.decide(self.at_ms)
        place = decided.decisions["campaign"].tolist().index(self._key)
        row = decided.decisions[place]
        first, count = int(row["first"]), int(row["series_count"])
        series = decided.series[first : first + count]
        platforms = tuple(
            PlatformDecision(
                platform=self._names[int(one["series"])],
                bid_micros=int(one["bid_micros"]),
                cap_micros=int(one["cap_micros"]),
                cpc_micros=_known(float(one["cpc_micros"])),
                cvr=_known(float(one["cvr"])),
                roi_micros=_known(float(one["roi_micros"])),
                confidence=float(one["confidence"]),
                bound_by=Binding(int(one["bound_by"])),
                condition=Condition(int(one["condition"])),
            )
            for one in series
        )
        best = int(row["best"])
        return Decision(
            campaign=self.campaign.definition.id,
            partition=self.record.partition,
            epoch=self.record.epoch,
            round=self.record.round,
            at=self.at_ms / 1000,
            action=Action(int(row["action"])),
            binding=Binding(int(row["binding"])),
            best_platform=None if best < 0 else platforms[best].platform,
            pacing_multiplier=float(row["pacing_multiplier"]),
            settled_micros=int(row["settled_micros"]),
            reserved_micros=int(row["reserved_micros"]),
            platforms=platforms,
        )


def _outcome(decision: Decision) -> tuple[object, ...]:
    """Return what makes a decision another: where it bids, with or without caution, what binds."""
    return (*_acts(decision), decision.binding)


def _acts(decision: Decision) -> tuple[Action, frozenset[str]]:
    bids = frozenset(one.platform for one in decision.platforms if one.bid_micros > 0)
    return decision.action, bids


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _rounded(value: float, *, is_up: bool, is_money: bool) -> float:
    """Return a value in few digits, rounded away from where it turns."""
    scale = 10.0 ** (DIGITS - 1 - math.floor(math.log10(abs(value))))
    short = (math.ceil if is_up else math.floor)(value * scale) / scale
    return float(round(short)) if is_money else short


def _written(value: float, *, is_money: bool) -> str:
    if not is_money:
        return f"{value:.6g}"
    text = f"{value / MICROS:.6f}".rstrip("0")
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest.ljust(2, '0')}"
