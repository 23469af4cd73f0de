"""Dead letters sent to where they came from again: once, however often it is asked for.

What was not readable may be so after an upgrade. What still is not stays where it is: sent again,
it would only come back. A letter is forgotten once its stream has what was in it.

* A frame goes into its partition's stream. Should it get there twice, after a crash in between,
  the book tells by its producer and sequence.
* A campaign's entry is written again over itself, by compare-and-swap: whoever changed the campaign
  meanwhile has the last word.
"""

import hashlib
import re
from typing import NamedTuple

from engine.core.frames import decode_frame
from engine.domain.codec import decode_campaign
from engine.domain.ids import PARTITIONS, partition_of
from engine.errors import ConflictError, MalformedMessageError
from engine.messaging.ports import Broker, DeadLetter
from engine.messaging.subjects import campaign_subject, metrics_subject

__all__ = ["Outcome", "redeliver"]

RETRIED, SUPERSEDED, UNREADABLE, FOREIGN = "retried", "superseded", "unreadable", "not retryable"


class Outcome(NamedTuple):
    """What became of a letter, in a word, and why."""

    letter: DeadLetter
    result: str
    reason: str = ""

    @property
    def is_done(self) -> bool:
        """Return whether there is nothing left to do for it."""
        return self.result in (RETRIED, SUPERSEDED)


async def redeliver(broker: Broker, letter: DeadLetter, *, dry_run: bool = False) -> Outcome:
    """Send a letter to its origin again, and forget it there.

    Raises:
        BrokerError: the broker stays away, or refuses; it may be asked again.
    """
    partition = _partition_of(letter.origin)
    if partition is None:
        return Outcome(letter, FOREIGN, "only frames of samples and campaigns are")
    try:
        if letter.origin == metrics_subject(partition):
            outcome = await _frame(broker, letter, partition, dry_run=dry_run)
        else:
            outcome = await _entry(broker, letter, partition, dry_run=dry_run)
    except MalformedMessageError as error:
        return Outcome(letter, UNREADABLE, error.reason)
    if outcome.is_done and not dry_run:
        await broker.dead_letters.remove(letter.sequence)
    return outcome


async def _frame(broker: Broker, letter: DeadLetter, partition: int, *, dry_run: bool) -> Outcome:
    found = decode_frame(letter.payload).partition
    if found != partition:
        reason = f"a frame of partition {partition}, found one of {found}"
        raise MalformedMessageError(letter.origin, reason)
    if not dry_run:
        digest = hashlib.blake2b(letter.payload, digest_size=12).hexdigest()
        await broker.frames.publish(partition, letter.payload, message_id=f"dead-{digest}")
        await broker.frames.flush()
    return Outcome(letter, RETRIED)


async def _entry(broker: Broker, letter: DeadLetter, partition: int, *, dry_run: bool) -> Outcome:
    name = decode_campaign(letter.origin, letter.payload).definition.id
    if partition_of(name) != partition:
        reason = f"campaigns of partition {partition}, found {name!r} of {partition_of(name)}"
        raise MalformedMessageError(letter.origin, reason)
    revision = _revision(letter.reason)
    newest = await broker.campaigns.get(name)
    if newest is None or newest.sequence != revision:
        return Outcome(letter, SUPERSEDED, f"campaign {name} has been written anew since")
    if not dry_run:
        try:
            await broker.campaigns.put(name, newest.payload, expected=newest.sequence)
        except ConflictError:
            return Outcome(letter, SUPERSEDED, f"campaign {name} has been written anew just now")
    return Outcome(letter, RETRIED)


def _partition_of(origin: str) -> int | None:
    """Return the partition whose frames or campaigns come from there.

    >>> _partition_of("engine.metrics.4"), _partition_of("$KV.engine_campaigns.4.spring-shoes")
    (4, 4)
    """
    tokens = origin.split(".")
    if len(tokens) < 3 or not tokens[2].isdecimal() or int(tokens[2]) >= PARTITIONS:
        return None
    partition = int(tokens[2])
    is_entry = origin.startswith(campaign_subject(partition, ""))
    return partition if is_entry or origin == metrics_subject(partition) else None


def _revision(reason: str) -> int:
    """Return the sequence that a worker notes at the head of a reason, 0 where there is none."""
    found = re.match(r"sequence (\d+): ", reason)
    return int(found.group(1)) if found else 0
