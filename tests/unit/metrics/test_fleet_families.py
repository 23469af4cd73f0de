"""The fleet's page: sums by currency, forecasts against what came, and no campaign by name."""

import asyncio
import time

import pytest
from prometheus_client.core import Metric

from engine.clock import SystemClock
from engine.domain.accounts import Halt
from engine.domain.codec import encode_control
from engine.domain.ids import partition_of
from engine.domain.lifecycle import State
from engine.messaging.gateway_status import (
    AccountStatus,
    GatewayStatus,
    encode_gateway_status,
)
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.records import Heartbeat, encode
from engine.messaging.subjects import HALT_NAME
from engine.metrics.exporter import Exporter
from support.chain import decided, put
from support.definitions import campaign, frame, report
from support.terminal import at_work
from support.waiting import wait_until

NOW = time.time()
NAME = "spring-shoes"
P = partition_of(NAME)


@pytest.fixture
async def broker() -> MemoryBroker:
    return MemoryBroker(server=MemoryServer(), name="test")


def samples(families: list[Metric]) -> dict[tuple[str, ...], float]:
    return {
        (one.name, *(value for _, value in sorted(one.labels.items()))): one.value
        for family in families
        for one in family.samples
    }


async def page(broker: MemoryBroker, *frames: bytes) -> dict[tuple[str, ...], float]:
    """Return the page after some frames have come in."""
    exporter = Exporter(broker=broker, clock=SystemClock())
    running = asyncio.create_task(exporter.run())
    await wait_until(lambda: exporter.is_ready)
    beat = Heartbeat(
        worker="w1",
        version="1",
        started_at=NOW,
        at=NOW,
        partitions=[P],
        lag_frames=4,
        shed_rounds=9,
        shed_share=0.25,
    )
    await broker.heartbeats.beat("w1", encode(beat))
    for n, payload in enumerate(frames):
        await broker.frames.publish(P, payload, message_id=f"{n}")
    await broker.frames.flush()
    wanted = sum(len(one) > 0 for one in frames)

    def counted() -> bool:
        found = samples(list(exporter.families()))
        return (
            found["engine_fleet_workers",] == 1 and found["engine_fleet_samples_total",] >= wanted
        )

    await wait_until(counted)
    found = samples(list(exporter.families()))
    exporter.stop()
    await running
    return found


async def test_money_is_summed_by_currency(broker: MemoryBroker) -> None:
    yen = "yen-1"
    await put(broker, at_work(NAME), at_work(yen, currency="JPY"))
    await decided(broker, NAME, {"google": {}}, at=NOW, settled_micros=12_500_000,
                  reserved_micros=2_000_000)  # fmt: skip
    await decided(broker, yen, {"google": {}}, at=NOW, settled_micros=700_000_000)
    found = await page(broker)
    assert found["engine_fleet_settled", "USD"] == 12.5
    assert found["engine_fleet_reserved", "USD"] == 2.0
    assert found["engine_fleet_settled", "JPY"] == 700.0
    assert found["engine_fleet_budget", "USD"] == 10_000.0
    assert not any(NAME in key for key in found)


async def test_samples_are_held_against_the_forecast_in_force(broker: MemoryBroker) -> None:
    await put(broker, at_work(NAME))
    await decided(broker, NAME, {"google": {"cpc_micros": 400_000.0, "cvr": 0.05}}, at=NOW)
    rows = [
        report(NAME, "google", at=NOW, clicks=10, spend_micros=5_000_000, conversions=1.0),
        report(NAME, "google", at=NOW + 1, clicks=10, spend_micros=3_000_000, conversions=0.0),
        report(NAME, "google", at=NOW + 2, clicks=0, spend_micros=0, conversions=0.0),
        report(NAME, "meta", at=NOW, clicks=10, spend_micros=9_000_000),  # no forecast there
        report("stranger", "google", at=NOW, clicks=10, spend_micros=9_000_000),
    ]
    found = await page(broker, frame(P, rows, sequence=1))
    key = ("USD", "google")
    assert found["engine_forecast_spend_expected_total", *key] == pytest.approx(8.0)
    assert found["engine_forecast_spend_total", *key] == pytest.approx(8.0)
    assert found["engine_forecast_spend_error_total", *key] == pytest.approx(2.0)  # 1 and 1
    assert found["engine_forecast_conversions_expected_total", *key] == pytest.approx(1.0)
    assert found["engine_forecast_conversions_error_total", *key] == pytest.approx(1.0)
    assert found["engine_forecast_clicks_total", *key] == 20
    assert ("engine_forecast_clicks_total", "USD", "meta") not in found


async def test_partitions_without_owner_count_where_something_could_bid(
    broker: MemoryBroker,
) -> None:
    await put(
        broker,
        at_work(NAME),
        at_work("summer-hats"),
        at_work("tea-2"),
        campaign("old", state=State.STOPPED),
    )
    found = await page(broker)  # w1 holds the first one's partition alone
    assert found["engine_fleet_partitions_owned",] == 1
    assert found["engine_fleet_partitions_unowned",] == 2
    assert found["engine_fleet_worker_lag_frames", "w1"] == 4
    assert found["engine_fleet_worker_shed_rounds", "w1"] == 9
    assert found["engine_fleet_worker_shed_share", "w1"] == 0.25
    assert found["engine_fleet_campaigns", "stopped"] == 1


async def test_the_kill_switch_is_seen(broker: MemoryBroker) -> None:
    halt = encode_control(Halt(True))
    await broker.campaigns.put_control(3, HALT_NAME, halt, expected=0)
    assert (await page(broker))["engine_fleet_halted_partitions",] == 1


async def test_what_looks_wrong_in_reports_and_what_came_of_changes_is_told(
    broker: MemoryBroker,
) -> None:
    account = AccountStatus(
        platform="meta", ad_account="77", is_live=True, anomalies={"zero-spend": 2},
        improved=3, worse=1, duplicate_sales=4, unknown_sales=2.5, refused_here=1,
    )  # fmt: skip
    status = GatewayStatus(gateway="g1", version="1", started_at=NOW, at=NOW, accounts=[account])
    exporter = Exporter(broker=broker, clock=SystemClock())
    running = asyncio.create_task(exporter.run())
    await wait_until(lambda: exporter.is_ready)
    await broker.gateways.beat("g1", encode_gateway_status(status))
    await wait_until(
        lambda: samples(list(exporter.families())).get(("engine_fleet_gateways",)) == 1
    )
    found = samples(list(exporter.families()))
    exporter.stop()
    await running
    here = ("77", "g1")
    assert found["engine_gateway_anomalies", *here, "zero-spend", "meta"] == 2
    assert found["engine_gateway_anomalies", *here, "ctr-drop", "meta"] == 0
    assert found["engine_gateway_improved_total", *here, "meta"] == 3
    assert found["engine_gateway_worse_total", *here, "meta"] == 1
    assert found["engine_gateway_duplicate_sales_total", *here, "meta"] == 4
    assert found["engine_gateway_unknown_sales", *here, "meta"] == 2.5
    assert found["engine_gateway_refused_here_total", *here, "meta"] == 1
