"""Everything a round of a partition depends on, and nothing else: no clock, no broker.

The same calls in the same order give the same decisions, to the bit. That is why a round is
always made the same way: first the campaign entries up to a revision (`open`), then the frames
up to a sequence (`count`), then the decision. A record names both positions, and whoever replays
it does the same.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from engine.core.book import Book, CoreError, Round
from engine.domain.accounts import Halt, Share
from engine.domain.campaign import Campaign
from engine.domain.codec import decode_entry, encode_campaign
from engine.domain.ids import campaign_key, partition_of, series_key
from engine.errors import MalformedMessageError
from engine.messaging.ports import Message
from engine.messaging.subjects import campaign_subject, metrics_subject
from engine.worker.columns import Names

__all__ = ["Bury", "Entry", "Rows", "State"]

Bury = Callable[[str, str, bytes], None]
"""Takes what could not be read: origin, reason, payload."""


class Entry(NamedTuple):
    """A campaign as it is in force, and the revision of the table's entry that said so."""

    revision: int
    campaign: Campaign


class Rows(NamedTuple):
    """What became of the rows counted so far."""

    accepted: int = 0
    replaced: int = 0
    late: int = 0
    unknown: int = 0
    refused: int = 0

    @property
    def samples(self) -> int:
        """Return the rows that were samples of campaigns here."""
        return self.accepted + self.replaced + self.late


class State:
    """The book of a partition, the entries in force, and how far its inputs have been read.

    `bury` is told what could not be read; the positions move past it all the same.
    """

    def __init__(self, partition: int, book: Book, *, bury: Bury) -> None:
        self.partition = partition
        self.book = book
        self.bury = bury
        self.entries: dict[str, Entry] = {}
        self.names = Names()
        self.dropped: dict[int, str] = {}  # platforms, by key, that their entries name no more
        self.round = 0
        self.at_ms = 0  # of the newest round
        self.metrics_sequence = 0
        self.campaigns_revision = 0
        self.is_open = False  # frames of the next round have been counted in
        self.rows = Rows()

    @property
    def is_idle(self) -> bool:
        """Return whether a round would decide nothing and take nothing in."""
        return not self.entries and not self.is_open

    def open(self, messages: Iterable[Message]) -> list[str]:
        """Put the entries of a round in force; return the ids of the campaigns they concern."""
        entries: dict[str, Entry] = {}
        for message in messages:
            self.campaigns_revision = message.sequence
            found = self._read(message)
            if isinstance(found, Campaign):
                entries[found.definition.id] = Entry(message.sequence, found)
            elif found is not None:
                self._control(message, found)
        self._put(entries)
        return list(entries)

    def _control(self, message: Message, control: Share | Halt) -> None:
        """Put a share of an account, or the kill switch, in force."""
        if isinstance(control, Halt):
            self.book.set_halted(control.is_halted)
            return
        try:
            if control.partition != self.partition:
                reason = f"a share of partition {self.partition}, found {control.partition}'s"
                raise CoreError(reason)
            self.book.put_shares([control])
        except CoreError as error:
            self._bury(campaign_subject(self.partition), message, error)

    def count(self, messages: Iterable[Message]) -> None:
        """Count frames in, in the order of their log."""
        accepted, replaced, late, unknown, refused = self.rows
        for message in messages:
            self.is_open = True
            self.metrics_sequence = message.sequence
            try:
                counted = self.book.ingest(message.payload)
            except CoreError as error:
                self._bury(metrics_subject(self.partition), message, error)
                continue
            accepted += counted.accepted
            replaced += counted.replaced
            late += counted.late
            unknown += counted.unknown
            refused += counted.refused
        self.rows = Rows(accepted, replaced, late, unknown, refused)

    def decide(self, at_ms: int) -> Round:
        """Decide the round due at `at_ms`, later than the one before."""
        decided = self.book.decide(at_ms)
        self.round += 1
        self.at_ms = at_ms
        self.is_open = False
        return decided

    def stand_at(self, number: int, metrics_sequence: int, campaigns_revision: int) -> None:
        """Take the positions of a record for this state's own, between two rounds."""
        self.round = number
        self.metrics_sequence = metrics_sequence
        self.campaigns_revision = campaigns_revision
        self.is_open = False

    def hold_spent(self, name: str, total: int, caps: dict[str, int]) -> None:
        """Hold at least `total` micros of a campaign to be spent, and each platform's cap.

        `caps` are micros by platform, as far as they are known.
        """
        platforms = self.entries[name].campaign.definition.platforms
        for platform, cap in caps.items():
            if platform in platforms:
                self.book.raise_cap(series_key(name, platform), cap)
        self.book.raise_settled(campaign_key(name), total)

    def learn(self, entry: Entry) -> None:
        """Note an entry that the book knows already."""
        definition = entry.campaign.definition
        before = self.entries.get(definition.id)
        self.entries[definition.id] = entry
        self.names.add(entry.campaign)
        if before is not None:
            for platform in before.campaign.definition.platforms:
                if platform not in definition.platforms:
                    self.dropped[series_key(definition.id, platform)] = platform
        if self.dropped:
            for platform in definition.platforms:
                self.dropped.pop(series_key(definition.id, platform), None)

    def _read(self, message: Message) -> Campaign | Share | Halt | None:
        subject = campaign_subject(self.partition)
        try:
            campaign = decode_entry(subject, message.payload)
            if not isinstance(campaign, Campaign):
                return campaign
            found = partition_of(campaign.definition.id)
            if found != self.partition:
                name = campaign.definition.id
                reason = f"campaigns of partition {self.partition}, found {name!r} of {found}"
                raise MalformedMessageError(subject, reason)
        except MalformedMessageError as error:
            self._bury(subject, message, error)
            return None
        return campaign

    def _put(self, entries: dict[str, Entry]) -> None:
        """Put entries in force together, or one by one where the core refuses one of them."""
        if not entries:
            return
        try:
            self.book.put([entry.campaign for entry in entries.values()])
        except CoreError:
            self._put_one_by_one(entries)
            return
        for entry in entries.values():
            self.learn(entry)

    def _put_one_by_one(self, entries: dict[str, Entry]) -> None:
        for name, entry in entries.items():
            try:
                self.book.put([entry.campaign])
                self.learn(entry)
            except CoreError as error:
                message = Message(self.partition, entry.revision, encode_campaign(entry.campaign))
                self._bury(campaign_subject(self.partition, name), message, error)

    def _bury(self, subject: str, message: Message, error: Exception) -> None:
        self.bury(subject, f"sequence {message.sequence}: {error}", message.payload)
