"""Spend counted again from samples: exact, each once, against plan and budget."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.frames import Frame
from engine.core.rows import SAMPLE_ROW
from engine.domain.campaign import Flight, Guardrails
from engine.domain.ids import series_key
from engine.reports.chain import ChainAudit
from engine.reports.plan import planned_micros
from engine.reports.spending import SampleTally
from engine.reports.summary import Summary, summarise, totals_by_campaign
from support.definitions import DAY, START, definition, report


def rows(*reports: dict[str, Any]) -> NDArray[np.void]:
    made = np.zeros(len(reports), SAMPLE_ROW)
    for row, fields in zip(made, reports, strict=True):
        for field, value in fields.items():
            row[field] = value
    return made


ONE = report("spring-shoes", "google", at=START, spend_micros=1_234_567)
TWO = report("spring-shoes", "google", at=START + 1, spend_micros=2_000_000)


def tallied(*frames: tuple[int, NDArray[np.void]]) -> SampleTally:
    tally = SampleTally()
    for sequence, frame in frames:
        tally.add(Frame(25, 1, 1, sequence, 100, frame))
    return tally


def test_spend_is_exact_to_the_micro() -> None:
    totals = tallied((1, rows(ONE)), (2, rows(TWO))).totals()
    assert totals.series.tolist() == [series_key("spring-shoes", "google")]
    assert totals.spend_micros.tolist() == [3_234_567]
    assert totals.clicks.tolist() == [200]
    assert totals.milliconversions.tolist() == [4_000]


def test_a_frame_that_came_twice_counts_once() -> None:
    tally = tallied((1, rows(ONE)), (1, rows(ONE)), (2, rows(TWO)))
    assert (tally.samples, tally.frames, tally.duplicate_frames) == (2, 2, 1)
    assert tally.totals().spend_micros.tolist() == [3_234_567]


def test_a_second_report_of_the_same_stretch_replaces_the_first() -> None:
    restated = report("spring-shoes", "google", at=START, spend_micros=5_000_000)
    tally = tallied((1, rows(ONE, TWO)), (2, rows(restated)))
    assert tally.samples == 3
    assert tally.totals().spend_micros.tolist() == [7_000_000]


def test_nothing_adds_up_to_nothing() -> None:
    assert SampleTally().totals().spend_micros.tolist() == []


def test_the_plan_is_even_over_the_flight() -> None:
    one = definition(budget_micros=1_000, flight=Flight(starts_at=START, ends_at=START + 100.0))
    found = [planned_micros(one, START + t) for t in (-5.0, 0.0, 25.0, 100.0, 500.0)]
    assert found == [0, 0, 250, 1_000, 1_000]


def test_a_daily_cap_lowers_the_plan_of_a_short_flight() -> None:
    midnight = START - START % DAY
    one = definition(
        budget_micros=1_000,
        flight=Flight(starts_at=midnight + 10.0, ends_at=midnight + 110.0),
        guardrails=Guardrails(daily_cap_micros=600),
    )
    assert planned_micros(one, midnight + 60.0) == 300


def summarised(*, spend_micros: int, settled_micros: int) -> Summary:
    one = definition(budget_micros=2_000_000)
    frame = rows(report(one.id, "google", at=START, spend_micros=spend_micros))
    tally = tallied((1, frame))
    return summarise(
        [one],
        totals_by_campaign([one], [tally.totals()]),
        ChainAudit(),
        settled_micros={one.id: settled_micros},
        samples=tally.samples,
        duplicate_frames=0,
        unreadable=0,
        at=START + DAY / 2,
        workers=1,
        seed=7,
        duration_s=10.0,
    )


def test_a_run_is_summed_up() -> None:
    summary = summarised(spend_micros=800_000, settled_micros=700_000)
    assert summary.spend_micros == 800_000
    assert summary.unsettled_micros == 100_000
    assert summary.plan_micros == 1_000_000
    assert summary.spend_plan_ratio == 0.8
    assert summary.value_micros == 40_000_000
    assert summary.roas == 50.0
    assert summary.samples_per_s == 0.1
    assert summary.is_sound


def test_a_campaign_whose_samples_pass_its_budget_is_overspent() -> None:
    summary = summarised(spend_micros=2_000_001, settled_micros=0)
    assert summary.overspent_campaigns == 1
    assert not summary.is_sound


def test_a_campaign_whose_ledger_passes_its_budget_is_overspent() -> None:
    assert summarised(spend_micros=0, settled_micros=2_000_001).overspent_campaigns == 1


def test_a_budget_spent_to_the_last_micro_is_not_overspent() -> None:
    assert summarised(spend_micros=2_000_000, settled_micros=2_000_000).overspent_campaigns == 0


def test_a_kpi_without_a_denominator_has_no_value() -> None:
    assert summarised(spend_micros=0, settled_micros=0).roas is None
