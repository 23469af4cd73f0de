"""Decisions as people read them: the feed of all campaigns, and what one campaign does now."""

from functools import lru_cache
from typing import Any

import msgspec

from engine.dashboard.columns import STATES, CampaignColumns, binding_of
from engine.dashboard.live import Decided, Live
from engine.dashboard.query import Choice, code_name
from engine.domain.campaign import Campaign, Definition
from engine.domain.codec import decode_campaign
from engine.domain.decision import Action, Decision, PlatformDecision
from engine.domain.lifecycle import LEGAL, State
from engine.domain.reasons import platform_sentence, sentence
from engine.errors import MalformedMessageError
from engine.reports.plan import planned_micros

__all__ = ["FeedQuery", "campaign_now", "decision_fields", "definition_of", "feed_page"]


class FeedQuery(msgspec.Struct, frozen=True):
    """Which decisions of the feed somebody wants to see."""

    search: str = ""
    platform: Choice = Choice()
    binding: Choice = Choice()
    action: Choice = Choice()
    limit: int = 100


def feed_page(live: Live, query: FeedQuery) -> dict[str, Any]:
    """Return the newest decisions that fit, the newest first."""
    found: list[dict[str, Any]] = []
    for one in reversed(live.feed):
        if len(found) >= query.limit:
            break
        if _fits(one, query):
            decision = _decision(one)
            definition = definition_of(live.campaigns, decision.campaign)
            found.append(
                decision_fields(decision, definition)
                | {"currency": None if definition is None else definition.currency}
                | {"bid_before": one.bid_before_micros}
            )
    return {"decisions": found, "kept": len(live.feed)}


def campaign_now(live: Live, name: str) -> dict[str, Any] | None:
    """Return a campaign as it stands, and its newest decision; None where nobody knows it."""
    columns, at = live.campaigns, live.clock.now()
    row = columns.row_of.get(name)
    if row is None:
        return None
    campaign = _campaign(columns.payloads[row])
    definition = None if campaign is None else campaign.definition
    decision = columns.decision(row)
    state = int(columns.column("state")[row])
    settled, reserved = (
        int(columns.column(field)[row]) for field in ("settled_micros", "reserved_micros")
    )
    return {
        "campaign": name,
        "revision": columns.revisions[row],
        "state": STATES[state].value if state < len(STATES) else None,
        "legal": _legal(campaign),
        "settled": None if settled < 0 else settled,
        "reserved": None if reserved < 0 else reserved,
        "planned": None if definition is None else planned_micros(definition, at),
        "decision": None if decision is None else decision_fields(decision, definition),
        "is_halted": decision is not None and decision.partition in live.halted,
    }


def decision_fields(decision: Decision, definition: Definition | None) -> dict[str, Any]:
    """Return a decision as JSON has it: names for codes, micros for money, a sentence for why."""
    return {
        "campaign": decision.campaign,
        "at": round(decision.at, 3),
        "partition": decision.partition,
        "epoch": decision.epoch,
        "round": decision.round,
        "action": code_name(decision.action),
        "binding": code_name(decision.binding),
        "best": decision.best_platform,
        "pacing": _finite(decision.pacing_multiplier),
        "settled": decision.settled_micros,
        "reserved": decision.reserved_micros,
        "why": sentence(decision, definition),
        "platforms": [_platform_fields(one) for one in decision.platforms],
    }


def definition_of(columns: CampaignColumns, name: str) -> Definition | None:
    """Return the definition of a campaign that the table has now."""
    row = columns.row_of.get(name)
    campaign = None if row is None else _campaign(columns.payloads[row])
    return None if campaign is None else campaign.definition


def _platform_fields(one: PlatformDecision) -> dict[str, Any]:
    return {
        "platform": one.platform,
        "bid": one.bid_micros,
        "cap": one.cap_micros,
        "cpc": _finite(one.cpc_micros),
        "cvr": _finite(one.cvr),
        "roi": _finite(one.roi_micros),
        "confidence": _finite(one.confidence),
        "bound_by": code_name(one.bound_by),
        "bound_by_words": platform_sentence(one),
    }


def _legal(campaign: Campaign | None) -> list[str]:
    if campaign is None:
        return []
    legal = LEGAL[campaign.state]
    verbs = {
        "pause": State.PAUSED in legal,
        "resume": State.ACTIVE in legal and campaign.state is not State.SCHEDULED,
        "stop": State.STOPPED in legal,
    }
    return [verb for verb, may in verbs.items() if may]


@lru_cache(maxsize=4096)
def _campaign(payload: bytes) -> Campaign | None:
    if not payload:
        return None
    try:
        return decode_campaign("campaign", payload)
    except MalformedMessageError:
        return None


def _fits(one: Decided, query: FeedQuery) -> bool:
    changed, i = one.record.changed, one.index
    if query.search and query.search not in changed.campaign[i].lower():
        return False
    names = {"binding": code_name(binding_of(changed.binding[i]))}
    names["action"] = code_name(Action(changed.action[i]))
    for field, name in names.items():
        choice: Choice = getattr(query, field)
        if choice.names and (name in choice.names) == choice.is_not:
            return False
    if query.platform.names:
        rows = range(one.first, one.first + changed.series_count[i])
        bids = {one.record.platforms[changed.platform[j]] for j in rows if changed.bid_micros[j]}
        return bool(bids & set(query.platform.names)) != query.platform.is_not
    return True


def _decision(one: Decided) -> Decision:
    """Return one decision of a record, without making all of them."""
    record, changed, i = one.record, one.record.changed, one.index
    best = changed.best[i]
    return Decision(
        campaign=changed.campaign[i],
        partition=record.partition,
        epoch=record.epoch,
        round=record.round,
        at=record.at_ms / 1000,
        action=Action(changed.action[i]),
        binding=binding_of(changed.binding[i]),
        best_platform=None if best < 0 else record.platforms[best],
        pacing_multiplier=changed.pacing_multiplier[i],
        settled_micros=changed.settled_micros[i],
        reserved_micros=changed.reserved_micros[i],
        platforms=tuple(
            PlatformDecision(
                platform=record.platforms[changed.platform[j]],
                bid_micros=changed.bid_micros[j],
                cap_micros=changed.cap_micros[j],
                cpc_micros=changed.cpc_micros[j],
                cvr=changed.cvr[j],
                roi_micros=changed.roi_micros[j],
                confidence=changed.confidence[j],
                bound_by=binding_of(changed.bound_by[j] if changed.bound_by else 0),
            )
            for j in range(one.first, one.first + changed.series_count[i])
        ),
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or value != value or value in (_INF, -_INF) else value


_INF = float("inf")
