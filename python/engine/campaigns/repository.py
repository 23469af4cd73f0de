"""Campaigns in the broker's table: read, written by compare-and-swap, moved through their life."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import msgspec

from engine.clock import Clock
from engine.domain.accounts import Halt, Share
from engine.domain.campaign import Campaign, Definition
from engine.domain.codec import decode_campaign, decode_control, encode_campaign, encode_control
from engine.domain.ids import PARTITIONS, partition_of
from engine.domain.lifecycle import State, transition
from engine.errors import BrokerError, ConflictError, DefinitionError, MalformedMessageError
from engine.messaging.ports import CampaignTable, Message
from engine.messaging.subjects import HALT_NAME, share_name

__all__ = [
    "ATTEMPTS",
    "PATIENCE_S",
    "Repository",
    "Stored",
    "StoredShare",
    "answered_within",
    "state_by_flight",
]

PATIENCE_S = 15.0  # a server that was killed and is started again is back well before
ATTEMPTS = 8  # a campaign that changes more often while one looks at it has a fight going on


class Stored(msgspec.Struct, frozen=True):
    """A campaign, with the revision that a change to it must name."""

    campaign: Campaign
    revision: int


class StoredShare(msgspec.Struct, frozen=True):
    """A partition's share of an account, with the revision that a change to it must name."""

    share: Share
    revision: int


class Repository:
    """The table of campaigns. `by` is who is written down as the author of changes.

    A table waits for a broker that is away as long as it takes, as workers need it; people do
    not: after `patience` seconds without an answer every method raises BrokerError.
    """

    def __init__(
        self, *, table: CampaignTable, clock: Clock, by: str, patience: float = PATIENCE_S
    ) -> None:
        self._table = table
        self._clock = clock
        self._by = by
        self._patience = patience

    async def get(self, campaign: str) -> Stored | None:
        """Return a campaign. Raises MalformedMessageError where its entry does not decode."""
        async with answered_within(self._patience):
            message = await self._table.get(campaign)
        return None if message is None else _stored(message)

    async def known(self, campaigns: Iterable[str] | None = None) -> dict[str, Stored]:
        """Return those of some campaigns (None: of all) that are in the table, in one reading.

        An entry that does not decode is left out: `get` says what is wrong with it.
        """
        wanted = None if campaigns is None else set(campaigns)
        partitions = None if wanted is None else sorted({partition_of(one) for one in wanted})
        found = {}
        async for message in self._table.all(partitions=partitions):
            try:
                stored = _stored(message)
            except MalformedMessageError:
                continue
            if wanted is None or stored.campaign.definition.id in wanted:
                found[stored.campaign.definition.id] = stored
        return found

    async def all(self) -> AsyncIterator[Stored]:
        """Iterate all campaigns, in the table's order. Raises MalformedMessageError."""
        async for message in self._table.all():
            yield _stored(message)

    async def write(
        self, definition: Definition, state: State, *, expected: int, note: str = ""
    ) -> int:
        """Write a campaign over revision `expected` (0: create) and return the new revision.

        Raises ConflictError where the entry has another revision.
        """
        campaign = Campaign(
            definition=definition,
            state=state,
            changed_at=self._clock.now(),
            changed_by=self._by,
            note=note,
        )
        payload = encode_campaign(campaign)
        async with answered_within(self._patience):
            return await self._table.put(definition.id, payload, expected=expected)

    async def share(self, account: str, partition: int) -> StoredShare | None:
        """Return a partition's share of an account. Raises MalformedMessageError."""
        async with answered_within(self._patience):
            message = await self._table.get_control(partition, share_name(account))
        if message is None:
            return None
        where = f"share of {account} in partition {partition}"
        control = decode_control(where, message.payload)
        if not isinstance(control, Share):
            raise MalformedMessageError(where, "a share, found the kill switch")
        return StoredShare(control, message.sequence)

    async def write_share(self, share: Share, *, expected: int) -> int:
        """Write a share over revision `expected` (0: create). Raises ConflictError."""
        share = msgspec.structs.replace(share, changed_at=self._clock.now(), changed_by=self._by)
        name = share_name(share.account.id)
        payload = encode_control(share)
        async with answered_within(self._patience):
            return await self._table.put_control(share.partition, name, payload, expected=expected)

    async def halt(self, is_halted: bool, *, note: str = "", dry_run: bool = False) -> int:
        """Turn the kill switch of the whole fleet; return in how many partitions it was turned.

        All campaigns of a partition hold from its next round on. `dry_run` only counts those in
        which it would be turned. Raises ConflictError where somebody else turns it at the same
        time.
        """
        turned = 0
        for partition in range(PARTITIONS):
            async with answered_within(self._patience):
                message = await self._table.get_control(partition, HALT_NAME)
            expected = 0 if message is None else message.sequence
            if message is None and not is_halted:
                continue
            if message is not None:
                control = decode_control(HALT_NAME, message.payload)
                if isinstance(control, Halt) and control.is_halted == is_halted:
                    continue
            turned += 1
            if dry_run:
                continue
            halt = Halt(is_halted, self._clock.now(), self._by, note)
            async with answered_within(self._patience):
                await self._table.put_control(
                    partition, HALT_NAME, encode_control(halt), expected=expected
                )
        return turned

    async def halt_account(
        self, account: str, is_halted: bool, *, note: str = "", dry_run: bool = False
    ) -> int:
        """Turn the kill switch of one account; return in how many partitions it was turned.

        `dry_run` only counts those in which it would be.
        """
        turned = 0
        for partition in range(PARTITIONS):
            stored = await self.share(account, partition)
            if stored is not None and stored.share.is_halted != is_halted:
                turned += 1
                if not dry_run:
                    share = msgspec.structs.replace(stored.share, is_halted=is_halted, note=note)
                    await self.write_share(share, expected=stored.revision)
        return turned

    async def move(
        self,
        campaign: str,
        wanted: Callable[[Campaign], State],
        *,
        note: str = "",
        dry_run: bool = False,
    ) -> tuple[State, State]:
        """Move a campaign to the state that `wanted` gives for it; return its state before and now.

        `dry_run` only finds out. Whoever changes it meanwhile goes first: it is read and judged
        again.

        Raises:
            DefinitionError: there is no such campaign.
            TransitionError: the lifecycle does not allow it.
            ConflictError: others changed it faster than it could be read, several times.
        """
        for _ in range(ATTEMPTS):
            stored = await self.get(campaign)
            if stored is None:
                raise DefinitionError("campaign", "a published campaign", None)
            state = transition(campaign, stored.campaign.state, wanted(stored.campaign))
            if dry_run:
                return stored.campaign.state, state
            try:
                await self.write(
                    stored.campaign.definition, state, expected=stored.revision, note=note
                )
            except ConflictError as error:
                conflict = error
                continue
            return stored.campaign.state, state
        raise conflict


@asynccontextmanager
async def answered_within(seconds: float) -> AsyncIterator[None]:
    """Raise BrokerError where the body takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise BrokerError(f"the broker gives no answer, {seconds:g} s long") from None


def state_by_flight(definition: Definition, now: float) -> State:
    """Return SCHEDULED before a flight, ACTIVE in it, COMPLETED after it."""
    if now >= definition.flight.ends_at:
        return State.COMPLETED
    return State.ACTIVE if now >= definition.flight.starts_at else State.SCHEDULED


def _stored(message: Message) -> Stored:
    where = f"campaigns, revision {message.sequence}"
    return Stored(decode_campaign(where, message.payload), message.sequence)
