"""What every broker promises of traces: the header of a span comes out where it went in."""

from engine.messaging import traces
from engine.messaging.ports import Broker, Message
from engine.messaging.streams import MAX_RECORD
from support.spans import header_of, spans_kept
from support.waiting import wait_until


async def test_frames_and_records_carry_the_span_they_were_stored_in(broker: Broker) -> None:
    frames: list[Message] = []
    records: list[Message] = []
    with spans_kept() as spans:
        tracing = traces.active()
        assert tracing is not None
        async with broker.frames.follow(frames.append), broker.chain.follow(records.append):
            await broker.frames.publish(3, b"frame", message_id="f1")
            with tracing.span("round", kind="consumer"):
                first = await broker.chain.append(3, b"record", expected=0)
                second = await broker.chain.append(3, b"x" * 2 * MAX_RECORD, expected=first)
            await broker.chain.append(3, b"another", expected=second)
            await wait_until(lambda: len(frames) == 1 and len(records) == 3)
    (published,), (round_,) = spans.named("publish samples"), spans.named("round")
    assert [one.trace for one in frames] == [header_of(published)]
    assert [one.trace for one in records] == [header_of(round_), header_of(round_), ""]
