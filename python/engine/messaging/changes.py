"""The records of an ad account's journal: what was changed there, from what to what, and why.

The journal of an ad account, `engine.changes.<platform>.<ad account>`, is one chain: Take, Intend,
Done, …, Release, Take, … Each record is appended on top of the one before it, so one gateway at a
time may write: whoever appends a Take has the account, and what the former one appends is refused.

Nothing is sent to a platform before its Intend is stored. An Intend without a Done is a batch of
which nobody knows whether it was applied; whoever has the account next asks the platform.
"""

from typing import TypeVar

import msgspec

from engine.errors import MalformedMessageError

__all__ = [
    "Breaker",
    "Change",
    "Done",
    "Intend",
    "JournalRecord",
    "Order",
    "Release",
    "Setting",
    "Settled",
    "Take",
    "Verdict",
    "decode_breaker",
    "decode_journal",
    "decode_order",
    "encode_journal",
]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One lever of one entity, to be moved from one value to another, and why."""

    id: str  # the same on every retry, and after a crash
    campaign: str
    entity: str
    lever: str  # of platforms.port.Lever
    value: float  # micros, but for target-roas (a ratio) and serving (0 or 1)
    before: float | None = None  # what was in force; None where nobody knew
    why: str = ""  # bid, stop, start, budget, runaway, halt, rollback …
    partition: int = -1  # the decision behind it: the record of a partition's chain
    sequence: int = 0
    worth_micros_per_h: float = 0.0  # what it was expected to bring


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one change."""

    id: str
    result: str  # applied, rejected, failed (nothing changed, it may do later)
    reason: str = ""
    code: str = ""  # the platform's own


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    platform: str
    ad_account: str
    previous: int  # stream sequence of the record before; 0 for none
    epoch: int  # rises with each Take
    owner: str  # the gateway
    at_ms: int
    floor: int = 0  # whoever takes over reads from here: older records matter to people only
    v: int = 1


class Take(_Record, frozen=True, tag="take", kw_only=True):
    """A gateway takes the ad account: from here on the former owner's appends are refused."""

    is_live: bool = False  # False: dry run


class Intend(_Record, frozen=True, tag="intend", kw_only=True):
    """Changes that are about to be sent, in one request."""

    changes: list[Change]
    is_dry_run: bool = False
    day: int = 0  # when the quota's day began, epoch seconds
    used: int = 0  # operations of that day, these included


class Done(_Record, frozen=True, tag="done", kw_only=True):
    """What became of the changes of an Intend."""

    intend: int  # its sequence
    results: list[Settled]
    how: str = "answered"  # or "inspected": the answer was lost, the platform's state tells


class Verdict(_Record, frozen=True, tag="verdict", kw_only=True):
    """Whether a change helped: the profit an hour before and after it."""

    change: str  # its id
    verdict: str  # improved, worse, inconclusive
    low_micros_per_h: float | None = None  # the difference, with 90 % confidence
    high_micros_per_h: float | None = None
    hours: int = 0  # compared on either side
    reason: str = ""


class Release(_Record, frozen=True, tag="release", kw_only=True):
    """The gateway leaves; the ad account is free at once."""


JournalRecord = Take | Intend | Done | Verdict | Release


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A lever as somebody wants it, whatever the engine decides."""

    campaign: str
    entity: str
    lever: str
    value: float


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants of an ad account: settings that stay until a time. No settings: none."""

    id: str
    platform: str
    ad_account: str
    at_ms: int
    until_ms: int
    by: str = ""
    note: str = ""
    settings: list[Setting] = []
    v: int = 1


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """A circuit breaker as gateways share it: the newest record of its subject is in force."""

    platform: str
    ad_account: str = ""  # "" for the platform's
    state: str = "closed"  # or open, half-open
    until_ms: int = 0  # open: nobody calls before it; half-open: the probe has until then
    opened: int = 0  # in a row: each time it stays open for longer
    owner: str = ""  # who changed it, and has the probe
    reason: str = ""
    at_ms: int = 0
    v: int = 1


_encoder = msgspec.msgpack.Encoder()
_journal: msgspec.msgpack.Decoder[JournalRecord] = msgspec.msgpack.Decoder(JournalRecord)
_order = msgspec.msgpack.Decoder(Order)
_breaker = msgspec.msgpack.Decoder(Breaker)


def encode_journal(record: JournalRecord | Order | Breaker) -> bytes:
    """Return the bytes of a record; equal records give equal bytes."""
    return _encoder.encode(record)


def decode_journal(subject: str, payload: bytes) -> JournalRecord:
    """Return the record in `payload`. Raises MalformedMessageError."""
    return _read(subject, _journal, payload)


def decode_order(subject: str, payload: bytes) -> Order:
    """Return the order in `payload`. Raises MalformedMessageError."""
    return _read(subject, _order, payload)


def decode_breaker(subject: str, payload: bytes) -> Breaker:
    """Return the state of a breaker in `payload`. Raises MalformedMessageError."""
    return _read(subject, _breaker, payload)


_T = TypeVar("_T", JournalRecord, Order, Breaker)


def _read(subject: str, decoder: msgspec.msgpack.Decoder[_T], payload: bytes) -> _T:
    try:
        record = decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedMessageError(subject, str(error)) from error
    if record.v != 1:
        raise MalformedMessageError(subject, f"record version 1, found {record.v}")
    return record
