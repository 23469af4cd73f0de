"""Builders: a campaign that makes sense, but for what the test says."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.core.rows import FRAME_HEADER, FRAME_MAGIC, SAMPLE_ROW
from engine.domain.campaign import Campaign, Definition, Flight, PlatformBounds
from engine.domain.ids import partition_of, series_key
from engine.domain.lifecycle import State

START = 1_700_000_000.0  # where a ManualClock begins
DAY = 86_400.0


def definition(campaign_id: str = "spring-shoes", /, **fields: Any) -> Definition:  # noqa: ANN401
    """Return a definition: 100.00 for a day from START on google and meta, 20.00 a conversion."""
    wanted: dict[str, Any] = {
        "budget_micros": 100_000_000,
        "flight": Flight(starts_at=START, ends_at=START + DAY),
        "platforms": {"google": PlatformBounds(), "meta": PlatformBounds()},
        "conversion_value_micros": 20_000_000,
    }
    return Definition(id=campaign_id, **(wanted | fields))


def campaign(
    campaign_id: str = "spring-shoes",
    /,
    *,
    state: State = State.ACTIVE,
    **fields: Any,  # noqa: ANN401
) -> Campaign:
    """Return a campaign, active since START; `fields` are its definition's."""
    return Campaign(
        definition=definition(campaign_id, **fields),
        state=state,
        changed_at=START,
        changed_by="test",
    )


def names_in(partition: int, count: int = 1, *, prefix: str = "c") -> list[str]:
    """Return ids of campaigns that belong to a partition."""
    names: list[str] = []
    number = 0
    while len(names) < count:
        name = f"{prefix}{number}"
        if partition_of(name) == partition:
            names.append(name)
        number += 1
    return names


def report(
    name: str,
    platform: str,
    *,
    at: float,
    clicks: int = 100,
    spend_micros: int = 1_000_000,
    conversions: float = 2.0,
    impressions: int = 10_000,
) -> dict[str, Any]:
    """Return the fields of a SAMPLE_ROW: one report, spend in units of 100 micros."""
    return {
        "series": series_key(name, platform),
        "impressions": impressions,
        "spend_rest_micros": spend_micros % 100,
        "tick": int(at * 1000) % 2**32,
        "clicks": clicks,
        "milliconversions": round(conversions * 1000),
        "spend_units": spend_micros // 100,
    }


def frame(
    partition: int, reports: Sequence[dict[str, Any]], *, sequence: int, producer: int = 1
) -> bytes:
    """Return a frame of reports."""
    header = np.zeros(1, FRAME_HEADER)
    header["magic"] = FRAME_MAGIC
    header["partition"] = partition
    header["tick_ms"] = 1
    header["producer"] = producer
    header["sequence"] = sequence
    header["count"] = len(reports)
    header["unit_micros"] = 100
    rows = np.zeros(len(reports), SAMPLE_ROW)
    for row, fields in zip(rows, reports, strict=True):
        for field, value in fields.items():
            row[field] = value
    return header.tobytes() + rows.tobytes()
