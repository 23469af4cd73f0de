"""The figures of a load are those of what was stored, and they come as promised."""

import pytest

from bench.fleet.__main__ import main
from bench.fleet.freshness import Sent, latencies
from bench.fleet.load import flat, table
from bench.fleet.observed import Counted
from bench.fleet.start import Start
from bench.fleet.supply import PLATFORMS, Supply
from bench.fleet.throughput import stretch
from engine.core.book import Book
from engine.core.frames import decode_frame
from engine.domain.ids import partition_of


def decide(partition: int, metrics_sequence: int, *, decided: int = 1) -> Counted:
    return Counted(partition=partition, metrics_sequence=metrics_sequence, decided=decided)


def test_a_frame_is_as_old_as_the_first_round_that_counted_it_is_late() -> None:
    sent = [Sent(5, 1.0), Sent(9, 1.1), Sent(5, 2.0), Sent(5, 2.5)]
    rounds = [
        (1.5, decide(5, 1)),
        (2.2, decide(9, 2)),
        (2.6, decide(5, 3)),
        (3.0, decide(5, 4)),
        (4.0, decide(5, 4)),
    ]
    assert latencies(sent, rounds, since=0.0) == pytest.approx([0.5, 1.1, 0.6, 0.5])
    assert latencies(sent, rounds, since=2.0) == pytest.approx([0.6, 0.5])


def test_a_throughput_is_taken_between_a_tenth_and_nine_tenths_of_all_samples() -> None:
    frames = {5: ([1, 3, 4], [100, 200, 300]), 9: ([2], [100])}
    rounds = [
        (1.0, decide(5, 0)),
        (2.0, decide(5, 1)),  # a quarter
        (3.0, decide(9, 2)),
        (4.0, decide(5, 3)),  # three quarters
        (9.0, decide(5, 4, decided=7)),
        (99.0, decide(5, 4)),
    ]
    assert stretch(rounds, frames) == (2.0, 9.0, 9)


def test_a_supply_reports_every_series_of_its_partitions_once_a_wave() -> None:
    supply = Supply(40, partitions=8)
    assert {partition_of(name) for name in supply.names} <= set(range(8))
    books = {partition: Book() for partition in supply.partitions}
    for one in supply.campaigns(1_700_000_000.0):
        books[partition_of(one.definition.id)].put([one])
    counted = [
        books[partition].ingest(frame)
        for partition, _, frame in supply.wave(1_700_000_000.0, rows=16)
    ]
    assert sum(one.accepted for one in counted) == 40 * len(PLATFORMS)
    assert sum(one.unknown + one.refused + one.replaced for one in counted) == 0
    partition, sequence, frame = supply.some(1_700_000_001.0, rows=3)
    found = decode_frame(frame)
    assert (found.partition, found.sequence, len(found.rows)) == (partition, sequence, 3)


def test_a_load_has_a_flat_figure_for_each_key_and_none_for_what_was_not_measured() -> None:
    took = dict.fromkeys((name for name in Start.__struct_fields__ if name.endswith("_s")), 0.25)
    started = Start(tries=3, campaigns=128, **took)
    found = flat([], [], started)
    assert (found.start_s, found.help_s, found.latency_p50_ms) == (0.25, 0.25, None)
    assert "start_least_s" in table(found)
    assert "throughput" not in table(found)


def test_a_mode_that_is_not_there_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["load", "speed"])
    assert "throughput, freshness, start" in capsys.readouterr().err
