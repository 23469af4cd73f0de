"""The summary of a run, for people and as one JSON object."""

from collections.abc import Iterable

import msgspec

from engine.domain.campaign import Definition
from engine.domain.ids import series_key
from engine.reports.chain import ChainAudit
from engine.reports.plan import planned_micros
from engine.reports.spending import SeriesTotals

__all__ = ["CampaignTotals", "NaiveTotals", "Summary", "summarise", "totals_by_campaign"]


class CampaignTotals(msgspec.Struct):
    """What one campaign's samples add up to, over its platforms."""

    impressions: int = 0
    clicks: int = 0
    milliconversions: int = 0
    spend_micros: int = 0


class NaiveTotals(msgspec.Struct, frozen=True):
    """What the rule "all to the highest CVR/CPC, at a fixed bid" came to, on the same market."""

    spend_micros: int
    value_micros: int
    conversions: int

    @property
    def roas(self) -> float | None:
        return self.value_micros / self.spend_micros if self.spend_micros else None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A run, counted from what the broker has stored. Money is None where currencies differ."""

    campaigns: int
    workers: int
    rounds: int  # Decide records
    decisions: int
    changes: int  # decisions written because they had changed
    samples: int
    spend_micros: int | None
    plan_micros: int | None  # of the budgets, what was meant to be spent by now
    budget_micros: int | None
    overspent_campaigns: int
    impressions: int
    clicks: int
    conversions: float
    value_micros: int | None
    roas: float | None  # value / spend
    spend_plan_ratio: float | None
    stale: int
    gaps: int
    duplicates: int
    unreadable: int  # records and frames that do not decode
    takes: int
    late_rounds: int
    duplicate_frames: int
    unsettled_micros: int | None  # reported by platforms, not yet in the chain
    currency: str | None
    seed: int
    duration_s: float
    decisions_per_s: float | None
    samples_per_s: float | None
    findings: tuple[str, ...] = ()
    naive: "NaiveTotals | None" = None  # the naive rule on the same market and seed

    @property
    def is_sound(self) -> bool:
        """Return whether every promise was kept: a whole chain, and no budget passed."""
        wrong = self.stale, self.gaps, self.duplicates, self.overspent_campaigns, self.unreadable
        return not any(wrong)


def totals_by_campaign(
    definitions: Iterable[Definition], parts: Iterable[SeriesTotals]
) -> dict[str, CampaignTotals]:
    """Return each campaign's totals. Samples of series that no campaign has are left out."""
    owner = {
        series_key(one.id, platform): one.id for one in definitions for platform in one.platforms
    }
    found = {campaign: CampaignTotals() for campaign in owner.values()}
    for part in parts:
        columns = (part.impressions, part.clicks, part.milliconversions, part.spend_micros)
        for key, *counts in zip(part.series.tolist(), *(c.tolist() for c in columns), strict=True):
            campaign = owner.get(key)
            if campaign is not None:
                totals = found[campaign]
                totals.impressions += counts[0]
                totals.clicks += counts[1]
                totals.milliconversions += counts[2]
                totals.spend_micros += counts[3]
    return found


def summarise(
    definitions: list[Definition],
    totals: dict[str, CampaignTotals],
    chains: ChainAudit,
    *,
    settled_micros: dict[str, int],
    samples: int,
    duplicate_frames: int,
    unreadable: int,
    at: float,
    workers: int,
    seed: int,
    duration_s: float,
    tolerance: float = 0.0,
) -> Summary:
    """Return the summary of a run as it stands at a time in epoch seconds.

    A campaign is overspent where its samples, or its settled spend in the chain, pass its budget:
    samples are kept for hours only, the chain for days. `tolerance`: by more than such a part of
    it, where platforms hear of a cap too late to stop at it.
    """
    currencies = {one.currency for one in definitions}
    mixed = len(currencies) > 1
    spend = sum(one.spend_micros for one in totals.values())
    value = sum(
        totals[one.id].milliconversions * (one.conversion_value_micros or 0) // 1000
        for one in definitions
    )
    plan = sum(planned_micros(one, at) for one in definitions)
    settled = sum(settled_micros.get(one.id, 0) for one in definitions)
    overspent = sum(
        max(totals[one.id].spend_micros, settled_micros.get(one.id, 0))
        > one.budget_micros * (1.0 + tolerance)
        for one in definitions
    )
    return Summary(
        campaigns=len(definitions),
        workers=workers,
        rounds=chains.rounds,
        decisions=chains.decisions,
        changes=chains.changes,
        samples=samples,
        spend_micros=None if mixed else spend,
        plan_micros=None if mixed else plan,
        budget_micros=None if mixed else sum(one.budget_micros for one in definitions),
        overspent_campaigns=overspent,
        impressions=sum(one.impressions for one in totals.values()),
        clicks=sum(one.clicks for one in totals.values()),
        conversions=sum(one.milliconversions for one in totals.values()) / 1000,
        value_micros=None if mixed else value,
        roas=None if mixed else _ratio(value, spend),
        spend_plan_ratio=None if mixed else _ratio(spend, plan),
        stale=chains.stale,
        gaps=chains.gaps,
        duplicates=chains.duplicates,
        unreadable=unreadable,
        takes=chains.takes,
        late_rounds=chains.late_rounds,
        duplicate_frames=duplicate_frames,
        unsettled_micros=None if mixed else spend - settled,
        currency=currencies.pop() if len(currencies) == 1 else None,
        seed=seed,
        duration_s=round(duration_s, 3),
        decisions_per_s=_ratio(chains.decisions, duration_s, digits=1),
        samples_per_s=_ratio(samples, duration_s, digits=1),
        findings=tuple(chains.findings),
    )


def _ratio(above: float, below: float, *, digits: int = 4) -> float | None:
    return round(above / below, digits) if below else None
