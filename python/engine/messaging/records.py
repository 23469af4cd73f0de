"""The records of a decision chain, and of heartbeats: msgpack with a type tag and a version.

A chain is Take, Decide…, Keep…, Release, Take, … Every record names the sequence of the one
before it (`previous`), so that a reader can check the chain without trusting the broker.
A Decide holds columns: only campaigns whose decision changed since the last record, but the
ledger's totals as absolute amounts, so that the newest mention of a campaign is the truth.
"""

import msgspec

from engine.domain.decision import Action, Binding, Condition, Decision, PlatformDecision
from engine.errors import MalformedMessageError
from engine.messaging.subjects import decisions_subject

__all__ = [
    "Columns",
    "Decide",
    "Heartbeat",
    "Keep",
    "Record",
    "Release",
    "Take",
    "decision_at",
    "decisions_of",
    "decode_heartbeat",
    "decode_record",
    "encode",
]


class Take(msgspec.Struct, frozen=True, tag="take", kw_only=True):
    """A worker takes the partition: from here on the former owner's appends are refused."""

    partition: int
    previous: int
    epoch: int
    owner: str
    at_ms: int
    round: int  # the newest round decided before, 0 at the beginning
    metrics_sequence: int
    campaigns_revision: int
    v: int = 1


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions in columns. The series of campaign i are the next `series_count[i]` rows below."""

    campaign: list[str] = []
    action: list[int] = []
    binding: list[int] = []
    best: list[int] = []  # index into Decide.platforms; -1 for none
    pacing_multiplier: list[float] = []
    settled_micros: list[int] = []
    reserved_micros: list[int] = []
    series_count: list[int] = []
    # one row a series
    platform: list[int] = []  # index into Decide.platforms
    bid_micros: list[int] = []
    cap_micros: list[int] = []
    cpc_micros: list[float | None] = []
    cvr: list[float | None] = []
    roi_micros: list[float | None] = []
    confidence: list[float] = []
    # empty in records of before there were such columns
    bound_by: list[int] = []
    condition: list[int] = []
    planned_micros: list[int] = []


class Decide(msgspec.Struct, frozen=True, tag="decide", kw_only=True):
    """One round of a partition: a pure function of the inputs up to the positions it names."""

    partition: int
    previous: int
    epoch: int
    owner: str
    round: int  # the round before plus 1, always
    at_ms: int  # when the round was due, epoch milliseconds
    metrics_sequence: int  # the newest frame counted in
    campaigns_revision: int  # the newest definition applied
    decided: int  # campaigns decided, changed or not
    settled_micros: int  # over all campaigns of the partition
    reserved_micros: int
    platforms: list[str] = []
    changed: Columns = Columns()
    # What was put in force with this round, as the table had it: (revision, entry). The table keeps
    # the newest few of each campaign; with these a chain can be decided again by itself.
    entries: list[tuple[int, bytes]] = []
    v: int = 1


class Keep(msgspec.Struct, frozen=True, tag="keep", kw_only=True):
    """Keeps an idle chain's head young, and every campaign's ledger within the retention."""

    partition: int
    previous: int
    epoch: int
    owner: str
    at_ms: int
    round: int
    metrics_sequence: int
    campaigns_revision: int
    campaign: list[str] = []
    settled_micros: list[int] = []
    reserved_micros: list[int] = []
    v: int = 1


class Release(msgspec.Struct, frozen=True, tag="release", kw_only=True):
    """The owner leaves; the partition is free at once."""

    partition: int
    previous: int
    epoch: int
    owner: str
    at_ms: int
    round: int
    metrics_sequence: int
    campaigns_revision: int
    v: int = 1


Record = Take | Decide | Keep | Release


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's sign of life, every 100 ms."""

    worker: str
    version: str
    started_at: float
    at: float
    partitions: list[int] = []
    rounds: int = 0
    decisions: int = 0
    samples: int = 0
    lag_frames: int = 0
    round_ms: float = 0.0  # how long the newest round took, due time to commit
    draining: bool = False
    late_rounds: int = 0  # that took longer than the interval, since the worker's start
    skipped_rounds: int = 0  # that were due and left out because one before them was late
    shed_rounds: int = 0  # that were left out for those with more at stake
    shed_share: float = 0.0  # of the work of all rounds that is left out now, 0 to 0.875
    connection: str = ""  # what the broker calls the connection that it came over
    v: int = 1


_encoder = msgspec.msgpack.Encoder()
_record_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)
_heartbeat_decoder = msgspec.msgpack.Decoder(Heartbeat)


def encode(message: Record | Heartbeat) -> bytes:
    """Return the bytes of a message; equal messages give equal bytes."""
    return _encoder.encode(message)


def decode_record(subject: str, payload: bytes) -> Record:
    """Return the record in `payload`. Raises MalformedMessageError."""
    try:
        record = _record_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedMessageError(subject, str(error)) from error
    if record.v != 1:
        raise MalformedMessageError(subject, f"record version 1, found {record.v}")
    if isinstance(record, Decide):
        _check_columns(subject, record)
    elif isinstance(record, Keep):
        _check_lengths(subject, record, _KEEP, len(record.campaign))
    return record


_BY_SERIES = (
    *("platform", "bid_micros", "cap_micros", "cpc_micros", "cvr", "roi_micros", "confidence"),
)
_BY_CAMPAIGN = (
    *("action", "binding", "best", "pacing_multiplier"),
    *("settled_micros", "reserved_micros", "series_count"),
)
_KEEP = ("settled_micros", "reserved_micros")


def _check_columns(subject: str, record: Decide) -> None:
    """Require columns that fit each other: whoever reads a row finds it in all of them."""
    columns, platforms = record.changed, len(record.platforms)
    _check_lengths(subject, columns, _BY_CAMPAIGN, len(columns.campaign))
    counts = columns.series_count
    series = sum(counts)
    _check_lengths(subject, columns, _BY_SERIES, series)
    if columns.bound_by:
        _check_lengths(subject, columns, ("bound_by",), series)
    for field, found, least in (
        ("series_count", counts, 0),
        ("platform", columns.platform, 0),
        ("best", columns.best, -1),
    ):
        if found and min(found) < least:
            raise MalformedMessageError(subject, f"{field} from {least}, found {min(found)}")
    for field, found in (("platform", columns.platform), ("best", columns.best)):
        if found and max(found) >= platforms:
            wanted = f"{field} below {platforms}, the number of platforms"
            raise MalformedMessageError(subject, f"{wanted}, found {max(found)}")


def _check_lengths(subject: str, holder: object, fields: tuple[str, ...], wanted: int) -> None:
    for field in fields:
        found = len(getattr(holder, field))
        if found != wanted:
            raise MalformedMessageError(subject, f"{field} of {wanted} rows, found {found}")


def decode_heartbeat(subject: str, payload: bytes) -> Heartbeat:
    """Return the heartbeat in `payload`. Raises MalformedMessageError."""
    try:
        return _heartbeat_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedMessageError(subject, str(error)) from error


def decisions_of(record: Decide) -> list[Decision]:
    """Return a round's changed decisions, one object each, for people and consumers.

    Raises MalformedMessageError where a code means nothing to this version.
    """
    try:
        return _decisions_of(record)
    except ValueError as error:
        raise MalformedMessageError(decisions_subject(record.partition), str(error)) from error


def _decisions_of(record: Decide) -> list[Decision]:
    decisions, row = [], 0
    for i, count in enumerate(record.changed.series_count):
        decisions.append(decision_at(record, i, row))
        row += count
    return decisions


def decision_at(record: Decide, i: int, row: int) -> Decision:
    """Return decision `i` of a round, whose series begin at `row`."""
    columns = record.changed
    best = columns.best[i]
    return Decision(
        campaign=columns.campaign[i],
        partition=record.partition,
        epoch=record.epoch,
        round=record.round,
        at=record.at_ms / 1000,
        action=Action(columns.action[i]),
        binding=Binding(columns.binding[i]),
        best_platform=None if best < 0 else record.platforms[best],
        pacing_multiplier=columns.pacing_multiplier[i],
        settled_micros=columns.settled_micros[i],
        reserved_micros=columns.reserved_micros[i],
        platforms=tuple(_platform(record, j) for j in range(row, row + columns.series_count[i])),
    )


def _platform(record: Decide, row: int) -> PlatformDecision:
    columns = record.changed
    return PlatformDecision(
        platform=record.platforms[columns.platform[row]],
        bid_micros=columns.bid_micros[row],
        cap_micros=columns.cap_micros[row],
        cpc_micros=columns.cpc_micros[row],
        cvr=columns.cvr[row],
        roi_micros=columns.roi_micros[row],
        confidence=columns.confidence[row],
        bound_by=Binding(columns.bound_by[row]) if columns.bound_by else Binding.NONE,
        condition=Condition(columns.condition[row]) if columns.condition else None,
        planned_micros=columns.planned_micros[row] if columns.planned_micros else None,
    )
