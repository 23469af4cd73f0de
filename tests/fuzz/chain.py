"""Records of the chain, and heartbeats: what decodes encodes to the same, and can be read."""

from engine.errors import MalformedMessageError
from engine.messaging.records import (
    Columns,
    Decide,
    Heartbeat,
    Keep,
    Release,
    Take,
    decisions_of,
    decode_heartbeat,
    decode_record,
    encode,
)
from engine.worker.recovery import History
from fuzz.promises import Target, holds, kind, packed_tree
from support.definitions import START

__all__ = ["TARGETS"]

P = 25
AT_MS = int(START * 1000)


def _records() -> list[bytes]:
    fields = {
        "partition": P, "previous": 6, "epoch": 2, "owner": "w1", "at_ms": AT_MS, "round": 3,
        "metrics_sequence": 11, "campaigns_revision": 4,
    }  # fmt: skip
    columns = Columns(
        campaign=["spring-shoes", "spring-jackets"],
        action=[1, 0],
        binding=[0, 1],
        best=[0, -1],
        pacing_multiplier=[1.0, 0.5],
        settled_micros=[5, 6],
        reserved_micros=[7, 8],
        series_count=[2, 1],
        platform=[0, 1, 0],
        bid_micros=[100, 200, 0],
        cap_micros=[1000, 2000, 0],
        cpc_micros=[1.5, None, 2.0],
        cvr=[0.1, None, 0.2],
        roi_micros=[1.0, None, -2.0],
        confidence=[0.5, 0.0, 1.0],
        bound_by=[0, 1, 2],
    )
    amounts = {"decided": 2, "settled_micros": 11, "reserved_micros": 15}
    decide = Decide(**fields, **amounts, platforms=["google", "meta"], changed=columns)  # type: ignore[arg-type]
    keep = Keep(**fields, campaign=["spring-shoes"], settled_micros=[5], reserved_micros=[7])  # type: ignore[arg-type]
    return [encode(one) for one in (Take(**fields), decide, keep, Release(**fields))]  # type: ignore[arg-type]


def _check_record(payload: bytes) -> str:
    try:
        record = decode_record("fuzz", payload)
    except MalformedMessageError as error:
        return kind(error)
    again = encode(record)
    # By their bytes: not a number is not even itself.
    holds(encode(decode_record("fuzz", again)) == again, "a record encoded again is another one")
    History().add(1, record)
    try:
        decisions = decisions_of(record) if isinstance(record, Decide) else []
    except MalformedMessageError as error:
        return kind(error)
    return f"{type(record).__name__} of {min(len(decisions), 2)}"


def _check_heartbeat(payload: bytes) -> str:
    try:
        beat = decode_heartbeat("fuzz", payload)
    except MalformedMessageError as error:
        return kind(error)
    again = encode(beat)
    holds(encode(decode_heartbeat("fuzz", again)) == again, "a heartbeat encoded again is another")
    return "heard"


def _heartbeats() -> list[bytes]:
    return [
        encode(Heartbeat(worker="w1", version="1", started_at=START, at=START)),
        encode(Heartbeat(worker="w2", version="1", started_at=1, at=2, partitions=[1, 63])),
    ]


TARGETS = (
    Target("record", _records(), packed_tree, _check_record),
    Target("heartbeat", _heartbeats(), packed_tree, _check_heartbeat),
)
