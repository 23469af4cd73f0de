"""Frames: samples as rows, rows as the bytes that producers publish, and back.

>>> sample = Sample("spring-shoes", "google", at=1.5, clicks=3, spend_micros=1_250_030)
>>> rows = rows_from_samples([sample], unit_micros=100)
>>> payload = encode_frame(25, rows, producer=producer_key("p1"), sequence=1, unit_micros=100)
>>> frame = decode_frame(payload)
>>> frame.partition, frame.sequence, int(frame.rows["spend_units"][0])
(25, 1, 12500)
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.core.rows import FRAME_HEADER, FRAME_MAGIC, SAMPLE_ROW
from engine.domain.ids import partition_of, series_key
from engine.domain.metrics import Sample
from engine.errors import DefinitionError, MalformedMessageError

__all__ = [
    "MOST_ROWS",
    "Frame",
    "FrameWriter",
    "decode_frame",
    "encode_frame",
    "producer_key",
    "rows_from_samples",
    "spend_micros",
]

MOST_ROWS = 512
"""Rows that a writer puts into one frame: more cost a reader no less each."""

_COUNT_LIMIT = 2**31  # a window's sums are exact below it
_TICKS = 2**32


class Frame(msgspec.Struct, frozen=True):
    """A frame, decoded. `rows` are SAMPLE_ROWs and look into the bytes it came from."""

    partition: int
    tick_ms: int
    producer: int
    sequence: int
    unit_micros: int
    rows: NDArray[np.void]


class FrameWriter:
    """Makes the frames of one producer: a sequence for each partition, at most MOST_ROWS a frame.

    `producer` must be a name that no other process start has: with the sequence it tells a frame
    that came twice from a new one.
    """

    def __init__(self, *, producer: str, tick_ms: int = 1) -> None:
        self.producer = producer_key(producer)
        self.tick_ms = tick_ms
        self._sequences: dict[int, int] = {}

    def write(
        self, samples: Sequence[Sample], *, unit_micros: int
    ) -> Iterator[tuple[int, int, bytes]]:
        """Iterate (partition, sequence, frame) of samples in one unit of money.

        Raises DefinitionError before the first frame where a sample is out of range.
        """
        rows = rows_from_samples(samples, unit_micros=unit_micros, tick_ms=self.tick_ms)
        partitions = np.array([partition_of(sample.campaign) for sample in samples], np.int64)
        for partition in sorted(set(partitions.tolist())):
            part = rows[partitions == partition]
            for start in range(0, len(part), MOST_ROWS):
                sequence = self._sequences.get(partition, 0) + 1
                self._sequences[partition] = sequence
                frame = encode_frame(
                    partition,
                    part[start : start + MOST_ROWS],
                    producer=self.producer,
                    sequence=sequence,
                    unit_micros=unit_micros,
                    tick_ms=self.tick_ms,
                )
                yield partition, sequence, frame


def producer_key(name: str) -> int:
    """Return the key of a producer: FNV-1a-64 of its name."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFF_FFFF_FFFF_FFFF
    return value


def encode_frame(
    partition: int,
    rows: NDArray[np.void],
    *,
    producer: int,
    sequence: int,
    unit_micros: int,
    tick_ms: int = 1,
) -> bytes:
    """Return the bytes of a frame of SAMPLE_ROWs, all of `partition` and counted in `unit_micros`.

    `producer` is a `producer_key`; `sequence` rises by one a frame, for each producer and
    partition. Raises DefinitionError where a field of the header is out of range.
    """
    if rows.dtype != SAMPLE_ROW:
        raise DefinitionError("rows", "an array of SAMPLE_ROW", str(rows.dtype))
    for field, found, limit in (
        ("partition", partition, 2**16),
        ("tick_ms", tick_ms, 2**16),
        ("producer", producer, 2**64),
        ("sequence", sequence, 2**64),
        ("unit_micros", unit_micros, 2**32),
    ):
        if not 0 <= found < limit:
            raise DefinitionError(field, f"0 to {limit - 1}", found)
    fields = (FRAME_MAGIC, partition, tick_ms, producer, sequence, len(rows), unit_micros)
    return np.array([fields], FRAME_HEADER).tobytes() + rows.tobytes()


def decode_frame(payload: bytes) -> Frame:
    """Return the frame in `payload`, its rows unchecked. Raises MalformedMessageError."""
    header_size, row_size = FRAME_HEADER.itemsize, SAMPLE_ROW.itemsize
    if len(payload) < header_size:
        reason = f"at least {header_size} bytes, found {len(payload)}"
        raise MalformedMessageError("frame", reason)
    header = np.frombuffer(payload, FRAME_HEADER, count=1)[0]
    if (magic := payload[: len(FRAME_MAGIC)]) != FRAME_MAGIC:
        raise MalformedMessageError("frame", f"magic {FRAME_MAGIC!r}, found {magic!r}")
    wanted = header_size + int(header["count"]) * row_size
    if len(payload) != wanted:
        reason = f"{header['count']} rows in {wanted} bytes, found {len(payload)}"
        raise MalformedMessageError("frame", reason)
    return Frame(
        partition=int(header["partition"]),
        tick_ms=int(header["tick_ms"]),
        producer=int(header["producer"]),
        sequence=int(header["sequence"]),
        unit_micros=int(header["unit_micros"]),
        rows=np.frombuffer(payload, SAMPLE_ROW, offset=header_size),
    )


def rows_from_samples(
    samples: Sequence[Sample], *, unit_micros: int, tick_ms: int = 1
) -> NDArray[np.void]:
    """Return the SAMPLE_ROWs of samples, in their order.

    Raises DefinitionError where one is out of range; its field begins with the sample's index.
    """
    rows = np.zeros(len(samples), SAMPLE_ROW)
    if not samples:
        return rows
    clicks = _column("clicks", [sample.clicks for sample in samples], _COUNT_LIMIT)
    impressions = _column("impressions", [sample.impressions for sample in samples], 2**32)
    spend = _column(
        "spend_micros", [sample.spend_micros for sample in samples], _COUNT_LIMIT * unit_micros
    )
    conversions = _rounded(
        "conversions", [sample.conversions for sample in samples], 1000, _COUNT_LIMIT
    )
    at_ms = _rounded("at", [sample.at for sample in samples], 1000, 2**53)
    units, rest = np.divmod(spend, unit_micros)
    if unit_micros > 2**16 and (too_much := int(rest.max())) >= 2**16:
        raise DefinitionError("spend_micros", "within 65535 of a whole unit", too_much)
    rows["series"] = [series_key(sample.campaign, sample.platform) for sample in samples]
    rows["impressions"] = impressions
    rows["spend_rest_micros"] = rest
    rows["tick"] = at_ms // tick_ms % _TICKS
    rows["clicks"] = clicks
    rows["milliconversions"] = conversions
    rows["spend_units"] = units
    return rows


def spend_micros(rows: NDArray[np.void], unit_micros: int) -> NDArray[np.int64]:
    """Return the exact spend of each SAMPLE_ROW."""
    spend: NDArray[np.int64] = rows["spend_units"].astype(np.int64) * unit_micros
    spend += rows["spend_rest_micros"]
    return spend


def _column(field: str, found: list[int], limit: int) -> NDArray[np.int64]:
    for index, value in enumerate(found):
        if not 0 <= value < limit:
            raise DefinitionError(f"{index}.{field}", f"0 to {limit - 1}", value)
    return np.array(found, np.int64)


def _rounded(field: str, found: list[float], scale: int, limit: int) -> NDArray[np.int64]:
    """Return floats in `scale`ths, to the nearest."""
    column = np.array(found, np.float64)
    scaled = np.rint(column * scale)
    is_wrong = ~((column >= 0) & (scaled < limit))  # of NaN, neither holds
    if is_wrong.any():
        index = int(is_wrong.argmax())
        raise DefinitionError(f"{index}.{field}", f"0 to below {limit / scale:g}", found[index])
    return scaled.astype(np.int64)
