"""Times the border between Python and the core: one call a frame, one call a round.

What to compare: `ingest` of one frame of 256 rows with frames of one row, the same frame in buffers
of three kinds, and `decide` with `bench/core/round.rs` (the difference is the border's). Run by
`make bench-boundary`.
"""

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from typing_extensions import Buffer

from engine.core.book import Book
from engine.core.frames import encode_frame
from engine.core.rows import SAMPLE_ROW
from engine.domain.campaign import Campaign, Definition, Flight, PlatformBounds
from engine.domain.ids import series_key
from engine.domain.lifecycle import State

START = 1_700_000_000
PLATFORMS = ("google", "meta", "tiktok", "amazon")
CAMPAIGNS = 1000
KINDS: dict[str, Callable[[bytes], Buffer]] = {
    "bytes": bytes,
    "memoryview": memoryview,
    "numpy": lambda frame: np.frombuffer(frame, np.uint8),
}


def campaign(number: int) -> Campaign:
    definition = Definition(
        id=f"c{number}",
        budget_micros=10**12,
        flight=Flight(START, START + 86_400),
        platforms=dict.fromkeys(PLATFORMS, PlatformBounds()),
        conversion_value_micros=20_000_000,
    )
    return Campaign(definition=definition, state=State.ACTIVE, changed_at=START)


@pytest.fixture
def book() -> Book:
    book = Book()
    book.put([campaign(number) for number in range(CAMPAIGNS)])
    return book


def frames(rows_a_frame: int) -> Iterator[bytes]:
    """Iterate frames without end, each with a sequence of its own."""
    keys = [series_key(f"c{n}", platform) for n in range(CAMPAIGNS) for platform in PLATFORMS]
    rows = np.zeros(rows_a_frame, SAMPLE_ROW)
    rows["clicks"], rows["milliconversions"], rows["spend_units"] = 40, 1000, 200_000
    rows["impressions"] = 900
    for sequence in count():
        places = (sequence * rows_a_frame + np.arange(rows_a_frame)) % len(keys)
        rows["series"] = np.array(keys, np.uint64)[places]
        rows["tick"] = (START * 1000 + sequence * 100) % 2**32
        yield encode_frame(0, rows, producer=1, sequence=sequence, unit_micros=100)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows_a_frame", [1, 16, 256, 4096])
def bench_ingest(benchmark: BenchmarkFixture, book: Book, rows_a_frame: int, kind: str) -> None:
    endless = map(KINDS[kind], frames(rows_a_frame))
    ingest, calls = book.ingest, max(1, 1024 // rows_a_frame)

    def run(frames: list[Buffer]) -> None:
        for frame in frames:
            ingest(frame)

    benchmark.extra_info |= {"of": f"frame_{kind}", "rows_a_call": rows_a_frame}
    benchmark.extra_info["rows"] = calls * rows_a_frame
    benchmark.pedantic(
        run,
        setup=lambda: (([next(endless) for _ in range(calls)],), {}),
        rounds=15,
        warmup_rounds=3,
    )


def bench_decide(benchmark: BenchmarkFixture, book: Book) -> None:
    endless = frames(256)
    for _ in range(16 * 64):
        book.ingest(next(endless))
    at_ms = count(START * 1000 + 102_400)
    benchmark(lambda: book.decide(next(at_ms)))


def bench_encode_frame(benchmark: BenchmarkFixture) -> None:
    benchmark(next, frames(256))


def bench_snapshot_and_restore(benchmark: BenchmarkFixture, book: Book) -> None:
    book.decide(START * 1000)
    benchmark(lambda: Book.restore(book.snapshot()))
