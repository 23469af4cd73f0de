"""The demo's screen: pure functions from a `View` to what rich draws, cut to the terminal."""

from collections.abc import Sequence

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engine.cli.demo_text import NONE, money, percent, price, ratio, share
from engine.domain.decision import Action, Binding, PlatformDecision
from engine.domain.lifecycle import State
from engine.domain.money import MICROS
from engine.metrics.board import Heard
from engine.metrics.watch import CampaignView, View

__all__ = ["Child", "DemoState", "render"]

_BARS = "▁▂▃▄▅▆▇█"
_NO_WORKERS = ("market", "dashboard")  # of the demo's processes
_WIDE = 104  # from here on there is room for more columns
_WORKER_FIGURES = {  # and from which width on
    "partitions": 44,
    "rounds": 74,
    "decisions": _WIDE,
    "samples": 80,
    "lag": 62,
    "round": 68,
    "heartbeat": 55,
}


class Child(msgspec.Struct, frozen=True):
    """A process of the demo, as the demo itself sees it."""

    name: str
    pid: int
    exit_code: int | None  # None: it runs


class DemoState(msgspec.Struct, frozen=True, kw_only=True):
    """What the screen shows beside the engine's own state."""

    url: str
    elapsed_s: float
    interval_s: float
    seed: int
    duration_s: float | None
    children: tuple[Child, ...]
    dashboard: str = ""  # its address, where it is served
    note: str = "Ctrl-C ends the demo and reads everything back"


def render(view: View, demo: DemoState, *, width: int, height: int) -> RenderableType:
    """Return the whole screen: never more lines than `height`, whatever the terminal."""
    workers = _workers(view, demo, width)
    shown = len(workers.rows)
    # Title 1, totals 5, borders and heads 3 + 3, foot 1: the campaigns get the rest.
    room = height - 13 - shown
    parts: list[RenderableType] = [_title(view, demo, width), _totals(view, width)]
    if room >= 1 or height >= 10 + shown:
        parts.append(_panel(workers, "workers"))
    if room >= 1:
        parts.append(_panel(_campaigns(view, room, width), _campaigns_title(view, room, width)))
    parts.append(_foot(view, demo, width))
    return Group(*parts)


def _title(view: View, demo: DemoState, width: int) -> RenderableType:
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True, overflow="crop")
    line.add_column(justify="right", no_wrap=True, overflow="crop")
    left = Text.assemble((" campaign-engine ", "bold white on dark_cyan"), "  ", _elapsed(demo))
    address = f"dashboard {demo.dashboard}" if demo.dashboard else demo.url
    right = f"{address}  " if width >= 60 else ""
    line.add_row(left, Text(f"{right}round {demo.interval_s:g} s  seed {demo.seed} ", style="dim"))
    return line


def _elapsed(demo: DemoState) -> str:
    minutes, seconds = divmod(int(demo.elapsed_s), 60)
    text = f"{minutes:02d}:{seconds:02d}"
    if demo.duration_s is not None:
        of_minutes, of_seconds = divmod(round(demo.duration_s), 60)
        text += f" / {of_minutes:02d}:{of_seconds:02d}"
    return text


def _totals(view: View, width: int) -> Panel:
    pace = view.spend_micros / view.plan_micros if view.plan_micros else None
    first = Text.assemble(
        *_figure("rounds", f"{view.rounds:,}"),
        *_figure("decisions", f"{view.decisions:,} ({view.decisions_a_second:,.0f}/s)"),
        *_figure("samples", f"{view.samples:,} ({view.samples_a_second:,.0f}/s)"),
        no_wrap=True,
        overflow="crop",
    )
    if view.delay_ms is not None and width >= _WIDE:
        text = f"{view.delay_ms[0]:.0f} ms p50, {view.delay_ms[1]:.0f} ms p99"
        first.append_text(Text.assemble(*_figure("due to published", text)))
    second = Text.assemble(
        *_figure("spend", money(view.spend_micros)),
        *_figure("of plan", f"{money(view.plan_micros)} ({percent(pace)})", _pace_style(pace)),
        no_wrap=True,
        overflow="crop",
    )
    left = f"budgets {money(view.budget_micros)} "
    bar = max(width - 4 - second.cell_len - len(left) - 2, 0)
    spent = view.spend_micros / view.budget_micros if view.budget_micros else 0.0
    planned = view.plan_micros / view.budget_micros if view.budget_micros else 0.0
    second.append(left, style="dim").append_text(_bar(spent, planned, bar))
    roas = view.roas
    third = Text.assemble(
        *_figure("conversions", f"{view.conversions:,.0f}"),
        *_figure("value", money(view.value_micros)),
        *_figure("roas", ratio(roas), _roas_style(roas)),
        ("spend/s ", "dim"),
        no_wrap=True,
        overflow="crop",
    )
    third.append(_sparkline(view.spend_history, width - 4 - third.cell_len), style="cyan")
    return _panel(Group(first, second, third), "")


def _figure(label: str, text: str, style: str = "bold") -> list[tuple[str, str]]:
    return [(f"{label} ", "dim"), (text, style), ("   ", "")]


def _workers(view: View, demo: DemoState, width: int) -> Table:
    table = _table()
    table.add_column("worker", no_wrap=True)
    table.add_column("state", no_wrap=True)
    figures = [figure for figure, from_width in _WORKER_FIGURES.items() if width >= from_width]
    for figure in figures:
        table.add_column(figure, justify="right", no_wrap=True)
    processes = {child.name: child for child in demo.children if child.name not in _NO_WORKERS}
    for name in sorted(view.workers.keys() | processes.keys()):
        worker = view.workers.get(name)
        state = _worker_state(worker, processes.get(name))
        shown = [NONE] * len(figures) if worker is None else _worker_figures(worker, figures)
        table.add_row(name, state, *shown)
    return table


def _worker_figures(worker: Heard, wanted: list[str]) -> list[Text | str]:
    beat, age = worker.beat, worker.ago_s
    heard_ago = f"{age * 1000:.0f} ms" if age < 10 else f"{age:.0f} s"
    shown: dict[str, Text | str] = {
        "partitions": str(len(beat.partitions)) if worker.is_alive else NONE,
        "rounds": f"{beat.rounds:,}",
        "decisions": f"{beat.decisions:,}",
        "samples": f"{beat.samples:,}",
        "lag": f"{beat.lag_frames:,}" if worker.is_alive else NONE,
        "round": f"{beat.round_ms:.1f} ms" if worker.is_alive else NONE,
        "heartbeat": Text(heard_ago, style="" if worker.is_alive else "red"),
    }
    return [shown[figure] for figure in wanted]


def _worker_state(worker: Heard | None, child: Child | None) -> Text:
    if child is not None and child.exit_code is not None:
        how = f"signal {-child.exit_code}" if child.exit_code < 0 else f"exit {child.exit_code}"
        return Text(f"gone ({how})", style="bold red")
    if worker is None:
        return Text("starting", style="yellow")
    if not worker.is_alive:
        return Text("silent", style="bold red")
    pid = f" (pid {child.pid})" if child is not None else ""
    if worker.beat.draining:
        return Text(f"draining{pid}", style="yellow")
    return Text(f"alive{pid}", style="green")


def _campaigns_title(view: View, room: int, width: int) -> str:
    total = len(view.campaigns)
    title = f"campaigns by spend, {min(room, total)} of {total:,}"
    bound = [f"{count} {_binding(one)}" for one, count in view.bindings if one is not Binding.NONE]
    return title + (
        f"; bound by: {', '.join(bound[: 3 if width >= _WIDE else 2])}" if bound else ""
    )


def _campaigns(view: View, room: int, width: int) -> Table:
    table = _table()
    is_wide = width >= _WIDE
    table.add_column("campaign", no_wrap=True, overflow="ellipsis", ratio=1)
    if is_wide:
        table.add_column("state", no_wrap=True)
    table.add_column("spend", justify="right", no_wrap=True)
    table.add_column("of plan", justify="right", no_wrap=True)
    table.add_column("best", no_wrap=True)
    table.add_column("bid", justify="right", no_wrap=True)
    if is_wide:
        table.add_column("cpc", justify="right", no_wrap=True)
        table.add_column("cvr", justify="right", no_wrap=True)
        table.add_column("roi/click", justify="right", no_wrap=True)
    table.add_column("roas", justify="right", no_wrap=True)
    if is_wide:
        table.add_column("confidence", justify="right", no_wrap=True)
    table.add_column("bound by", no_wrap=True)
    for one in view.campaigns[:room]:
        table.add_row(*_campaign_row(one, is_wide=is_wide))
    return table


def _campaign_row(one: CampaignView, *, is_wide: bool) -> list[Text | str]:
    decision, definition = one.decision, one.campaign.definition
    best = _best(one)
    pace = one.spend_micros / one.plan_micros if one.plan_micros else None
    state = one.campaign.state
    row: list[Text | str] = [definition.id]
    if is_wide:
        row.append(Text(state.value, style=_STATE_STYLES.get(state, "")))
    row += [
        money(one.spend_micros),
        Text.assemble(_bar(min(pace or 0.0, 1.0), 0.0, 5), f" {percent(pace):>5}"),
        best.platform if best else NONE,
        price(best.bid_micros) if best and best.bid_micros else NONE,
    ]
    if is_wide:
        row += [
            price(best.cpc_micros) if best else NONE,
            share(best.cvr) if best else NONE,
            _roi(best),
        ]
    row.append(Text(ratio(one.roas), style=_roas_style(one.roas)))
    if is_wide:
        row.append(f"{best.confidence:.2f}" if best else NONE)
    if state is not State.ACTIVE and not is_wide:
        row.append(Text(state.value, style=_STATE_STYLES.get(state, "")))
    elif decision is None:
        row.append(NONE)
    elif decision.action is Action.FALLBACK:
        row.append(Text(_binding(decision.binding), style="yellow"))
    else:
        row.append(_binding(decision.binding))
    return row


def _best(one: CampaignView) -> PlatformDecision | None:
    if one.decision is None:
        return None
    for platform in one.decision.platforms:
        if platform.platform == one.decision.best_platform:
            return platform
    return None


def _roi(best: PlatformDecision | None) -> Text:
    if best is None or best.roi_micros is None:
        return Text(NONE)
    return Text(
        f"{best.roi_micros / MICROS:+.2f}", style="green" if best.roi_micros >= 0 else "red"
    )


def _foot(view: View, demo: DemoState, width: int) -> Text:
    gone = [child.name for child in demo.children if child.exit_code is not None]
    note = Text(f" {demo.note}", style="dim", no_wrap=True, overflow="crop")
    if not view.is_connected:
        note = Text(" nats-server does not answer; it is started again", style="bold red")
    elif gone:
        names = ", ".join(gone)
        note = Text(f" {names} ended; the others go on. {demo.note}", style="yellow", no_wrap=True)
    note.truncate(width, overflow="ellipsis")
    return note


def _table() -> Table:
    return Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)


def _panel(content: RenderableType, title: str) -> Panel:
    return Panel(content, title=title or None, title_align="left", box=box.ROUNDED,
                 border_style="grey37", padding=(0, 1))  # fmt: skip


def _bar(share: float, mark: float, width: int) -> Text:
    """Return a bar of `width` cells filled to `share`, with a mark at another share."""
    if width <= 0:
        return Text("")
    filled = min(round(share * width), width)
    text = Text("━" * filled, style="green")
    text.append("━" * (width - filled), style="grey30")
    place = round(mark * width)
    if 0 < place <= width:
        text.stylize("bold yellow", place - 1, place)
    return text


def _sparkline(values: Sequence[int], width: int) -> str:
    newest = list(values[-max(width, 0) :]) if width > 0 else []
    top = max(newest, default=0)
    if not top:
        return ""
    return "".join(_BARS[min(value * len(_BARS) // (top + 1), len(_BARS) - 1)] for value in newest)


def _roas_style(roas: float | None) -> str:
    return "dim" if roas is None else "bold green" if roas >= 1.0 else "red"


def _pace_style(pace: float | None) -> str:
    return "bold green" if pace is not None and 0.8 <= pace <= 1.1 else "bold yellow"


def _binding(binding: Binding) -> str:
    return NONE if binding is Binding.NONE else binding.name.lower().replace("_", " ")


_STATE_STYLES = {
    State.ACTIVE: "green",
    State.SCHEDULED: "cyan",
    State.COMPLETED: "dim",
    State.EXHAUSTED: "magenta",
    State.PAUSED: "yellow",
}
