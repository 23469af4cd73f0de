"""JetStream's answers, as bytes."""

import pytest

from engine.errors import BrokerError
from engine.messaging import wire
from engine.messaging.link import Delivery, RefusedError, UnansweredError


def answered(payload: bytes) -> Delivery:
    return Delivery("inbox", "", None, payload)


def test_the_reply_subject_tells_position_and_lag_with_a_domain_and_without() -> None:
    assert wire.parse_ack_subject("$JS.ACK.S.c.1.907.12.176.3") == (907, 12, 176, 3)
    assert wire.parse_ack_subject("$JS.ACK.hub.ACC.S.c.1.907.12.176.3.r4nd") == (907, 12, 176, 3)
    assert wire.parse_ack_subject("_INBOX.x") is None
    assert wire.parse_ack_subject("") is None


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        ('{"code":404,"err_code":10059,"description":"stream not found"}', RefusedError),
        ('{"code":503,"err_code":10008,"description":"temporarily unavailable"}', UnansweredError),
        ('{"code":429,"err_code":10167,"description":"too many requests"}', UnansweredError),
        ('{"code":400,"err_code":10164,"description":"in progress"}', UnansweredError),
        ('{"code":409,"err_code":10158,"description":"same id in process"}', UnansweredError),
    ],
)
def test_a_refusal_is_told_from_a_passing_fault(error: str, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        wire.answer("it", answered(b'{"type":"x","error":%s}' % error.encode()), wire.StreamInfo)


def test_an_answer_that_is_not_json_is_a_broker_error() -> None:
    with pytest.raises(BrokerError, match="not understood"):
        wire.answer("it", answered(b"hello"), wire.StreamInfo)
    with pytest.raises(UnansweredError):
        wire.puback(answered(b""))


def test_a_status_is_read_from_the_headers() -> None:
    assert wire.status_of(Delivery("s", "", {"Status": "503"}, b"")) == 503
    assert wire.status_of(Delivery("s", "", {"Other": "503"}, b"")) == 0
    assert wire.status_of(Delivery("s", "", None, b"")) == 0


@pytest.mark.parametrize(
    ("time", "nanoseconds"),
    [
        ("2023-11-14T22:13:20Z", 1_700_000_000_000_000_000),
        ("2023-11-14T22:13:20.000000001Z", 1_700_000_000_000_000_001),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000_123_456_789),
    ],
)
def test_a_time_keeps_its_nanoseconds(time: str, nanoseconds: int) -> None:
    assert wire.nanoseconds(time) == nanoseconds


def test_a_header_is_found_in_a_raw_block() -> None:
    block = b"NATS/1.0\r\nA: 1\r\nEngine-Writer: w:1\r\n\r\n"
    assert wire.header_of(block, "engine-writer") == "w:1"
    assert wire.header_of(block, "B") == ""
    assert wire.header_of(b"", "B") == ""


def test_a_header_that_is_not_there_is_told_without_reading_the_others() -> None:
    block = b"NATS/1.0 503 No Responders\r\nEngine-Writer: w1\r\n\r\n"
    headers = wire.Headers(block)
    assert headers.get("Engine-Part", "") == ""
    assert headers._read is None
    assert (headers["Status"], headers["Description"]) == ("503", "No Responders")
    assert headers["Engine-Writer"] == "w1"
    with pytest.raises(KeyError):
        headers["Engine-Part"]
    # A name that is found in another's value is looked for, and is no header all the same.
    assert "w1" not in wire.Headers(block)
