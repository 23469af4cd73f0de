"""Compare-and-swap when answers get lost: the one place that decides "stored", "lost", "again".

    stored            → its sequence
    no answer, busy   → the same bytes with the same expectation, again, until there is one
    wrong expectation → read the newest: mine → it had been stored; another's → MovedOnError

A retry cannot store twice: the first success moves the subject past the expectation. It cannot
take somebody else's message for ours either, were it equal to the byte: each message carries the
mark of the connection that wrote it.
"""

import random
from typing import NamedTuple, Protocol

import structlog

from engine.clock import Clock
from engine.errors import MessagingError
from engine.messaging.link import UnansweredError

__all__ = ["CasLog", "MovedOnError", "Newest", "commit"]

_FIRST_WAIT_S = 0.02
_LONGEST_WAIT_S = 0.25
_TELL_AFTER_S = 2.0

_log = structlog.get_logger(__name__)


class MovedOnError(MessagingError):
    """The newest message of the subject is not the expected one, and is not ours."""

    def __init__(self, subject: str, expected: int) -> None:
        super().__init__(f"{subject}: not at sequence {expected} any more")
        self.subject = subject
        self.expected = expected


class Newest(NamedTuple):
    """The newest message of a subject, and who wrote it."""

    sequence: int
    payload: bytes
    writer: str


class CasLog(Protocol):
    """A log with compare-and-swap by subject."""

    @property
    def writer(self) -> str:
        """Return the mark that `store` puts on messages."""
        ...

    async def reachable(self) -> bool:
        """Return once the broker is there; whether it had been away."""
        ...

    async def store(self, subject: str, payload: bytes, *, expected: int) -> int:
        """Store over sequence `expected` of the subject and return the new sequence.

        Raises:
            MovedOnError: the subject has another newest sequence.
            UnansweredError: it may or may not have been stored; ask again.
        """
        ...

    async def newest(self, subject: str) -> Newest | None:
        """Return the newest message, never an older one. Raises UnansweredError."""
        ...


async def commit(log: CasLog, subject: str, payload: bytes, *, expected: int, clock: Clock) -> int:
    """Store over `expected` and return the sequence, however long the broker is away.

    Raises:
        MovedOnError: somebody else wrote on top of `expected`.
    """
    began, wait_s, told = clock.monotonic(), _FIRST_WAIT_S, False
    while True:
        try:
            return await log.store(subject, payload, expected=expected)
        except MovedOnError:
            stored = await _sequence_if_mine(log, subject, payload, expected=expected)
            if stored is not None:
                return stored
        except UnansweredError as error:
            if not told and clock.monotonic() - began > _TELL_AFTER_S:
                told = True
                _log.warning("commit_waits_for_broker", subject=subject, reason=str(error))
            if await log.reachable():
                wait_s = _FIRST_WAIT_S  # it has not been asked yet since it is back
        # Jitter, so that a fleet which lost its broker does not come back in step.
        await clock.sleep(wait_s * random.uniform(0.5, 1.0))
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


async def _sequence_if_mine(
    log: CasLog, subject: str, payload: bytes, *, expected: int
) -> int | None:
    """Return where an earlier try was stored; None where that could not be found out."""
    try:
        newest = await log.newest(subject)
    except UnansweredError:
        return None
    if newest is None:
        raise MovedOnError(subject, expected)
    if newest.sequence == expected:
        return None  # a read older than the refusal: ask again
    if newest.writer == log.writer and newest.payload == payload:
        return newest.sequence
    raise MovedOnError(subject, expected)
