"""A dashboard over a broker in memory, and a small fleet for it to show."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec

from engine.clock import Clock, SystemClock
from engine.dashboard.service import DashboardService, listen
from engine.dashboard.steering import Steering
from engine.domain.campaign import Campaign
from engine.domain.codec import encode_campaign
from engine.domain.decision import Action, Binding
from engine.domain.ids import PARTITIONS, partition_of
from engine.messaging.memory import MemoryBroker
from engine.messaging.records import Columns, Decide, Heartbeat, Take, encode
from support.waiting import wait_until

__all__ = ["TOKEN", "Answer", "Fleet", "ask", "decide", "serving"]

TOKEN = "a-token-of-many-letters"


class Fleet:
    """Writes what a fleet would: entries, chains, heartbeats."""

    def __init__(self, broker: MemoryBroker, clock: Clock | None = None) -> None:
        self.broker = broker
        self.clock = clock or SystemClock()
        self.sequences: dict[int, int] = {}
        self.rounds: dict[int, int] = {}

    async def publish(self, *campaigns: Campaign) -> None:
        """Put campaigns in the table, over what is there."""
        for one in campaigns:
            name = one.definition.id
            before = await self.broker.campaigns.get(name)
            revision = 0 if before is None else before.sequence
            await self.broker.campaigns.put(name, encode_campaign(one), expected=revision)

    async def take(self, *, owner: str = "worker-1") -> None:
        """Let a worker take all partitions."""
        for partition in range(PARTITIONS):
            before = self.sequences.get(partition, 0)
            record = Take(
                partition=partition, previous=before, epoch=1, owner=owner, at_ms=self._now_ms(),
                round=self.rounds.get(partition, 0), metrics_sequence=0, campaigns_revision=0,
            )  # fmt: skip
            await self._append(partition, encode(record))

    async def decide(self, *rows: dict[str, Any], at: float | None = None) -> None:
        """Append a round for each campaign of `rows`; see `decide` for their fields."""
        for row in rows:
            partition = partition_of(row["campaign"])
            number = self.rounds[partition] = self.rounds.get(partition, 0) + 1
            record = decide(
                row, previous=self.sequences.get(partition, 0), round=number,
                at_ms=self._now_ms() if at is None else round(at * 1000),
            )  # fmt: skip
            await self._append(partition, encode(record))

    async def beat(self, worker: str = "worker-1", **fields: Any) -> None:  # noqa: ANN401
        """Let a worker say that it is alive, with half of the partitions."""
        now = self.clock.now()
        wanted: dict[str, Any] = {"version": "1.0", "partitions": list(range(32))} | fields
        beat = Heartbeat(worker=worker, started_at=now - 60, at=now, **wanted)
        await self.broker.heartbeats.beat(worker, encode(beat))

    async def _append(self, partition: int, payload: bytes) -> None:
        self.sequences[partition] = await self.broker.chain.append(
            partition, payload, expected=self.sequences.get(partition, 0)
        )

    def _now_ms(self) -> int:
        return round(self.clock.now() * 1000)


def decide(*rows: dict[str, Any], **fields: Any) -> Decide:  # noqa: ANN401
    """Return a record of campaigns, all of one partition.

    A row has a `campaign`, and where it differs: action, binding, best, pacing, settled, reserved,
    and `bids`: (bid, roi, confidence) by platform, micros.
    """
    platforms = sorted({name for row in rows for name in row.get("bids", _BIDS)})
    columns: dict[str, list[Any]] = {name: [] for name in Columns.__struct_fields__}
    for row in rows:
        bids: dict[str, tuple[int, float | None, float]] = row.get("bids", _BIDS)
        best = row.get("best", max(bids, key=lambda name: bids[name][1] or 0.0) if bids else None)
        whole = {
            "campaign": row["campaign"],
            "action": row.get("action", Action.BID),
            "binding": row.get("binding", Binding.PACING),
            "best": -1 if best is None else platforms.index(best),
            "pacing_multiplier": row.get("pacing", 0.9),
            "settled_micros": row.get("settled", 12_000_000),
            "reserved_micros": row.get("reserved", 1_000_000),
            "series_count": len(bids),
        }
        for name, value in whole.items():
            columns[name].append(value)
        for platform, (bid, roi, confidence) in bids.items():
            series = {
                "platform": platforms.index(platform), "bid_micros": bid, "cap_micros": bid * 20,
                "cpc_micros": None if roi is None else bid * 0.8,
                "cvr": None if roi is None else 0.04, "roi_micros": roi, "confidence": confidence,
                "bound_by": row.get("binding", 0),
            }  # fmt: skip
            for name, value in series.items():
                columns[name].append(value)
    partition = partition_of(rows[0]["campaign"])
    base: dict[str, Any] = {
        "partition": partition, "previous": 0, "epoch": 1, "owner": "worker-1", "round": 1,
        "at_ms": 1_700_000_000_000, "metrics_sequence": 1, "campaigns_revision": 1,
        "decided": len(rows), "settled_micros": 0, "reserved_micros": 0, "platforms": platforms,
    }  # fmt: skip
    return Decide(changed=Columns(**columns), **(base | fields))


_BIDS = {"google": (500_000, 250_000.0, 0.6), "meta": (300_000, -20_000.0, 0.4)}


@asynccontextmanager
async def serving(
    broker: MemoryBroker, *, steering: Steering | None = None, **fields: Any  # noqa: ANN401
) -> AsyncIterator[tuple[DashboardService, int]]:  # fmt: skip
    """Run a dashboard on a port that is free; yields it and the port."""
    sock = listen("127.0.0.1", 0, has_token=True)
    wanted: dict[str, Any] = {"token": TOKEN, "every_s": 0.1, "version": "9.9", "place": "memory"}
    service = DashboardService(
        broker=broker, clock=SystemClock(), sock=sock, steering=steering, **(wanted | fields)
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(service.run())
        try:
            await wait_until(
                lambda: service.is_serving and service.live.is_caught_up, within_s=20,
                what="a dashboard that serves",
            )  # fmt: skip
            yield service, sock.getsockname()[1]
        finally:
            service.stop()
            await running
            sock.close()


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401
        """Return the body as JSON; refuses NaN, as a browser does."""
        return msgspec.json.decode(self.body)


async def ask(
    port: int,
    path: str,
    *,
    method: str = "GET",
    body: object = None,
    headers: dict[str, str] | None = None,
    without: Sequence[str] = (),
) -> Answer:
    """Ask the dashboard as its own page would; `headers` and `without` change what is sent."""
    sent = {"host": f"127.0.0.1:{port}", "connection": "close"}
    content = b""
    if method == "POST":
        content = msgspec.json.encode(body)
        sent |= {
            "origin": f"http://127.0.0.1:{port}", "content-type": "application/json",
            "authorization": f"Bearer {TOKEN}", "content-length": str(len(content)),
        }  # fmt: skip
    sent = {name: value for name, value in (sent | (headers or {})).items() if name not in without}
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + content)
    async with asyncio.timeout(20):
        found = await reader.read()
    writer.close()
    head, _, answer = found.partition(b"\r\n\r\n")
    status, *rest = head.decode("latin-1").split("\r\n")
    answered = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in rest}
    if answered.get("transfer-encoding") == "chunked":
        answer = _unchunked(answer)
    return Answer(int(status.split()[1]), answered, answer)


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole, body = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return whole
