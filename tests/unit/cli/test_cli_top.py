"""`engine top`: what keys do, what is shown, and that it never overflows the screen."""

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from engine.cli.top_keys import HELP, Looking, keys_of, pressed
from engine.cli.top_rows import SORTS, campaign_lines, filter_of, platform_lines
from engine.cli.top_view import render
from engine.clock import SystemClock
from engine.domain.decision import Action, Binding
from engine.messaging.gateway_status import AccountStatus, GatewayStatus, encode_gateway_status
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.records import Heartbeat, encode
from engine.metrics.board import Board
from support.chain import decided, put
from support.terminal import at_work

if TYPE_CHECKING:
    from .conftest import Engine

NOW = time.time()


def test_keys_change_how_it_is_looked_at() -> None:
    looking = Looking()

    def press(keys: str) -> Looking:
        nonlocal looking
        for key in keys_of(keys):
            looking = pressed(looking, key, rows=100, height=20)
        return looking

    assert press("2").page == "workers"
    assert press("\t\t").page == "campaigns"
    press("jj\x1b[6~")
    assert looking.first == 21
    press("G")
    assert looking.first == 80
    press("k\x1b[5~g")
    assert looking.first == 0
    press("sr")
    assert (looking.sort, looking.is_ascending) == (SORTS[1], True)
    press("S")
    assert looking.sort == SORTS[0]
    press("/spring\x7f\r")
    assert (looking.filter, looking.typing) == ("sprin", None)
    press("/\x15rio<0\r")
    assert looking.typing == "rio<0"
    assert "did you mean roi?" in looking.error
    press("\x15roi<0\r")
    assert (looking.filter, looking.error) == ("roi<0", "")
    press("\x1b")
    assert looking.filter == ""
    press("?")
    assert looking.is_helping
    press("q")
    assert not looking.is_helping
    assert not looking.has_left
    press("p")
    assert looking.is_held
    press("q")
    assert looking.has_left


def test_a_sequence_that_is_not_known_is_skipped_whole() -> None:
    assert keys_of("\x1b[15~q\x1b[200~j") == ["q", "j"]


@given(st.text(max_size=30), st.integers(0, 50), st.integers(1, 30))
def test_whatever_is_pressed_the_place_stays_within_the_rows(
    keys: str, rows: int, height: int
) -> None:
    looking = Looking()
    for key in keys_of(keys):
        looking = pressed(looking, key, rows=rows, height=height)
        assert 0 <= looking.first <= max(rows - height, 0)


async def board_of(count: int) -> Board:
    broker = MemoryBroker(server=MemoryServer(), name="test")
    for n in range(count):
        name = f"c-{n:03d}"
        await put(broker, at_work(name))
        if n % 5:
            binding = Binding.PACING if n % 2 else Binding.NONE
            bids = {"google": {"roi_micros": n * 10_000.0}, "meta": {"roi_micros": -50_000.0}}
            await decided(broker, name, bids, at=NOW, binding=binding, settled_micros=n * 1_000_000)
    board = Board(broker=broker, clock=SystemClock())
    beat = Heartbeat(worker="w1", version="1", started_at=NOW, at=NOW, partitions=[1, 2])
    account = AccountStatus(platform="meta", ad_account="77", is_live=False, operations_left=9)
    status = GatewayStatus(gateway="g", version="1", started_at=NOW, at=NOW, accounts=[account])
    async with board.following():
        await broker.heartbeats.beat("w1", encode(beat))
        await broker.gateways.beat("g", encode_gateway_status(status))
        await asyncio.sleep(0)
    return board


def drawn(board: Board, looking: Looking, *, width: int, height: int) -> list[str]:
    picture, _ = render(
        board,
        looking,
        filter_of(looking.filter),
        width=width,
        height=height,
        now=NOW,
        is_connected=False,
        where="nats://somewhere:4222",
    )
    console = Console(width=width, height=height, record=True, force_terminal=False)
    with console.capture() as captured:
        console.print(picture)
    return captured.get().rstrip("\n").split("\n")


@pytest.mark.parametrize("page", ["campaigns", "workers", "platforms"])
@pytest.mark.parametrize(("width", "height"), [(40, 8), (80, 24), (132, 50), (20, 5)])
async def test_the_picture_fits_the_screen(page: str, width: int, height: int) -> None:
    board = await board_of(60)
    for looking in (
        Looking(page=page),  # type: ignore[arg-type]
        Looking(typing="roi <", error="an amount to compare with, found the end, and so on"),
        Looking(first=40, filter="c-"),
    ):
        lines = drawn(board, looking, width=width, height=height)
        assert len(lines) <= height
        assert all(len(line) <= width for line in lines)


@pytest.mark.parametrize(
    ("page", "name"), [("campaigns", "c-0"), ("workers", "w1"), ("platforms", "google")]
)
@pytest.mark.parametrize("width", [40, 50, 60, 70, 80])
async def test_a_narrow_screen_leaves_figures_out_and_not_whose_they_are(
    page: str, name: str, width: int
) -> None:
    lines = drawn(await board_of(60), Looking(page=page), width=width, height=10)  # type: ignore[arg-type]
    assert lines[3].startswith(name)
    assert not any("…" in line for line in lines[2:4])


def test_the_help_names_keys_that_do_something() -> None:
    assert all(keys and text for keys, text in HELP)


async def test_rows_are_sorted_and_what_is_not_known_comes_last() -> None:
    board = await board_of(20)

    def first(sort: str, *, ascending: bool = False) -> list[str]:
        lines = campaign_lines(
            board,
            board.campaigns,
            sort=sort,  # type: ignore[arg-type]
            ascending=ascending,
            first=0,
            count=20,
            now=NOW,
        )
        return [line.campaign for line in lines]

    assert first("roi")[:2] == ["c-019", "c-018"]
    assert set(first("roi")[-4:]) == {"c-000", "c-005", "c-010", "c-015"}
    assert first("id")[:2] == ["c-000", "c-001"]
    assert first("spent")[0] == "c-019"
    assert first("bid")[0] == "c-019"  # all the same: the last by name


async def test_a_filter_follows_the_news() -> None:
    broker = MemoryBroker(server=MemoryServer(), name="test")
    await put(broker, at_work("losing"), at_work("winning"))
    board = Board(broker=broker, clock=SystemClock())
    chosen = filter_of("platform=meta and roi<0")
    async with board.following():
        assert set(chosen.names(board, NOW)) == set()
        await decided(broker, "losing", {"meta": {"roi_micros": -1.0}}, at=NOW)
        await decided(broker, "winning", {"meta": {"roi_micros": 1.0}}, at=NOW)
        await board.read()
        assert set(chosen.names(board, NOW)) == {"losing"}
        assert set(filter_of("WINN").names(board, NOW)) == {"winning"}


async def test_platforms_show_what_their_gateway_says() -> None:
    board = await board_of(6)
    google, meta = platform_lines(board)
    assert (google.platform, google.campaigns, google.losing, google.ad_account) == (
        *("google", 6, 0),
        None,
    )
    assert (meta.bidding, meta.losing, meta.ad_account, meta.operations_left) == (4, 4, "77", 9)


def test_it_prints_once_where_there_is_no_terminal(engine: "Engine") -> None:
    async def work(broker: object) -> None:
        assert isinstance(broker, MemoryBroker)
        await put(broker, at_work("spring-shoes"))
        bids = {"google": {}, "meta": {"roi_micros": -100_000.0}}
        await decided(broker, "spring-shoes", bids, at=NOW, action=Action.BID)

    engine.with_broker(work)
    code, out, err = engine("top")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split()[:2] == ["spring-shoes", "active"]
    assert engine("top", "--where", "roi > 5").out.count("\n") == 1  # the heads
    assert engine("top", "--where", "rio > 5").code == 2
    assert engine("top", "--sort", "spnt").code == 2
    assert engine("top", "workers").out.count("\n") == 1
