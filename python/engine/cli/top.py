"""`engine top`: campaigns, workers and platforms as they are now, in the terminal."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec
from cyclopts import Parameter

from engine.cli.arguments import Whole
from engine.cli.output import as_json, complain, say
from engine.cli.session import AsJson, Nats, Session, run
from engine.cli.top_keys import Looking, Page, keys_of, pressed
from engine.cli.top_rows import (
    Sort,
    campaign_lines,
    filter_of,
    platform_lines,
    worker_lines,
)
from engine.cli.top_view import (
    AROUND,
    CAMPAIGN_COLUMNS,
    PLATFORM_COLUMNS,
    WORKER_COLUMNS,
    campaign_cells,
    platform_cells,
    render,
    worker_cells,
)
from engine.errors import ConfigError
from engine.messaging.credentials import masked
from engine.metrics.board import Board
from engine.reports.facts import parse
from engine.wiring import DEFAULT_NATS

__all__ = ["command"]

DONE = 0
LISTEN_S = 0.45  # every worker alive is heard
GATEWAYS_S = 1.2


def command(
    page: Page = "campaigns",
    /,
    *,
    where: Annotated[str | None, Parameter(name="--where")] = None,
    sort: Sort = "spent",
    ascending: Annotated[bool, Parameter(negative="")] = False,
    limit: Annotated[Whole, Parameter(name=["--limit", "-n"])] = 50,
    every: float = 1.0,
    json: AsJson = False,
    nats: Nats = None,
) -> int:
    """Watch campaigns, workers and platforms: filter, sort, scroll; ? shows the keys, q leaves.

    Where stdout is no terminal, the page is printed once, as a table or with --json.

    Parameters
    ----------
    page
        campaigns, workers or platforms.
    where
        Only campaigns that an expression fits: 'platform=meta and roi<0' (docs/steering.md).
    sort
        What campaigns are sorted by.
    ascending
        The least first.
    limit
        How many rows are printed once.
    every
        Seconds between two pictures.
    """
    if limit < 1:
        raise ConfigError(f"--limit: 1 or more, found {limit}")
    if not 0.1 <= every <= 60:
        raise ConfigError(f"--every: seconds from 0.1 to 60, found {every:g}")
    if where is not None:
        parse(where)  # before there is a connection
    looking = Looking(page=page, sort=sort, is_ascending=ascending, filter=where or "")

    async def work(session: Session) -> int:
        board = Board(broker=session.broker, clock=session.clock)
        async with board.following():
            if json or not sys.stdout.isatty() or not sys.stdin.isatty():
                await _once(session, board, looking, limit=limit, json=json)
            else:
                shown = masked(nats or os.environ.get("ENGINE_NATS") or DEFAULT_NATS)
                await _watch(session, board, looking, every=every, where=shown)
        return DONE

    return run(work, nats=nats)


async def _once(
    session: Session, board: Board, looking: Looking, *, limit: int, json: bool
) -> None:
    if looking.page != "campaigns":
        await session.clock.sleep(GATEWAYS_S if looking.page == "platforms" else LISTEN_S)
    now = session.clock.now()
    if looking.page == "workers":
        workers = worker_lines(board)
        _print(
            workers[:limit], [worker_cells(one) for one in workers[:limit]], WORKER_COLUMNS, json
        )
        return
    if looking.page == "platforms":
        platforms = platform_lines(board)[:limit]
        _print(platforms, [platform_cells(one) for one in platforms], PLATFORM_COLUMNS, json)
        return
    names = list(filter_of(looking.filter).names(board, now))
    lines = campaign_lines(
        board,
        names,
        sort=looking.sort,
        ascending=looking.is_ascending,
        first=0,
        count=limit,
        now=now,
    )
    _print(lines, [campaign_cells(one) for one in lines], CAMPAIGN_COLUMNS, json)
    if not json and len(names) > len(lines):
        complain(f"{len(lines):,} of {len(names):,} campaigns; --limit N shows more")


def _print(
    lines: object,
    cells: list[list[str]],
    columns: tuple[tuple[str, str, int], ...],
    json: bool,
) -> None:
    if json:
        as_json(lines)
        return
    heads = [name for name, _, _ in columns]
    rows = [heads, *cells]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        parts = [
            cell.rjust(width) if side == "right" else cell.ljust(width)
            for cell, width, (_, side, _) in zip(row, widths, columns, strict=True)
        ]
        say("  ".join(parts).rstrip())


async def _watch(
    session: Session, board: Board, looking: Looking, *, every: float, where: str
) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    typed: asyncio.Queue[str] = asyncio.Queue()
    chosen = filter_of(looking.filter)
    rows = 0
    with _raw_keys(typed), Live(console=console, screen=True, auto_refresh=False) as live:
        while not looking.has_left:
            size = console.size
            if not looking.is_held:
                picture, rows = render(
                    board,
                    looking,
                    chosen,
                    width=size.width,
                    height=size.height,
                    now=session.clock.now(),
                    is_connected=session.broker.is_connected,
                    where=where,
                )
                live.update(picture, refresh=True)
            for key in keys_of(await _typed_within(typed, every)):
                before, was_held = looking.filter, looking.is_held
                room = max(size.height - AROUND, 1)
                looking = pressed(looking, key, rows=rows, height=room)
                if was_held and looking.is_held:  # whoever goes on looking wants to see it
                    looking = msgspec.structs.replace(looking, is_held=False)
                if looking.filter != before:
                    chosen = filter_of(looking.filter)


async def _typed_within(typed: "asyncio.Queue[str]", seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            return await typed.get()
    except TimeoutError:
        return ""


@contextmanager
def _raw_keys(typed: "asyncio.Queue[str]") -> Iterator[None]:
    """Have each key as it is pressed, and the terminal as it was afterwards."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()
    tty.setcbreak(descriptor)
    loop.add_reader(
        descriptor, lambda: typed.put_nowait(os.read(descriptor, 256).decode(errors="replace"))
    )
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
