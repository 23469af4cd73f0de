"""What became of a campaign: its decisions read back from the chain, and why the last bid moved.

The chain has no index, so the search goes backwards in growing steps and stops where enough was
found or where it would cost too much: the answer says how far back it goes.
"""

from typing import Any

import msgspec

from engine.dashboard.decisions import decision_fields
from engine.domain.campaign import Campaign, Definition
from engine.domain.codec import decode_campaign
from engine.domain.decision import Binding, Decision, PlatformDecision
from engine.domain.ids import partition_of
from engine.domain.money import from_micros
from engine.domain.reasons import platform_sentence
from engine.errors import MalformedMessageError
from engine.messaging.ports import CampaignTable, Chain
from engine.messaging.records import Decide, decisions_of, decode_record
from engine.reports.plan import planned_micros

__all__ = ["Past", "bid_change", "changes_of", "past_fields", "read_past"]

ENOUGH = 240  # decisions
_SPANS = (2_000, 20_000, 200_000)  # positions of the stream to look back
_MOST_BYTES = 48 * 1024 * 1024  # read for one answer


class Past(msgspec.Struct, frozen=True):
    """Decisions of a campaign, oldest first, and whether there are older ones."""

    decisions: list[Decision]
    is_whole: bool


async def read_past(chain: Chain, campaign: str, *, enough: int = ENOUGH) -> Past:
    """Return the newest decisions of a campaign. Raises BrokerError where the broker stays away."""
    partition = partition_of(campaign)
    head = await chain.head(partition)
    if head is None:
        return Past([], True)
    marker = campaign.encode()
    found: list[Decision] = []
    read = 0
    for after in [*(head.sequence - span for span in _SPANS if span < head.sequence), 0]:
        found, read_before, read = [], read, 0
        async for message in chain.read(partition, after=after):
            read += len(message.payload)
            if marker not in message.payload:
                continue  # without decoding it: most records of a large fleet are of others
            try:
                record = decode_record(f"decisions {partition}", message.payload)
            except MalformedMessageError:
                continue
            if isinstance(record, Decide) and campaign in record.changed.campaign:
                found += [one for one in decisions_of(record) if one.campaign == campaign]
        growth = read / max(read_before, 1) if read_before else 10.0
        if len(found) >= enough or after == 0 or read * growth > _MOST_BYTES:
            return Past(found[-enough:], after == 0 and len(found) <= enough)
    return Past(found[-enough:], False)


def past_fields(past: Past, definition: Definition | None) -> dict[str, Any]:
    """Return a past as columns for charts, with the last change of a bid explained."""
    decisions = past.decisions
    platforms = sorted({one.platform for each in decisions for one in each.platforms})
    by_platform = [{one.platform: one for one in each.platforms} for each in decisions]
    return {
        "at": [round(one.at, 3) for one in decisions],
        "settled": [one.settled_micros for one in decisions],
        "planned": [
            None if definition is None else planned_micros(definition, one.at) for one in decisions
        ],
        "binding": [one.binding.name.lower().replace("_", "-") for one in decisions],
        "bid": {
            name: [row[name].bid_micros if name in row else None for row in by_platform]
            for name in platforms
        },
        "roi": {
            name: [row[name].roi_micros if name in row else None for row in by_platform]
            for name in platforms
        },
        "is_whole": past.is_whole,
        "change": bid_change(decisions, definition),
    }


def bid_change(decisions: list[Decision], definition: Definition | None) -> dict[str, Any] | None:
    """Return the newest decision whose bids differ from those before it, and what differs.

    None where the bids are the same in all that is known.
    """
    for before, after in zip(decisions[-2::-1], decisions[:0:-1], strict=True):
        if _bids(before) != _bids(after):
            return {
                "before": decision_fields(before, definition),
                "after": decision_fields(after, definition),
                "words": list(_differences(before, after)),
            }
    return None


async def changes_of(table: CampaignTable, campaign: str) -> list[dict[str, Any]]:
    """Return the entries kept of a campaign, newest first, each with what it changed.

    Raises BrokerError where the broker stays away.
    """
    entries: list[tuple[int, Campaign]] = []
    async for message in table.history(campaign):
        try:
            where = f"campaigns, revision {message.sequence}"
            entries.append((message.sequence, decode_campaign(where, message.payload)))
        except MalformedMessageError:
            continue
    shown = []
    before: Campaign | None = None
    for revision, entry in entries:
        shown.append(
            {
                "revision": revision,
                "at": entry.changed_at,
                "by": entry.changed_by,
                "note": entry.note,
                "state": entry.state.value,
                "changes": [] if before is None else _fields_changed(before, entry),
                "is_oldest": before is None,
            }
        )
        before = entry
    return shown[::-1]


def _bids(decision: Decision) -> dict[str, int]:
    return {one.platform: one.bid_micros for one in decision.platforms}


def _differences(before: Decision, after: Decision) -> "list[str]":
    """Return what changed between two decisions, in short sentences, bids first."""
    was = {one.platform: one for one in before.platforms}
    words = []
    for one in after.platforms:
        old = was.get(one.platform)
        if old is None or old.bid_micros == one.bid_micros:
            continue
        words.append(_bid_words(old, one))
    if before.action is not after.action:
        old_name, new_name = (each.action.name.lower() for each in (before, after))
        words.append(f"The action went from {old_name} to {new_name}.")
    if before.binding is not after.binding:
        words.append(f"What binds it went from {_name(before.binding)} to {_name(after.binding)}.")
    if before.best_platform != after.best_platform and after.best_platform is not None:
        was_best = before.best_platform or "none"
        words.append(f"The best platform is {after.best_platform}, it was {was_best}.")
    old_pace, new_pace = before.pacing_multiplier, after.pacing_multiplier
    if _differ(old_pace, new_pace):
        words.append(f"The pacing multiplier went from {old_pace:.2f} to {new_pace:.2f}.")
    return words


def _bid_words(old: PlatformDecision, new: PlatformDecision) -> str:
    if not old.bid_micros:
        text = f"On {new.platform} it bids {from_micros(new.bid_micros)}, before nothing"
    elif not new.bid_micros:
        text = f"On {new.platform} it stopped bidding, before {from_micros(old.bid_micros)}"
    else:
        share = new.bid_micros / old.bid_micros - 1
        verb = "rose" if share > 0 else "fell"
        text = (
            f"The bid on {new.platform} {verb} by {abs(share):.1%}, "
            f"from {from_micros(old.bid_micros)} to {from_micros(new.bid_micros)}"
        )
    held = platform_sentence(new)
    return f"{text}, held by {held}." if held else f"{text}."


def _differ(old: float, new: float) -> bool:
    return abs(new - old) > 0.005 * max(abs(old), abs(new))


def _name(binding: Binding) -> str:
    return "nothing" if binding is Binding.NONE else binding.name.lower().replace("_", " ")


def _fields_changed(before: Campaign, after: Campaign) -> list[dict[str, Any]]:
    """Return (field, from, to) of two entries, nested fields by their path."""
    old = _flat(msgspec.to_builtins(before.definition)) | {"state": before.state.value}
    new = _flat(msgspec.to_builtins(after.definition)) | {"state": after.state.value}
    return [
        {"field": path, "from": old.get(path), "to": new.get(path)}
        for path in dict.fromkeys([*new, *old])
        if old.get(path) != new.get(path)
    ]


def _flat(value: Any, path: str = "") -> dict[str, Any]:  # noqa: ANN401 - of JSON
    if isinstance(value, dict):
        flat: dict[str, Any] = {}
        for key, inner in value.items():
            flat |= _flat(inner, f"{path}.{key}" if path else key)
        return flat or {path: None}
    return {path: value}
