"""The short drill, as CI runs it; without its fence it must find what is wrong."""

import pytest

from drill.__main__ import report
from drill.run import Plan, drill
from engine.clock import SystemClock

pytestmark = [pytest.mark.drill, pytest.mark.fleet]


def plan(**fields: object) -> Plan:
    wanted: dict[str, object] = {
        "servers": 1, "workers": 3, "campaigns": 128, "interval": 0.2, "seconds": 12.0, "seed": 7,
    }  # fmt: skip
    return Plan(**(wanted | fields))  # type: ignore[arg-type]  # as the plan's own types have it


async def test_real_faults_leave_every_chain_and_every_ledger_sound() -> None:
    kinds = ("worker_kill", "worker_stop", "broker_kill")
    found = report([await drill(plan(kinds=kinds), clock=SystemClock())])
    assert found["ok"], found
    assert len(found["faults"]) >= 2  # type: ignore[arg-type]  # a dict of counts
    assert found["accepted"] > 1_000  # type: ignore[operator]  # an int


async def test_the_drill_has_teeth() -> None:
    toothless = plan(kinds=("worker_stop",), seconds=6.0, module="drill.toothless_worker")
    found = report([await drill(toothless, clock=SystemClock())])
    assert not found["ok"]
    assert found["stale"] > 0  # type: ignore[operator]  # an int
