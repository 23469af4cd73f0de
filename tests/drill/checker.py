"""The checker: what must hold of the chains and of the money, whatever befell the fleet.

It reads what the broker has stored and believes nobody: each record is compared with the one
before it, the ledger with the budgets that were in force, and its end with what was fed.
"""

from collections import defaultdict
from collections.abc import Mapping

import msgspec

from drill.changes import Budgets
from drill.spender import MARK
from engine.messaging.records import Decide, Keep, Record, Take
from engine.reports.chain import ChainAudit
from engine.simulation.audit import link_of

__all__ = ["Checker", "Verdict"]

MOST_FINDINGS = 20


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the checker found; all but the first four must be 0."""

    records: int
    takes: int
    rounds: int
    accepted: int  # decisions
    stale: int
    gaps: int
    duplicates: int
    lost_samples: int
    extra_samples: int
    overspend_micros: int
    findings: list[str]

    @property
    def is_sound(self) -> bool:
        return not (
            self.stale
            or self.gaps
            or self.duplicates
            or self.lost_samples
            or self.extra_samples
            or self.overspend_micros
        )


class Checker:
    """Takes the records of each partition in stored order, then gives its verdict."""

    def __init__(self, *, budgets: Budgets) -> None:
        self._budgets = budgets
        self._audit = ChainAudit()
        self._epochs: dict[int, int] = {}  # partition → its newest epoch
        self._owners: dict[tuple[int, int], str] = {}  # partition, epoch → who had it
        self._settled: dict[str, int] = {}
        self._committed: dict[str, int] = defaultdict(int)  # settled + reserved, newest
        self._partition: dict[int, set[str]] = defaultdict(set)
        self._due_ms: dict[int, int] = {}  # partition → when its newest round was due
        self._stale = 0
        self._gaps = 0
        self._overspend_micros = 0
        self._findings: list[str] = []

    def add(self, sequence: int, record: Record) -> None:
        """Check the next record of its partition."""
        self._audit.add(link_of(record, sequence))
        self._check_epoch(sequence, record)
        if isinstance(record, Decide):
            self._check_time(sequence, record)
            columns = record.changed
            self._check_ledger(
                sequence, record, columns.campaign, columns.settled_micros, columns.reserved_micros
            )
        elif isinstance(record, Keep):
            self._check_ledger(
                sequence, record, record.campaign, record.settled_micros, record.reserved_micros
            )

    def verdict(
        self,
        *,
        fed_micros: Mapping[str, int],
        fed_samples: Mapping[str, int],
    ) -> Verdict:
        """Compare the end of the ledger with what was fed, and with what the books say was spent.

        `fed_micros` are the spender's own books: what it spent and reported, each sample once.
        """
        lost = extra = 0
        for name, fed in fed_micros.items():
            difference = fed - self._settled.get(name, 0)
            if difference:
                few, many = self._samples_in(difference, fed_samples[name])
                lost, extra = lost + few, extra + many
                self._say(f"{name}: fed {fed}, settled {self._settled.get(name, 0)}")
            over = fed - self._budgets.most(name)
            if over > 0:
                self._overspend_micros += over
                self._say(f"{name}: its platforms spent {over} more than it was ever given")
        audit = self._audit
        return Verdict(
            records=audit.records,
            takes=audit.takes,
            rounds=audit.rounds,
            accepted=audit.decisions,
            stale=audit.stale + self._stale,
            gaps=audit.gaps + self._gaps,
            duplicates=audit.duplicates,
            lost_samples=lost,
            extra_samples=extra,
            overspend_micros=self._overspend_micros,
            findings=(audit.findings + self._findings)[:MOST_FINDINGS],
        )

    def _check_epoch(self, sequence: int, record: Record) -> None:
        """An epoch has one owner, and the next one is exactly one higher."""
        place = (record.partition, record.epoch)
        before = self._epochs.get(record.partition, 0)
        if isinstance(record, Take):
            if record.epoch != before + 1:
                self._gaps += self._found(record, sequence, f"epoch {record.epoch} after {before}")
            if place in self._owners:
                self._stale += self._found(record, sequence, f"epoch {record.epoch} taken again")
            self._owners.setdefault(place, record.owner)
        elif self._owners.get(place) != record.owner:
            reason = f"{record.owner} wrote in an epoch of {self._owners.get(place)}"
            self._stale += self._found(record, sequence, reason)
        self._epochs[record.partition] = max(before, record.epoch)

    def _check_time(self, sequence: int, record: Decide) -> None:
        """A round is later than the one before, whatever its owner's clock says."""
        before = self._due_ms.get(record.partition, 0)
        if record.at_ms <= before:
            reason = f"due at {record.at_ms} after {before}"
            self._gaps += self._found(record, sequence, reason)
        self._due_ms[record.partition] = record.at_ms

    def _check_ledger(
        self,
        sequence: int,
        record: Decide | Keep,
        campaigns: list[str],
        settled: list[int],
        reserved: list[int],
    ) -> None:
        """What is settled never falls, and settled + reserved stays within the budget.

        Where a budget was lowered below what had been given out already, nothing more is.
        """
        for name, one, more in zip(campaigns, settled, reserved, strict=True):
            budget = self._budgets.at(name, record.campaigns_revision)
            over = one + more - max(budget, self._committed[name])
            if over > 0:
                self._overspend_micros += over
                reason = f"{name}: {one} settled + {more} reserved, budget {budget}"
                self._found(record, sequence, reason)
            if one < self._settled.get(name, 0):
                reason = f"{name}: settled fell from {self._settled[name]} to {one}"
                self._gaps += self._found(record, sequence, reason)
            self._settled[name], self._committed[name] = one, one + more
            self._partition[record.partition].add(name)
        if isinstance(record, Decide):
            names = self._partition[record.partition]
            known = sum(self._settled[name] for name in names)
            if record.settled_micros != known:
                reason = f"{record.settled_micros} settled in all, {known} by campaign"
                self._gaps += self._found(record, sequence, reason)

    @staticmethod
    def _samples_in(difference: int, fed: int) -> tuple[int, int]:
        """Return how many samples are missing, and how many there are too many; never (0, 0)."""
        lost = difference % MARK
        if difference > 0:
            return max(1, min(lost, fed)), 0
        return 0, max(1, -difference % MARK)

    def _found(self, record: Record, sequence: int, reason: str) -> int:
        self._say(f"partition {record.partition}, sequence {sequence}: {reason}")
        return 1

    def _say(self, finding: str) -> None:
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(finding)
