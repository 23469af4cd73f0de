"""A summary as the demo's end has it."""

from engine.reports.summary import NaiveTotals, Summary

__all__ = ["summary_of"]


def summary_of() -> Summary:
    return Summary(
        campaigns=20,
        workers=2,
        rounds=10,
        decisions=200,
        changes=150,
        samples=600,
        spend_micros=9_000_000,
        plan_micros=10_000_000,
        budget_micros=20_000_000,
        overspent_campaigns=0,
        impressions=9_000,
        clicks=90,
        conversions=9.0,
        value_micros=18_000_000,
        roas=2.0,
        spend_plan_ratio=0.9,
        stale=0,
        gaps=0,
        duplicates=0,
        unreadable=0,
        takes=64,
        late_rounds=0,
        duplicate_frames=0,
        unsettled_micros=0,
        currency="USD",
        seed=7,
        duration_s=10.0,
        decisions_per_s=20.0,
        samples_per_s=60.0,
        naive=NaiveTotals(5_000_000, 6_000_000, 3),
    )
