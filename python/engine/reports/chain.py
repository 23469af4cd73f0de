"""The auditor of decision chains: nothing stale, no gap, no round twice.

It trusts neither the workers nor the broker: only what each record says of itself and of the one
before it.
"""

from typing import Literal

import msgspec

__all__ = ["ChainAudit", "Kind", "Link"]

Kind = Literal["take", "decide", "keep", "release"]

_MOST_FINDINGS = 20


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a chain, as far as the audit is concerned."""

    partition: int
    sequence: int  # where the broker stored it
    kind: Kind
    previous: int
    epoch: int
    owner: str
    round: int
    at_ms: int
    metrics_sequence: int
    decided: int = 0
    changed: int = 0


class ChainAudit:
    """Counts what the chains hold and what is wrong with them. Feed each chain in stored order.

    >>> audit = ChainAudit()
    >>> link = Link(partition=0, sequence=1, kind="take", previous=0, epoch=1, owner="a", round=0,
    ...             at_ms=0, metrics_sequence=0)
    >>> audit.add(link)
    >>> audit.add(msgspec.structs.replace(link, sequence=2, kind="decide", previous=1, round=2))
    >>> audit.gaps, audit.findings
    (1, ['partition 0, sequence 2: round 2 after round 0'])
    """

    def __init__(self, *, interval_ms: int | None = None) -> None:
        self._interval_ms = interval_ms
        self._newest: dict[int, Link] = {}
        self._decided_at: dict[int, int] = {}
        self.records = 0
        self.takes = 0
        self.rounds = 0
        self.decisions = 0
        self.changes = 0
        self.stale = 0  # written by somebody who had lost, or given up, the partition
        self.gaps = 0  # a record, a round or an input is missing
        self.duplicates = 0  # a round decided twice
        self.late_rounds = 0  # a round's predecessor was due more than one interval before it
        self.truncated = 0  # chains whose beginning has aged out: counted from where they begin
        self.findings: list[str] = []  # the first few of what is wrong, in words

    @property
    def is_sound(self) -> bool:
        return not (self.stale or self.gaps or self.duplicates)

    def add(self, link: Link) -> None:
        """Count the next record of its partition's chain."""
        self.records += 1
        self.takes += link.kind == "take"
        before = self._newest.get(link.partition)
        if before is None:
            self._begin(link)
        else:
            self._check_owner(before, link)
            self._check_order(before, link)
        if link.kind == "decide":
            self._count_round(link)
        self._newest[link.partition] = link

    def _begin(self, link: Link) -> None:
        if link.previous != 0:
            self.truncated += 1
        elif link.kind != "take":
            self.gaps += self._found(link, f"the chain begins with {link.kind!r}, not a take")

    def _check_owner(self, before: Link, link: Link) -> None:
        if link.kind == "take":
            if link.epoch <= before.epoch:
                reason = f"taken with epoch {link.epoch} after {before.epoch}"
                self.stale += self._found(link, reason)
        elif (link.epoch, link.owner) != (before.epoch, before.owner):
            newer = f"{before.owner!r} of epoch {before.epoch}"
            reason = f"{link.owner!r} of epoch {link.epoch} after {newer}"
            self.stale += self._found(link, reason)
        elif before.kind == "release":
            self.stale += self._found(link, f"{link.owner!r} goes on after its release")

    def _check_order(self, before: Link, link: Link) -> None:
        wanted = before.round + (link.kind == "decide")
        if link.kind == "decide" and link.round <= before.round:
            self.duplicates += self._found(link, f"round {link.round} again")
        elif link.round != wanted:
            self.gaps += self._found(link, f"round {link.round} after round {before.round}")
        elif link.previous != before.sequence:
            reason = f"follows {link.previous}, but {before.sequence} is before it"
            self.gaps += self._found(link, reason)
        elif link.metrics_sequence < before.metrics_sequence:
            reason = f"input {link.metrics_sequence} after {before.metrics_sequence}"
            self.gaps += self._found(link, reason)

    def _count_round(self, link: Link) -> None:
        self.rounds += 1
        self.decisions += link.decided
        self.changes += link.changed
        last = self._decided_at.get(link.partition)
        if self._interval_ms and last is not None:
            self.late_rounds += link.at_ms - last > 1.5 * self._interval_ms
        self._decided_at[link.partition] = link.at_ms

    def _found(self, link: Link, reason: str) -> int:
        if len(self.findings) < _MOST_FINDINGS:
            place = f"partition {link.partition}, sequence {link.sequence}"
            self.findings.append(f"{place}: {reason}")
        return 1
