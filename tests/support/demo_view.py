"""A view of a small fleet, as the demo's screen is given it."""

from typing import Any

import msgspec

from engine.cli.demo_view import Child, DemoState
from engine.domain.decision import Action, Binding, Decision, PlatformDecision
from engine.messaging.records import Heartbeat
from engine.metrics.board import Heard
from engine.metrics.watch import CampaignView, View
from support.definitions import START, campaign


def worker(name: str, *, heard_ago_s: float = 0.05, **fields: Any) -> Heard:  # noqa: ANN401
    """Return a worker with half of all partitions."""
    wanted: dict[str, Any] = {"partitions": list(range(32)), "rounds": 320, "decisions": 1_600}
    beat = Heartbeat(worker=name, version="1.0", started_at=START, at=START, **(wanted | fields))
    return Heard(beat, heard_ago_s)


def workers(*heard: Heard) -> dict[str, Heard]:
    """Return workers by name."""
    return {one.beat.worker: one for one in heard}


def campaign_view(name: str, *, spend_micros: int = 40_000_000) -> CampaignView:
    """Return a campaign that has spent 40 of 50 planned."""
    platform = PlatformDecision("google", 1_250_000, 50_000_000, 900_000.0, 0.04, 300_000.0, 0.7)
    decision = Decision(
        campaign=name,
        partition=1,
        epoch=1,
        round=9,
        at=START,
        action=Action.BID,
        binding=Binding.PACING,
        best_platform="google",
        pacing_multiplier=0.9,
        settled_micros=spend_micros,
        reserved_micros=1,
        platforms=(platform,),
    )
    return CampaignView(campaign(name), decision, 50_000_000, spend_micros, 44, 4_000)


def view(count: int = 200, **fields: Any) -> View:  # noqa: ANN401
    """Return a view of two workers and some campaigns."""
    campaigns = tuple(
        campaign_view(f"campaign-with-a-rather-long-name-{i:04d}") for i in range(count)
    )
    base = View(
        is_connected=True,
        workers=workers(worker("worker-1"), worker("worker-2")),
        campaigns=campaigns,
        rounds=1_234,
        decisions=45_678,
        samples=98_765,
        rounds_a_second=32.0,
        decisions_a_second=100.0,
        samples_a_second=560.0,
        spend_micros=19_000_000_000,
        plan_micros=20_000_000_000,
        budget_micros=50_000_000_000,
        conversions=1_411.0,
        value_micros=41_000_000_000,
        bindings=((Binding.PACING, 150), (Binding.BUDGET, 50)),
        spend_history=tuple(range(0, 60_000_000, 1_000_000)),
        plan_history=(),
        delay_ms=(4.0, 76.0),
    )
    return msgspec.structs.replace(base, **fields)


def state(**fields: Any) -> DemoState:  # noqa: ANN401
    """Return what the demo adds: two workers and a market that run."""
    base = DemoState(
        url="nats://127.0.0.1:40435",
        elapsed_s=23.4,
        interval_s=2.0,
        seed=7,
        duration_s=30.0,
        children=(
            Child("market", 100, None),
            Child("worker-1", 101, None),
            Child("worker-2", 102, None),
        ),
    )
    return msgspec.structs.replace(base, **fields)
