"""A decision chain written by hand: rounds of campaigns, as a worker would have recorded them."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.domain.campaign import Campaign
from engine.domain.codec import encode_campaign
from engine.domain.decision import Action, Binding
from engine.domain.ids import partition_of
from engine.messaging.ports import Broker
from engine.messaging.records import Columns, Decide, Take, encode

__all__ = ["decided", "put"]


async def put(broker: Broker, *campaigns: Campaign) -> None:
    """Create campaigns in the table."""
    for one in campaigns:
        await broker.campaigns.put(one.definition.id, encode_campaign(one), expected=0)


async def decided(
    broker: Broker,
    campaign: str,
    bids: Mapping[str, Mapping[str, Any]],
    *,
    at: float,
    action: Action = Action.BID,
    binding: Binding = Binding.NONE,
    settled_micros: int = 0,
    reserved_micros: int = 0,
    owner: str = "w1",
    platforms: Sequence[str] | None = None,
    campaigns_revision: int = 1,
) -> None:
    """Append a round to the campaign's partition, which decides it and nobody else.

    `bids` are the fields of a platform's decision that are not as usual, by platform.
    """
    partition = partition_of(campaign)
    head = await broker.chain.head(partition)
    previous = 0 if head is None else head.sequence
    common: dict[str, Any] = {
        "partition": partition,
        "epoch": 1,
        "owner": owner,
        "metrics_sequence": 0,
        "at_ms": round(at * 1000),
        "campaigns_revision": campaigns_revision,
    }
    if head is None:
        taken = Take(previous=0, round=0, **common)
        previous = await broker.chain.append(partition, encode(taken), expected=0)
    names = sorted(bids) if platforms is None else list(platforms)
    usual: dict[str, Any] = {
        "bid_micros": 500_000,
        "cap_micros": 5_000_000,
        "cpc_micros": 400_000.0,
        "cvr": 0.04,
        "roi_micros": 400_000.0,
        "confidence": 0.5,
        "bound_by": 0,
    }
    rows = [usual | dict(bids.get(name, {})) for name in names]
    rois = [row["roi_micros"] for row in rows]
    known = [roi for roi in rois if roi is not None]
    best = rois.index(max(known)) if known else -1
    columns = Columns(
        campaign=[campaign],
        action=[int(action)],
        binding=[int(binding)],
        best=[best],
        pacing_multiplier=[1.0],
        settled_micros=[settled_micros],
        reserved_micros=[reserved_micros],
        series_count=[len(names)],
        platform=list(range(len(names))),
        **{field: [row[field] for row in rows] for field in usual},
    )
    record = Decide(
        previous=previous,
        round=1 if head is None else 2,
        decided=1,
        settled_micros=settled_micros,
        reserved_micros=reserved_micros,
        platforms=names,
        changed=columns,
        **common,
    )
    await broker.chain.append(partition, encode(record), expected=previous)
