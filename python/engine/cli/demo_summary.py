"""What the demo says in words: a line now and then, and the summary at the end."""

from collections.abc import Mapping

from rich import box
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engine.cli.demo_platforms import PlatformTotals
from engine.cli.demo_text import money, per_second, percent, ratio
from engine.cli.demo_view import DemoState
from engine.metrics.watch import View
from engine.reports.summary import Summary

__all__ = ["progress_line", "summary_panel"]


def progress_line(view: View, demo: DemoState) -> str:
    """Return one line for a terminal that is none: a log, a pipe, a CI job."""
    gone = [child.name for child in demo.children if child.exit_code is not None]
    alive = sum(worker.is_alive for worker in view.workers.values())
    return (
        f"{demo.elapsed_s:6.1f} s  {alive} workers"
        + (f" ({', '.join(gone)} gone)" if gone else "")
        + f"  {view.rounds:,} rounds  {view.decisions:,} decisions"
        f" ({per_second(view.decisions_a_second)})"
        f"  {view.samples:,} samples ({per_second(view.samples_a_second)})"
        f"  spend {money(view.spend_micros)} of {money(view.plan_micros)} planned"
        f"  roas {ratio(view.roas)}"
    )


def summary_panel(summary: Summary, platforms: Mapping[str, PlatformTotals]) -> Panel:
    """Return the summary as a table for people; what a gateway did on platforms, where one ran."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", justify="right")
    table.add_column()
    for label, words in [*_in_words(summary), *_against_naive(summary)]:
        table.add_row(label, words)
    for platform, totals in platforms.items():
        table.add_row(platform, totals.in_words())
    is_whole = not (summary.stale or summary.gaps or summary.duplicates or summary.unreadable)
    overspent = f"{summary.overspent_campaigns} campaigns" + " by more than 2%" * bool(platforms)
    table.add_row("overspent", _verdict(overspent, is_good=not summary.overspent_campaigns))
    chain = (
        f"{summary.stale} stale, {summary.gaps} gaps, {summary.duplicates} duplicates, "
        f"{summary.unreadable} unreadable"
    )
    table.add_row("the chain", _verdict(chain, is_good=is_whole))
    for finding in summary.findings:
        table.add_row("", _verdict(finding, is_good=False))
    return Panel(
        table,
        title="read back from the broker",
        title_align="left",
        box=box.ROUNDED,
        border_style="cyan",
        expand=False,
    )


def _in_words(summary: Summary) -> list[tuple[str, str]]:
    return [
        (
            "ran",
            f"{summary.duration_s:.1f} s, {summary.campaigns:,} campaigns, "
            f"{summary.workers} workers, seed {summary.seed}",
        ),
        (
            "decided",
            f"{summary.rounds:,} rounds ({summary.late_rounds} late), "
            f"{summary.decisions:,} decisions ({per_second(summary.decisions_per_s)}), "
            f"{summary.changes:,} changes written",
        ),
        (
            "learned from",
            f"{summary.samples:,} samples ({per_second(summary.samples_per_s)}), "
            f"{summary.impressions:,} impressions, {summary.clicks:,} clicks",
        ),
        (
            "spent",
            f"{money(summary.spend_micros)} of {money(summary.plan_micros)} planned by now "
            f"({percent(summary.spend_plan_ratio)}), budgets {money(summary.budget_micros)}",
        ),
        (
            "won",
            f"{summary.conversions:,.0f} conversions worth {money(summary.value_micros)}, "
            f"roas {ratio(summary.roas)}",
        ),
    ]


def _against_naive(summary: Summary) -> list[tuple[str, str]]:
    """Say what the naive rule came to on the same market, and what either kept of it."""
    naive = summary.naive
    if naive is None or summary.value_micros is None or summary.spend_micros is None:
        return []
    ours = summary.value_micros - summary.spend_micros
    theirs = naive.value_micros - naive.spend_micros
    return [
        (
            "the naive rule",
            f"{naive.conversions:,} conversions worth {money(naive.value_micros)} for "
            f"{money(naive.spend_micros)}, roas {ratio(naive.roas)} (same seed: all to the highest "
            "CVR/CPC, fixed bid)",
        ),
        ("value less spend", f"{money(ours)}, by the naive rule {money(theirs)}"),
    ]


def _verdict(words: str, *, is_good: bool) -> Text:
    return Text(words, style="green" if is_good else "bold red")
