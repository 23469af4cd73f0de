"""What a look at 10,000 entities costs: `python -m bench.gateway.speed`.

A gateway looks every two seconds: it takes in a round, says what is wanted, and picks. The
decisions come as records, as the chain has them: 64 partitions, every campaign changed.
"""

import statistics
import sys
import time

import numpy as np

from engine.domain.campaign import Campaign, Definition, Flight, PlatformBounds
from engine.domain.lifecycle import State
from engine.gateway.directory import Directory
from engine.gateway.gate import GateSettings
from engine.gateway.runner import desk_of
from engine.gateway.settings import AccountSettings
from engine.messaging.records import Columns, Decide, decode_record, encode
from engine.platforms.port import Lever, Limits, Standing, Target

CAMPAIGNS, PARTITIONS, LOOKS = 10_000, 64, 15
NOW = 1_700_000_000.0


class _Platform:
    name = "google"
    limits = Limits(operations_per_day=15_000, operations_per_second=5.0, batch=1000)


def main() -> int:
    """Print medians in milliseconds; return 0."""
    settings = AccountSettings(platform="google", ad_account="1", live=True)
    desk = desk_of(settings, platform=_Platform(), gate=GateSettings(), sharing=1, now=0.0)  # type: ignore[arg-type]
    directory = Directory({("google", "1"): desk})
    desk.know("USD", step_micros=10_000)
    flight = Flight(NOW - 3600, NOW + 86_400)
    for number in range(CAMPAIGNS):
        link = {"google": PlatformBounds(ad_account="1", entity=f"adGroups/{number}")}
        one = Definition(
            id=f"c{number}", budget_micros=10**9, flight=flight, platforms=link,
            conversion_value_micros=20_000_000,
        )  # fmt: skip
        directory.campaign(Campaign(one, State.ACTIVE, NOW))
        target = Target("1", f"adGroups/{number}")
        desk.stands(
            Standing(target=target, is_serving=True, steered_by=Lever.BID, bid_micros=500_000)
        )
    desk.columns.readiness[:] = 1.0
    desk.purse.begin(NOW, day_s=86_400.0)
    rng = np.random.default_rng(1)
    taken, looked = [], []
    for look in range(LOOKS):
        payloads = _records(rng, NOW + 2 * look)
        began = time.perf_counter()
        for sequence, payload in enumerate(payloads, start=1):
            record = decode_record("", payload)
            assert isinstance(record, Decide)
            directory.decide(record, sequence)
        taken.append(time.perf_counter() - began)
        began = time.perf_counter()
        now = NOW + 2 * look
        changes = desk.pick(now, mono=2.0 * look, day_left_s=3600.0, most=500)
        looked.append(time.perf_counter() - began)
        for change in changes:
            desk.settle(change, "applied", now)
    for name, spent in (("decisions taken in", taken), ("wanted, weighed and picked", looked)):
        sys.stdout.write(f"{name:28} {1000 * statistics.median(spent):7.1f} ms\n")
    share = (statistics.median(taken) + statistics.median(looked)) / 2.0
    sys.stdout.write(f"{'of a core, every 2 s':28} {share:8.1%}\n")
    return 0


def _records(rng: np.random.Generator, at: float) -> list[bytes]:
    records = []
    for partition in range(PARTITIONS):
        names = [f"c{number}" for number in range(partition, CAMPAIGNS, PARTITIONS)]
        n = len(names)
        bids = (rng.integers(10, 200, n) * 10_000).tolist()
        columns = Columns(
            campaign=names, action=[1] * n, binding=[0] * n, best=[0] * n,
            pacing_multiplier=[1.0] * n, settled_micros=[0] * n, reserved_micros=[0] * n,
            series_count=[1] * n, platform=[0] * n, bid_micros=bids, cap_micros=[10**9] * n,
            cpc_micros=[3e5] * n, cvr=[0.05] * n, roi_micros=[1e5] * n, confidence=[0.8] * n,
            bound_by=[0] * n,
        )  # fmt: skip
        record = Decide(
            partition=partition, previous=0, epoch=1, owner="w", round=1, at_ms=int(at * 1000),
            metrics_sequence=0, campaigns_revision=0, decided=n, settled_micros=0,
            reserved_micros=0, platforms=["google"], changed=columns,
        )  # fmt: skip
        records.append(encode(record))
    return records


if __name__ == "__main__":
    sys.exit(main())
