"""Times the border at the sweep: rows in by many calls or few, in any buffer; decisions out.

What to compare: the same rows by one call a row and by one call a frame of 256 or 4,096, and the
same frame as bytes, as a memoryview and as a numpy array (none is copied). A round of the benchmark
takes in some thousands of rows, so all that is added is the loop around the calls, 20 ns each.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from bench.peers.core_sweep import Peer
from bench.peers.race import fill
from bench.peers.work import Work

WORK = Work(campaigns=1000)
ROWS_A_ROUND = 4096
KINDS: dict[str, Callable[[NDArray[np.void]], object]] = {
    "bytes": lambda rows: rows.tobytes(),
    "memoryview": lambda rows: memoryview(rows.tobytes()),
    "numpy": lambda rows: rows,
}


@pytest.fixture
def peer() -> Peer:
    peer = Peer(WORK, WORK.terms())
    fill(peer, WORK, WORK.begins)
    return peer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows_a_call", [1, 16, 256, 4096])
def bench_ingest(benchmark: BenchmarkFixture, peer: Peer, rows_a_call: int, kind: str) -> None:
    ingest = peer.sweep.ingest
    steps = iter(range(WORK.begins, 10_000))

    def frames() -> tuple[tuple[list[object]], dict[str, object]]:
        rows = np.concatenate([WORK.shuffled(next(steps)) for _ in range(2)])[:ROWS_A_ROUND]
        cuts = range(0, ROWS_A_ROUND, rows_a_call)
        return ([KINDS[kind](rows[cut : cut + rows_a_call]) for cut in cuts],), {}

    def run(frames: list[object]) -> None:
        for frame in frames:
            ingest(frame)

    benchmark.extra_info |= {"of": f"sweep_{kind}", "rows_a_call": rows_a_call}
    benchmark.extra_info["rows"] = ROWS_A_ROUND
    benchmark.pedantic(run, setup=frames, rounds=15, warmup_rounds=3)


def bench_decide(benchmark: BenchmarkFixture, peer: Peer) -> None:
    benchmark(peer.decide, WORK.tick(WORK.begins))
