"""The closed-form sweep from Python: what it reads, what it writes, and what it refuses."""

import array
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.core.sweep import (
    SWEEP_DECISION_ROW,
    SWEEP_PLAN_ROW,
    SWEEP_SAMPLE_ROW,
    CoreError,
    Counted,
    Sweep,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

DAY_MS = 86_400_000


def plans(count: int, **columns: object) -> NDArray[np.void]:
    """Return plans of a day: value 20, budget 1,000."""
    found = np.zeros(count, SWEEP_PLAN_ROW)
    wanted = {"value_micros": 20_000_000, "budget_micros": 1_000_000_000, "ends_at_ms": DAY_MS}
    for name, column in {**wanted, **columns}.items():
        found[name] = column
    return found


def samples(slots: int, turns: int = 10) -> NDArray[np.void]:
    """Return samples of 40 clicks and 2 conversions, dearer on each slot than on the one before."""
    found = np.zeros(slots * turns, SWEEP_SAMPLE_ROW)
    found["slot"] = np.arange(len(found)) % slots
    found["tick"] = np.arange(len(found)) // slots * 2000
    found["clicks"], found["milliconversions"] = 40, 2000
    found["spend_units"] = 100_000 + 10_000 * found["slot"].astype(np.uint32)
    return found


def fed(campaigns: int = 2, *, threads: int = 1) -> Sweep:
    sweep = Sweep(campaigns, platforms=2, threads=threads)
    sweep.set_plans(plans(campaigns))
    sweep.ingest(samples(2 * campaigns))
    return sweep


def test_rows_are_read_from_any_buffer() -> None:
    rows = samples(4)
    wanted = fed().decide(20_000)
    for buffer in (rows.tobytes(), bytearray(rows.tobytes()), array.array("B", rows.tobytes())):
        sweep = Sweep(2, platforms=2)
        sweep.set_plans(plans(2).tobytes())
        assert sweep.ingest(memoryview(buffer)).accepted == 40
        assert sweep.decide(20_000).tobytes() == wanted.tobytes()


def test_decisions_are_written_where_the_caller_wants_them() -> None:
    sweep = fed()
    out = np.zeros(2, SWEEP_DECISION_ROW)
    found = sweep.decide(20_000, out=out)
    assert np.shares_memory(found, out)
    assert found.tobytes() == out.tobytes() == sweep.decide(20_000).tobytes()
    assert list(out["best"]) == [0, 0]
    assert list(out["bid_micros"] > 0) == [True, True]


@pytest.mark.parametrize(
    "out",
    [np.zeros(1, SWEEP_DECISION_ROW), np.zeros(3, SWEEP_DECISION_ROW), bytearray(63)],
    ids=["short", "long", "odd"],
)
def test_memory_of_another_size_is_refused_with_both_sizes(out: "Buffer") -> None:
    with pytest.raises(CoreError, match="64"):
        fed().decide(20_000, out=out)


@pytest.mark.parametrize("out", [bytes(64), np.zeros(4, SWEEP_DECISION_ROW)[::2]])
def test_memory_that_cannot_be_written_to_in_one_piece_is_refused(out: "Buffer") -> None:
    with pytest.raises(BufferError, match=r"writable|contiguous"):
        fed().decide(20_000, out=out)


def test_rows_with_gaps_between_them_are_refused() -> None:
    with pytest.raises(BufferError, match="contiguous"):
        fed().ingest(samples(4)[::2])


def test_half_a_row_is_refused_and_nothing_is_counted() -> None:
    sweep = fed()
    before = sweep.decide(20_000).tobytes()
    with pytest.raises(CoreError):
        sweep.ingest(samples(4).tobytes()[:-1])
    assert sweep.decide(20_000).tobytes() == before


def test_what_became_of_each_row_is_counted() -> None:
    sweep = fed()
    rows = np.zeros(3, SWEEP_SAMPLE_ROW)
    rows["slot"], rows["tick"], rows["clicks"] = [0, 4, 1], [18_000, 20_000, 20_000], 1
    found = sweep.ingest(rows)
    counts = (found.accepted, found.replaced, found.late, found.unknown, found.refused)
    assert isinstance(found, Counted)
    assert counts == (1, 1, 0, 1, 0)
    sweep.verify()


def test_a_plan_for_a_campaign_that_is_not_there_is_refused() -> None:
    with pytest.raises(CoreError):
        fed().set_plans(plans(2), first=1)


def test_callers_on_several_threads_take_turns() -> None:
    sweep = fed(campaigns=500, threads=2)
    wanted = sweep.decide(20_000).tobytes()
    found: list[bytes] = []

    def ask() -> None:
        found.extend(sweep.decide(20_000).tobytes() for _ in range(20))

    callers = [threading.Thread(target=ask) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [wanted] * 80
