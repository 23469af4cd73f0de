"""The audit of a chain: what is stale, what is missing, what came twice."""

import msgspec
import pytest

from engine.reports.chain import ChainAudit, Link


def link(sequence: int, kind: str, **fields: object) -> Link:
    """Return a record of a sound chain: worker "a", epoch 1, one partition, every sequence."""
    wanted: dict[str, object] = {
        "partition": 3,
        "sequence": sequence,
        "kind": kind,
        "previous": sequence - 1,
        "epoch": 1,
        "owner": "a",
        "round": max(sequence - 1, 0),
        "at_ms": 2_000 * sequence,
        "metrics_sequence": 10 * sequence,
        "decided": 4 if kind == "decide" else 0,
        "changed": 1 if kind == "decide" else 0,
    }
    return msgspec.convert(wanted | fields, Link)


SOUND = [link(1, "take"), *(link(sequence, "decide") for sequence in range(2, 8))]


def audited(links: list[Link]) -> ChainAudit:
    audit = ChainAudit(interval_ms=2_000)
    for one in links:
        audit.add(one)
    return audit


def faults(audit: ChainAudit) -> tuple[int, int, int]:
    return audit.stale, audit.gaps, audit.duplicates


def changed(place: int, **fields: object) -> list[Link]:
    links = list(SOUND)
    links[place] = msgspec.structs.replace(links[place], **fields)
    return links


def test_a_sound_chain_has_nothing_wrong() -> None:
    audit = audited(SOUND)
    assert faults(audit) == (0, 0, 0)
    assert audit.is_sound
    assert not audit.findings
    assert (audit.takes, audit.rounds, audit.decisions, audit.changes) == (1, 6, 24, 6)
    assert audit.late_rounds == 0


def test_a_hand_over_has_nothing_wrong() -> None:
    links = [
        *SOUND,
        link(8, "keep", round=6),
        link(9, "release", round=6),
        link(10, "take", round=6, epoch=2, owner="b"),
        link(11, "decide", round=7, epoch=2, owner="b"),
    ]
    assert faults(audited(links)) == (0, 0, 0)


def test_chains_of_several_partitions_may_come_mixed() -> None:
    other = [msgspec.structs.replace(one, partition=4) for one in SOUND]
    mixed = [one for pair in zip(SOUND, other, strict=True) for one in pair]
    assert faults(audited(mixed)) == (0, 0, 0)


def test_a_record_of_the_owner_before_is_stale() -> None:
    links = [*SOUND, link(8, "take", round=6, epoch=2, owner="b"), link(9, "decide", round=7)]
    assert faults(audited(links)) == (1, 0, 0)


def test_a_record_of_somebody_else_in_the_same_epoch_is_stale() -> None:
    assert audited(changed(4, owner="b")).stale >= 1


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_take_that_does_not_raise_the_epoch_is_stale(epoch: int) -> None:
    assert faults(audited([*SOUND, link(8, "take", round=6, epoch=epoch, owner="b")])) == (1, 0, 0)


def test_a_worker_that_goes_on_after_its_release_is_stale() -> None:
    links = [*SOUND, link(8, "release", round=6), link(9, "decide", round=7)]
    assert faults(audited(links)) == (1, 0, 0)


def test_a_round_that_is_missing_is_a_gap() -> None:
    links = [*SOUND, link(8, "decide", round=8)]
    audit = audited(links)
    assert faults(audit) == (0, 1, 0)
    assert audit.findings == ["partition 3, sequence 8: round 8 after round 6"]


def test_a_record_that_is_missing_is_a_gap() -> None:
    assert faults(audited(changed(4, previous=3))) == (0, 1, 0)


def test_input_that_goes_backwards_is_a_gap() -> None:
    assert faults(audited(changed(6, metrics_sequence=1))) == (0, 1, 0)


def test_a_take_that_forgets_a_round_is_a_gap() -> None:
    assert faults(audited([*SOUND, link(8, "take", round=5, epoch=2, owner="b")])) == (0, 1, 0)


def test_a_chain_that_does_not_begin_with_a_take_has_a_gap() -> None:
    assert faults(audited([link(1, "decide", round=1)])) == (0, 1, 0)


def test_a_chain_whose_beginning_has_aged_out_is_counted_from_where_it_begins() -> None:
    audit = audited(SOUND[3:])
    assert faults(audit) == (0, 0, 0)
    assert audit.truncated == 1


def test_a_round_decided_twice_is_a_duplicate() -> None:
    assert faults(audited([*SOUND, link(8, "decide", round=6)])) == (0, 0, 1)


def test_one_fault_is_counted_once() -> None:
    links = [*SOUND, link(8, "decide", round=9), *(link(i, "decide", round=i + 1) for i in (9, 10))]
    assert faults(audited(links)) == (0, 1, 0)


def test_a_round_that_was_missed_makes_the_next_one_late() -> None:
    audit = audited([*SOUND, link(8, "decide", round=7, at_ms=2_000 * 10)])
    assert audit.late_rounds == 1
    assert audit.is_sound


def test_findings_are_few_however_much_is_wrong() -> None:
    audit = audited([SOUND[0], *(link(2, "decide", round=1) for _ in range(500))])
    assert audit.duplicates == 499
    assert len(audit.findings) < 50
