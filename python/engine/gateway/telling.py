"""Reports as samples: what was told to the engine, and what is to be told next.

A platform tells of each entity and hour what it knows now; the engine takes counts of stretches,
and a second sample of a stretch in the place of the first. In between stands a running total of
each entity. Time is cut into **cells**; the sample of a cell is how much the total has risen since
the cell before, and is sent again, in its own place, as long as the cell lasts. So:

* conversions that come late count in the cell in which they came;
* what is restated downwards is taken off what comes next, never off spend that is settled;
* a cell is begun only once the platform's reports are whole up to its beginning, and its samples
  are dated by that beginning: they never claim more than is known.

What was told is itself a record (`Told`), stored before the samples of a cell are sent. Whoever
takes over sends the newest cell again: the same samples, or those that never arrived.
"""

import zlib

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.domain.metrics import Sample
from engine.errors import MalformedMessageError
from engine.gateway.hours import CLICKS, CONVERSIONS, IMPRESSIONS, SPEND

__all__ = ["Telling", "Told", "decode_told", "encode_told"]

Ints = NDArray[np.int64]

TOLD = 4
"""Columns of what is told: the first four of `hours`."""
AFTER_S = 0.001
"""A cell's samples are dated just behind its beginning: on the day that begins with it."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How far an ad account's reports have become samples, as its newest record keeps it."""

    owner: str
    at_ms: int
    cell: int  # number of the newest cell; 0: none
    cell_s: float
    since: float  # what is older is in `base`
    series: list[str] = []  # campaign/entity
    base: bytes = b""  # int64, little-endian, five columns a series
    before: bytes = b""  # told by the end of the cell before, four columns
    total: bytes = b""  # told by now
    stopped: list[str] = []  # entities that the gateway has stopped, and may start again
    v: int = 1


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Told)


def encode_told(told: Told) -> bytes:
    """Return the bytes of a record: msgpack, deflated (zlib): most of its numbers are small."""
    return zlib.compress(_encoder.encode(told), level=1)


def decode_told(subject: str, payload: bytes) -> Told:
    """Return the record in `payload`. Raises MalformedMessageError."""
    try:
        told = _decoder.decode(zlib.decompress(payload))
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedMessageError(subject, str(error)) from error
    if told.v != 1:
        raise MalformedMessageError(subject, f"record version 1, found {told.v}")
    return told


class Telling:
    """The cells of one ad account, its series known by place."""

    def __init__(self, *, cell_s: float) -> None:
        self.cell_s = cell_s
        self.cell = 0
        self.before: Ints = np.zeros((0, TOLD), np.int64)
        self.total: Ints = np.zeros((0, TOLD), np.int64)

    def grow(self, places: int) -> None:
        """Have places more, of which nothing was told."""
        more = places - len(self.total)
        if more > 0:
            self.before = np.pad(self.before, ((0, more), (0, 0)))
            self.total = np.pad(self.total, ((0, more), (0, 0)))

    def forget(self, place: int) -> None:
        """Let a place be another series."""
        self.before[place] = self.total[place] = 0

    def hear(self, totals: Ints, *, whole_until: float) -> bool:
        """Take in running totals, whole up to a time; return whether a cell has begun."""
        cell = int(whole_until // self.cell_s)
        has_begun = cell > self.cell
        if has_begun:
            self.cell = cell
            self.before = self.total.copy()
        fresh = np.maximum(totals[:, :TOLD], self.before)
        # Spend is what caps are held against: an answer that is behind others takes none back.
        fresh[:, SPEND] = np.maximum(fresh[:, SPEND], self.total[:, SPEND])
        self.total = fresh
        return has_begun

    def sample(self, place: int, *, campaign: str, platform: str) -> Sample:
        """Return the sample of the newest cell."""
        told = self.total[place] - self.before[place]
        return Sample(
            campaign=campaign,
            platform=platform,
            at=self.cell * self.cell_s + AFTER_S,
            clicks=int(told[CLICKS]),
            spend_micros=int(told[SPEND]),
            impressions=int(told[IMPRESSIONS]),
            conversions=float(told[CONVERSIONS]) / 1000,
        )
