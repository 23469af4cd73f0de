"""One rendering a beat for all who look at a view, and what a viewer is sent."""

import asyncio
from typing import Any

import msgspec
import pytest

from engine.dashboard.hub import Hub, Rendered, TooManyViewersError, View
from support.clock import ManualClock


class Pages:
    """A page of three rows that a test changes, counting how often it is rendered."""

    def __init__(self) -> None:
        self.rows = [["a", 1], ["b", 2], ["c", 3]]
        self.total = 3
        self.rendered = 0

    def render(self, view: View) -> Rendered:
        self.rendered += 1
        return Rendered({"total": self.total}, [list(row) for row in self.rows])


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hub(pages: Pages, clock: ManualClock) -> Hub:
    return Hub(render=pages.render, summary=lambda: {"at": 1}, clock=clock, most_viewers=3)


async def beating(hub: Hub, clock: ManualClock) -> Any:  # noqa: ANN401
    task = asyncio.get_running_loop().create_task(hub.run(lambda: None))
    await clock.advance(0.0)
    return task


def read(message: bytes) -> Any:  # noqa: ANN401
    return msgspec.json.decode(message)


async def test_the_first_message_is_all_and_the_next_what_changed(
    hub: Hub, pages: Pages, clock: ManualClock
) -> None:
    task = await beating(hub, clock)
    messages = hub.watch("view")
    first = read(await anext(messages))
    assert first["full"]
    assert first["page"] == {"total": 3, "rows": pages.rows}
    pages.rows[1] = ["b", 9]
    await clock.advance(1.0)
    second = read(await anext(messages))
    assert not second["full"]
    assert second["page"] == {"changed": {"1": ["b", 9]}}
    task.cancel()


async def test_another_number_of_rows_is_sent_whole(
    hub: Hub, pages: Pages, clock: ManualClock
) -> None:
    task = await beating(hub, clock)
    messages = hub.watch("view")
    await anext(messages)
    pages.rows.append(["d", 4])
    await clock.advance(1.0)
    assert read(await anext(messages))["page"]["rows"][-1] == ["d", 4]
    task.cancel()


async def test_a_view_is_rendered_once_a_beat_however_many_look(
    hub: Hub, pages: Pages, clock: ManualClock
) -> None:
    task = await beating(hub, clock)
    viewers = [hub.watch("view") for _ in range(3)]
    firsts = [await anext(one) for one in viewers]
    assert pages.rendered == 1
    assert len(set(firsts)) == 1
    await clock.advance(1.0)
    assert len({await anext(one) for one in viewers}) == 1
    assert pages.rendered == 2
    task.cancel()


async def test_a_viewer_that_missed_a_beat_is_sent_everything(
    hub: Hub, pages: Pages, clock: ManualClock
) -> None:
    task = await beating(hub, clock)
    slow = hub.watch("view")
    await anext(slow)
    for number in range(2):
        pages.rows[0] = ["a", 100 + number]
        await clock.advance(1.0)
    late = read(await anext(slow))
    assert late["full"]
    assert late["page"]["rows"][0] == ["a", 101]
    task.cancel()


async def test_nothing_is_rendered_for_a_view_that_nobody_looks_at(
    hub: Hub, pages: Pages, clock: ManualClock
) -> None:
    task = await beating(hub, clock)
    messages = hub.watch("view")
    await anext(messages)
    await messages.aclose()  # type: ignore[attr-defined]  # a generator
    assert hub.viewers == 0
    await clock.advance(5.0)
    assert pages.rendered == 1
    task.cancel()


async def test_more_viewers_than_there_may_be_are_refused(hub: Hub) -> None:
    viewers = [hub.watch(f"view {n}") for n in range(3)]
    for one in viewers:
        await anext(one)
    with pytest.raises(TooManyViewersError, match="at most 3"):
        await anext(hub.watch("another"))
    await viewers[0].aclose()  # type: ignore[attr-defined]  # a generator
    await anext(hub.watch("another"))


async def test_closing_ends_every_stream(hub: Hub) -> None:
    messages = hub.watch("view")
    await anext(messages)
    hub.close()
    with pytest.raises(StopAsyncIteration):
        await anext(messages)
    assert hub.viewers == 0


async def test_once_is_the_beat_of_those_who_watch(hub: Hub, pages: Pages) -> None:
    messages = hub.watch("view")
    assert await anext(messages) == hub.once("view")
    assert pages.rendered == 1
