"""Frames of samples: exact, read back as written, refused by both readers when damaged."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from engine import _core
from engine.core.frames import (
    MOST_ROWS,
    FrameWriter,
    decode_frame,
    encode_frame,
    producer_key,
    rows_from_samples,
    spend_micros,
)
from engine.core.rows import FRAME_HEADER, SAMPLE_ROW
from engine.domain.ids import partition_of, series_key
from engine.domain.metrics import Sample
from engine.errors import DefinitionError, MalformedMessageError
from support.definitions import START, frame, report


def sample(**fields: float | str) -> Sample:
    return msgspec.structs.replace(Sample("c1", "google", START, 3, 100), **fields)


def test_a_sample_becomes_a_row_without_losing_a_micro() -> None:
    rows = rows_from_samples(
        [sample(spend_micros=1_234_567, conversions=1.2345, impressions=9)], unit_micros=100
    )
    row = rows[0]
    assert row["series"] == series_key("c1", "google")
    assert row["tick"] == int(START * 1000) % 2**32
    assert (row["spend_units"], row["spend_rest_micros"]) == (12_345, 67)
    assert (row["clicks"], row["impressions"], row["milliconversions"]) == (3, 9, 1234)
    assert spend_micros(rows, 100).tolist() == [1_234_567]


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("clicks", -1),
        ("clicks", 2**31),
        ("impressions", 2**32),
        ("spend_micros", -5),
        ("spend_micros", 2**31 * 100),
        ("conversions", -0.5),
        ("conversions", float("nan")),
        ("conversions", 2**31 / 1000),
        ("at", -1.0),
        ("at", float("inf")),
    ],
)
def test_a_sample_out_of_range_is_named_by_index_and_field(field: str, found: float) -> None:
    with pytest.raises(DefinitionError) as refused:
        rows_from_samples([sample(), sample(**{field: found})], unit_micros=100)
    assert refused.value.field == f"1.{field}"
    assert repr(found) in str(refused.value)


def test_a_frame_is_read_back_as_it_was_written() -> None:
    rows = rows_from_samples([sample(clicks=n) for n in range(5)], unit_micros=100)
    payload = encode_frame(
        25, rows, producer=2**64 - 1, sequence=2**63, unit_micros=100, tick_ms=1000
    )
    found = decode_frame(payload)
    assert (found.partition, found.producer, found.sequence) == (25, 2**64 - 1, 2**63)
    assert (found.tick_ms, found.unit_micros) == (1000, 100)
    assert found.rows.tobytes() == rows.tobytes()


def test_a_frame_is_the_bytes_that_a_producer_without_this_package_would_send() -> None:
    fields = report("c1", "google", at=START, spend_micros=1_000_000)
    wanted = frame(25, [fields], sequence=4, producer=7)
    rows = np.zeros(1, SAMPLE_ROW)
    for field, value in fields.items():
        rows[field] = value
    assert encode_frame(25, rows, producer=7, sequence=4, unit_micros=100) == wanted


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda payload: payload[:31], "at least 32 bytes, found 31"),
        (lambda payload: b"XXXX" + payload[4:], "magic b'CEF1', found b'XXXX'"),
        (lambda payload: payload[:-1], "1 rows in 64 bytes, found 63"),
        (lambda payload: payload + b"\0", "1 rows in 64 bytes, found 65"),
    ],
)
def test_a_damaged_frame_is_refused_by_both_readers(
    damage: Callable[[bytes], bytes], reason: str
) -> None:
    rows = rows_from_samples([sample()], unit_micros=100)
    payload = damage(encode_frame(0, rows, producer=1, sequence=1, unit_micros=100))
    with pytest.raises(MalformedMessageError) as refused:
        decode_frame(payload)
    assert reason in str(refused.value)
    with pytest.raises(_core.CoreError):
        _core.Book().ingest(payload)


def test_a_header_out_of_range_is_named() -> None:
    rows = np.zeros(0, SAMPLE_ROW)
    with pytest.raises(DefinitionError, match=r"sequence: 0 to 18446744073709551615, found -1"):
        encode_frame(0, rows, producer=1, sequence=-1, unit_micros=100)
    with pytest.raises(DefinitionError, match="rows: an array of SAMPLE_ROW"):
        encode_frame(0, np.zeros(1), producer=1, sequence=1, unit_micros=100)  # type: ignore[arg-type]


def test_a_writer_splits_by_partition_and_size_and_counts_each_partition() -> None:
    samples = [sample(campaign=f"c{n % 3}", at=START + n) for n in range(2000)]
    writer = FrameWriter(producer="p1")
    frames = [*writer.write(samples, unit_micros=100), *writer.write(samples[:1], unit_micros=100)]
    sequences: dict[int, list[int]] = {}
    counted = 0
    for partition, sequence, payload in frames:
        found = decode_frame(payload)
        assert (found.partition, found.sequence) == (partition, sequence)
        assert found.producer == producer_key("p1")
        assert len(found.rows) <= MOST_ROWS
        sequences.setdefault(partition, []).append(sequence)
        counted += len(found.rows)
    assert counted == 2001
    assert set(sequences) == {partition_of(f"c{n}") for n in range(3)}
    assert all(seen == list(range(1, len(seen) + 1)) for seen in sequences.values())


def test_no_samples_are_no_frames_and_no_rows_a_frame_of_none() -> None:
    assert list(FrameWriter(producer="p").write([], unit_micros=100)) == []
    empty = encode_frame(0, np.zeros(0, SAMPLE_ROW), producer=1, sequence=1, unit_micros=100)
    assert len(empty) == FRAME_HEADER.itemsize
    assert len(decode_frame(empty).rows) == 0
