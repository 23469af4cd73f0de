"""Records of the chain, as bytes and as decisions."""

from typing import Any

import pytest

from engine.domain.decision import Action, Binding
from engine.errors import MalformedMessageError
from engine.messaging.records import (
    Columns,
    Decide,
    Heartbeat,
    Keep,
    Record,
    Release,
    Take,
    decisions_of,
    decode_heartbeat,
    decode_record,
    encode,
)

SHARED: Any = {"partition": 3, "previous": 9, "epoch": 2, "owner": "w1", "round": 4}
INPUTS: Any = {"metrics_sequence": 11, "campaigns_revision": 5}

DECIDE = Decide(
    **SHARED,
    **INPUTS,
    at_ms=1_700_000_000_500,
    decided=2,
    settled_micros=10,
    reserved_micros=20,
    platforms=["google", "meta"],
    changed=Columns(
        campaign=["a", "b"],
        action=[1, 0],
        binding=[0, 4],
        best=[1, -1],
        pacing_multiplier=[0.5, 0.0],
        settled_micros=[7, 3],
        reserved_micros=[20, 0],
        series_count=[2, 1],
        platform=[0, 1, 0],
        bid_micros=[100, 200, 0],
        cap_micros=[10, 20, 0],
        cpc_micros=[1.5, None, None],
        cvr=[0.02, None, None],
        roi_micros=[3.0, None, None],
        confidence=[0.9, 0.1, 0.0],
    ),
)


@pytest.mark.parametrize(
    "record",
    [
        Take(**SHARED, **INPUTS, at_ms=1),
        DECIDE,
        Keep(**SHARED, **INPUTS, at_ms=1, campaign=["a"], settled_micros=[1], reserved_micros=[2]),
        Release(**SHARED, **INPUTS, at_ms=1),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_record_reads_back_equal_and_equal_records_have_equal_bytes(record: Record) -> None:
    encoded = encode(record)
    assert decode_record("engine.decisions.3", encoded) == record
    assert encode(decode_record("engine.decisions.3", encoded)) == encoded


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"{}", encode(DECIDE)[:-3], b"\x81\xa1v\x01"])
def test_what_is_no_record_is_malformed_and_named(payload: bytes) -> None:
    with pytest.raises(MalformedMessageError, match=r"engine\.decisions\.3"):
        decode_record("engine.decisions.3", payload)


def test_a_record_of_another_version_is_malformed() -> None:
    with pytest.raises(MalformedMessageError, match="version 1, found 2"):
        decode_record("s", encode(Release(**SHARED, **INPUTS, at_ms=1, v=2)))


def test_columns_become_one_decision_for_each_campaign() -> None:
    a, b = decisions_of(DECIDE)
    assert (a.campaign, a.action, a.binding, a.best_platform) == ("a", Action.BID, 0, "meta")
    assert [(p.platform, p.bid_micros, p.cvr) for p in a.platforms] == [
        ("google", 100, 0.02),
        ("meta", 200, None),
    ]
    assert (b.campaign, b.binding, b.best_platform) == ("b", Binding.BUDGET, None)
    assert [p.platform for p in b.platforms] == ["google"]
    assert (a.partition, a.epoch, a.round, a.at) == (3, 2, 4, 1_700_000_000.5)


def test_a_heartbeat_reads_back_equal() -> None:
    beat = Heartbeat(worker="w1", version="1", started_at=1.0, at=2.0, partitions=[1, 2])
    assert decode_heartbeat("engine.heartbeat.w1", encode(beat)) == beat
    with pytest.raises(MalformedMessageError):
        decode_heartbeat("engine.heartbeat.w1", b"?")
