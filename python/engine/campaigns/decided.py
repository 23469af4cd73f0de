"""The newest decisions, read back from the chain: it has no index, so the search goes backwards."""

from collections.abc import Sequence

import msgspec

from engine.domain.decision import Decision
from engine.domain.ids import PARTITIONS, partition_of
from engine.messaging.ports import Chain
from engine.messaging.records import Decide, Keep, decisions_of, decode_record

__all__ = ["Ledger", "newest_decisions", "newest_of"]

# How far back to look, in positions of the stream: further only where too little was found.
_SPANS = (500, 5_000, 50_000)


class Ledger(msgspec.Struct, frozen=True):
    """What a campaign has spent and may yet spend, as the chain last said."""

    settled_micros: int
    reserved_micros: int
    at: float  # epoch seconds


async def newest_decisions(chain: Chain, *, limit: int) -> tuple[list[Decision], int]:
    """Return the newest decisions of all partitions, oldest first, and the position read up to."""
    heads = [await chain.head(partition) for partition in range(PARTITIONS)]
    positions = {head.partition: head.sequence for head in heads if head is not None}
    newest = max(positions.values(), default=0)
    found: list[tuple[float, int, Decision]] = []
    for after in _starts(newest):
        found = []
        for partition, position in positions.items():
            if position > after:
                found += await _read(chain, partition, after)
        if len(found) >= limit:
            break
    found.sort(key=lambda entry: entry[:2])
    return [decision for _, _, decision in found[-limit:]] if limit else [], newest


async def newest_of(
    chain: Chain, campaign: str, *, limit: int
) -> tuple[list[Decision], Ledger | None, int]:
    """Return a campaign's newest decisions, oldest first, its ledger, and the position read up to.

    A record holds a decision only where it changed: the newest may be old, and still in force.
    """
    partition = partition_of(campaign)
    head = await chain.head(partition)
    newest = 0 if head is None else head.sequence
    decisions: list[Decision] = []
    ledger: Ledger | None = None
    for after in _starts(newest):
        decisions, ledger = [], None
        async for message in chain.read(partition, after=after):
            record = decode_record(f"decisions {partition}", message.payload)
            if isinstance(record, Keep) and campaign in record.campaign:
                row = record.campaign.index(campaign)
                settled, reserved = record.settled_micros[row], record.reserved_micros[row]
                ledger = Ledger(settled, reserved, record.at_ms / 1_000)
            elif isinstance(record, Decide) and campaign in record.changed.campaign:
                mine = [one for one in decisions_of(record) if one.campaign == campaign]
                decisions += mine
                one = mine[-1]
                ledger = Ledger(one.settled_micros, one.reserved_micros, one.at)
        if len(decisions) >= limit:
            break
    return decisions[-limit:] if limit else [], ledger, newest


def _starts(newest: int) -> Sequence[int]:
    """Return the positions to read from, each further back than the one before, 0 at last."""
    return [*(newest - span for span in _SPANS if span < newest), 0]


async def _read(chain: Chain, partition: int, after: int) -> list[tuple[float, int, Decision]]:
    found = []
    async for message in chain.read(partition, after=after):
        record = decode_record(f"decisions {partition}", message.payload)
        if isinstance(record, Decide):
            found += [(one.at, message.sequence, one) for one in decisions_of(record)]
    return found
