"""The picture of `engine top`: a pure function of the fleet's board and of how it is looked at."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.cli.demo_text import NONE, percent, price, share
from engine.cli.top_keys import HELP, PAGES, Looking
from engine.cli.top_rows import (
    CampaignLine,
    Filter,
    PlatformLine,
    Sort,
    WorkerLine,
    campaign_lines,
    platform_lines,
    worker_lines,
)
from engine.domain.ids import PARTITIONS
from engine.domain.money import MICROS
from engine.metrics.board import Board

__all__ = [
    "AROUND",
    "CAMPAIGN_COLUMNS",
    "PLATFORM_COLUMNS",
    "WORKER_COLUMNS",
    "campaign_cells",
    "platform_cells",
    "render",
    "worker_cells",
]

AROUND = 5  # lines that are not rows: title, figures, heads of columns, foot, and one to spare

CAMPAIGN_COLUMNS = (
    ("campaign", "left", 0),
    ("state", "left", 80),
    ("spent", "right", 0),
    ("of plan", "right", 0),
    ("budget", "right", 100),
    ("best", "left", 52),
    ("bid", "right", 45),
    ("cpc", "right", 110),
    ("cvr", "right", 110),
    ("roi", "right", 60),
    ("conf", "right", 100),
    ("bound by", "left", 70),
    ("ago", "right", 120),
)
"""Heads, where cells stand, and from which width of the terminal on there is room for them."""

WORKER_COLUMNS = (
    ("worker", "left", 0),
    ("state", "left", 0),
    ("partitions", "right", 0),
    ("rounds", "right", 60),
    ("decisions", "right", 90),
    ("samples", "right", 90),
    ("lag", "right", 50),
    ("round", "right", 66),
    ("late", "right", 72),
    ("skipped", "right", 100),
    ("version", "left", 110),
    ("heard", "right", 0),
)
PLATFORM_COLUMNS = (
    ("platform", "left", 0),
    ("campaigns", "right", 0),
    ("bidding", "right", 0),
    ("losing", "right", 40),
    ("ad account", "left", 64),
    ("mode", "left", 70),
    ("breaker", "left", 48),
    ("quota left", "right", 78),
    ("waiting", "right", 90),
    ("held back", "right", 90),
)
_Columns = Sequence[tuple[str, str, int]]
_NAME = 12  # characters of whose line it is, whatever else there is no room for


def render(
    board: Board,
    looking: Looking,
    chosen: Filter,
    *,
    width: int,
    height: int,
    now: float,
    is_connected: bool,
    where: str,
) -> tuple[RenderableType, int]:
    """Return the screen, never more lines than `height`, and how many rows the page has."""
    room = max(height - AROUND, 1)
    table, rows = _page(board, looking, chosen, width=width, room=room, now=now)
    body: RenderableType = _help() if looking.is_helping else table
    parts = [
        _title(looking, where, width, is_connected=is_connected),
        _figures(board, width),
        body,
        _foot(looking, rows, room, width),
    ]
    return Group(*parts), rows


def _page(
    board: Board, looking: Looking, chosen: Filter, *, width: int, room: int, now: float
) -> tuple[RenderableType, int]:
    first = looking.first
    if looking.page == "workers":
        workers = worker_lines(board)
        cells = [worker_cells(one) for one in workers[first : first + room]]
        if not workers:
            return Text("no worker is heard (engine worker)", style="yellow"), 0
        return _table(WORKER_COLUMNS, cells, width), len(workers)
    if looking.page == "platforms":
        platforms = platform_lines(board)
        cells = [platform_cells(one) for one in platforms[first : first + room]]
        if not platforms:
            return Text("no platform is named by an active campaign", style="yellow"), 0
        return _table(PLATFORM_COLUMNS, cells, width), len(platforms)
    names = list(chosen.names(board, now))
    lines = campaign_lines(
        board,
        names,
        sort=looking.sort,
        ascending=looking.is_ascending,
        first=min(first, max(len(names) - 1, 0)),
        count=room,
        now=now,
    )
    if not names:
        words = "no campaign fits the filter" if looking.filter else "no campaigns (engine publish)"
        return Text(words, style="yellow"), 0
    heads = _marked(CAMPAIGN_COLUMNS, looking)
    return _table(heads, [campaign_cells(one) for one in lines], width), len(names)


def campaign_cells(one: CampaignLine) -> list[str]:
    """Return a campaign's cells, in the order of CAMPAIGN_COLUMNS."""
    roi = NONE if one.roi_micros is None else f"{one.roi_micros / MICROS:+.2f}"
    return [
        one.campaign,
        one.state,
        NONE if one.spent_micros is None else f"{one.spent_micros / MICROS:,.2f} {one.currency}",
        percent(one.pace),
        f"{one.budget_micros / MICROS:,.2f}",
        one.best or NONE,
        price(one.bid_micros) if one.bid_micros else NONE,
        price(one.cpc_micros),
        share(one.cvr),
        roi,
        NONE if one.confidence is None else f"{one.confidence:.2f}",
        one.bound_by or ("hold" if one.action == "hold" else NONE),
        _ago(one.decided_ago_s),
    ]


def worker_cells(one: WorkerLine) -> list[str]:
    """Return a worker's cells, in the order of WORKER_COLUMNS."""
    return [
        one.worker,
        one.state,
        f"{one.partitions}",
        f"{one.rounds:,}",
        f"{one.decisions:,}",
        f"{one.samples:,}",
        f"{one.lag_frames:,}",
        f"{one.round_ms:.1f} ms",
        f"{one.late_rounds:,}",
        f"{one.skipped_rounds:,}",
        one.version or NONE,
        _ago(one.heard_ago_s),
    ]


def platform_cells(one: PlatformLine) -> list[str]:
    """Return a platform's cells, in the order of PLATFORM_COLUMNS."""
    mode = NONE if one.ad_account is None else "live" if one.is_live else "dry run"
    quota = NONE
    if one.operations_left is not None:
        of_all = "" if one.operations_a_day is None else f" of {one.operations_a_day:,}"
        quota = f"{one.operations_left:,}{of_all}"
    is_heard = one.ad_account is not None
    return [
        one.platform,
        f"{one.campaigns:,}",
        f"{one.bidding:,}",
        f"{one.losing:,}",
        one.ad_account or "no gateway heard",
        mode,
        one.breaker or NONE,
        quota,
        f"{one.waiting:,}" if is_heard else NONE,
        f"{one.held_back:,}" if is_heard else NONE,
    ]


def _title(looking: Looking, where: str, width: int, *, is_connected: bool) -> RenderableType:
    line = Text(" engine top ", style="bold white on dark_cyan", no_wrap=True, overflow="crop")
    line.append("  ")
    for number, page in enumerate(PAGES, 1):
        style = "bold underline" if page == looking.page else "dim"
        line.append(f"{number} {page}", style=style).append("  ")
    right = where if is_connected else "the broker is away"
    if looking.is_held:
        right = f"held  {right}"
    gap = width - line.cell_len - len(right) - 1
    if gap > 0:
        line.append(" " * gap)
        line.append(right, style="dim" if is_connected else "bold red")
    line.truncate(width)
    return line


def _figures(board: Board, width: int) -> Text:
    workers = board.workers()
    alive = sum(one.is_alive for one in workers.values())
    lag = sum(one.beat.lag_frames for one in workers.values() if one.is_alive)
    states: dict[str, int] = {}
    for campaign in board.campaigns.values():
        states[campaign.state.value] = states.get(campaign.state.value, 0) + 1
    parts = [
        f"{alive} workers",
        f"{len(board.held())} of {PARTITIONS} partitions",
        f"lag {lag:,}",
        *(f"{count:,} {state}" for state, count in sorted(states.items())),
    ]
    line = Text("  ".join(parts), no_wrap=True, overflow="crop")
    halted = sum(one.is_halted for one in board.halted.values())
    if halted:
        line = Text.assemble((f"HALTED in {halted} partitions  ", "bold red"), line)
    line.truncate(width)
    return line


def _marked(columns: _Columns, looking: Looking) -> _Columns:
    """Return the columns with an arrow at the one that rows are sorted by."""
    wanted, arrow = _SORTED_BY[looking.sort], "↑" if looking.is_ascending else "↓"
    return [
        (f"{name} {arrow}" if name == wanted else name, side, width)
        for name, side, width in columns
    ]


_SORTED_BY: dict[Sort, str] = {
    "spent": "spent",
    "pace": "of plan",
    "left": "budget",
    "bid": "bid",
    "roi": "roi",
    "confidence": "conf",
    "decided": "ago",
    "state": "state",
    "id": "campaign",
}


def _table(columns: _Columns, rows: Sequence[list[str]], width: int) -> Table:
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    shown = [i for i, (_, _, from_width) in enumerate(columns) if width >= from_width]
    for i in shown:
        name, side, _ = columns[i]
        table.add_column(
            name,
            justify="right" if side == "right" else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if i == 0 else None,
            min_width=_NAME if i == 0 else None,
        )
    for row in rows:
        table.add_row(*(Text(row[i], style=_style(columns[i][0], row[i])) for i in shown))
    return table


def _style(column: str, cell: str) -> str:
    if column.startswith("roi") and cell != NONE:
        return "red" if cell.startswith("-") else "green"
    return _STYLES.get(cell, "")


_STYLES = {
    "active": "green",
    "alive": "green",
    "silent": "bold red",
    "draining": "yellow",
    "paused": "yellow",
    "exhausted": "magenta",
    "completed": "dim",
    "stopped": "dim",
    "open": "bold red",
    "half-open": "yellow",
    "live": "green",
    "halted": "bold red",
    "no gateway heard": "dim",
}


def _help() -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for keys, text in HELP:
        table.add_row(keys, text)
    return table


def _foot(looking: Looking, rows: int, room: int, width: int) -> Text:
    if looking.typing is not None:
        line = Text(f"/{looking.typing}▏", style="bold", no_wrap=True)
        if looking.error:
            line.append(f"  {looking.error}", style="red")
    else:
        last = min(looking.first + room, rows)
        place = f"{looking.first + 1:,}-{last:,} of {rows:,}" if rows else "nothing"
        chosen = f"  filter {looking.filter}" if looking.filter else ""
        line = Text(f"{place}{chosen}  ? help  q leave", style="dim", no_wrap=True)
    line.truncate(width, overflow="ellipsis")
    return line


def _ago(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36_000 else f"{seconds / 3600:.0f} h"
