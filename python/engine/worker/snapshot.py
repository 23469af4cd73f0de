"""A snapshot of a partition: its state as it was when one record of the chain was written.

A cache: whatever is wrong with one makes the replay longer, never the ledger wrong.
"""

import msgspec

from engine.core.book import Book, CoreError
from engine.domain.campaign import Campaign
from engine.errors import MalformedMessageError
from engine.messaging.subjects import state_subject
from engine.worker.state import Bury, Entry, State

__all__ = ["Snapshot", "decode_snapshot", "restored", "snapshot_of"]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The positions are those of the record at `chain_sequence`."""

    partition: int
    chain_sequence: int
    round: int
    at_ms: int
    metrics_sequence: int
    campaigns_revision: int
    entries: list[tuple[int, Campaign]]  # revision, campaign
    book: bytes
    dropped: dict[int, str] = {}  # platforms, by series key, that their entries name no more
    v: int = 1


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Snapshot)


def snapshot_of(state: State, *, chain_sequence: int) -> bytes:
    """Return the bytes of a snapshot; the state must be just as that record left it."""
    return _encoder.encode(
        Snapshot(
            partition=state.partition,
            chain_sequence=chain_sequence,
            round=state.round,
            at_ms=state.at_ms,
            metrics_sequence=state.metrics_sequence,
            campaigns_revision=state.campaigns_revision,
            entries=[(entry.revision, entry.campaign) for entry in state.entries.values()],
            book=state.book.snapshot(),
            dropped=state.dropped,
        )
    )


def decode_snapshot(partition: int, payload: bytes) -> Snapshot:
    """Return the snapshot in `payload`. Raises MalformedMessageError."""
    subject = state_subject(partition)
    try:
        snapshot = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedMessageError(subject, str(error)) from error
    if snapshot.v != 1:
        raise MalformedMessageError(subject, f"snapshot version 1, found {snapshot.v}")
    if snapshot.partition != partition:
        raise MalformedMessageError(subject, f"partition {partition}, found {snapshot.partition}")
    return snapshot


def restored(snapshot: Snapshot, *, bury: Bury) -> State:
    """Return the state a snapshot was taken of. Raises MalformedMessageError."""
    try:
        book = Book.restore(snapshot.book)
    except CoreError as error:
        raise MalformedMessageError(state_subject(snapshot.partition), str(error)) from error
    state = State(snapshot.partition, book, bury=bury)
    state.dropped.update(snapshot.dropped)
    state.names.platforms.update(snapshot.dropped)
    for revision, campaign in snapshot.entries:
        state.learn(Entry(revision, campaign))
    state.round = snapshot.round
    state.at_ms = snapshot.at_ms
    state.metrics_sequence = snapshot.metrics_sequence
    state.campaigns_revision = snapshot.campaigns_revision
    return state
