"""Campaigns that are at work now, by the time of day."""

import time
from typing import Any

from engine.domain.campaign import Campaign, Flight
from engine.domain.lifecycle import State
from support.definitions import definition

__all__ = ["at_work"]


def at_work(name: str, /, **fields: Any) -> Campaign:  # noqa: ANN401
    """Return an active campaign of 10,000.00 in the middle of its flight, now."""
    now = time.time()
    wanted: dict[str, Any] = {
        "budget_micros": 10_000_000_000,
        "flight": Flight(starts_at=now - 3600, ends_at=now + 86_400),
    }
    return Campaign(
        definition=definition(name, **(wanted | fields)),
        state=State.ACTIVE,
        changed_at=now,
        changed_by="test",
    )
