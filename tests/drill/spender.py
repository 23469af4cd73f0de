"""Platforms that obey caps, keep their own books, and report every sample once, twice or late.

Every sample's spend is a multiple of `MARK` and one micro more: what is settled then tells, modulo
`MARK`, how many samples it is the sum of.
"""

import random
from collections import defaultdict

from engine.clock import Clock
from engine.core.frames import FrameWriter
from engine.domain.ids import PARTITIONS, partition_of
from engine.domain.metrics import Sample
from engine.messaging.ports import Message
from engine.messaging.records import Decide, Keep, decode_record
from engine.simulation.outbox import Outbox, OutFrame

__all__ = ["MARK", "Spender"]

MARK = 10_000
UNIT_MICROS = 100
DOUBLED = 0.05  # of all frames come a second time, as another message
LATE = 0.05  # of all frames come after those of the next steps


class Spender:
    """All platforms of all campaigns. `run` spends until cancelled; the books are its own."""

    def __init__(
        self, *, campaigns: dict[str, tuple[str, ...]], seed: int, step_s: float, clock: Clock
    ) -> None:
        self.fed_micros: dict[str, int] = dict.fromkeys(campaigns, 0)  # by campaign
        self.fed_samples: dict[str, int] = dict.fromkeys(campaigns, 0)
        self.settled_micros: dict[str, int] = {}  # as the chains told it
        self.decided_at: dict[int, float] = {}  # partition → monotonic, when a round last came
        self.decided_by: dict[int, str] = {}
        self.owners: dict[int, str] = dict.fromkeys(range(PARTITIONS), "")
        self.accepted = 0  # decisions heard of
        self.doubled = 0
        self.late = 0
        self._campaigns = campaigns
        self._step_s = step_s
        self._clock = clock
        self._random = random.Random(seed)
        self._offers: dict[tuple[str, str], tuple[int, int]] = {}  # bid, cap
        self._spent: dict[tuple[str, str], int] = defaultdict(int)
        self._at_ms: dict[tuple[str, str], int] = {}
        self._writer = FrameWriter(producer=f"drill-{seed}-{clock.now():.6f}")
        self._held: list[tuple[int, OutFrame]] = []  # until which step, frame
        self._step = 0

    def heard(self, message: Message) -> None:
        """Take a record of the chain: its caps are in force from now on."""
        record = decode_record("drill", message.payload)
        self.owners[record.partition] = record.owner
        if isinstance(record, Keep):
            self.settled_micros.update(zip(record.campaign, record.settled_micros, strict=True))
        if not isinstance(record, Decide):
            return
        self.decided_at[record.partition] = self._clock.monotonic()
        self.decided_by[record.partition] = record.owner
        self.accepted += record.decided
        columns, row = record.changed, 0
        self.settled_micros.update(zip(columns.campaign, columns.settled_micros, strict=True))
        for campaign, count in zip(columns.campaign, columns.series_count, strict=True):
            for i in range(row, row + count):
                name = (campaign, record.platforms[columns.platform[i]])
                self._offers[name] = (columns.bid_micros[i], columns.cap_micros[i])
            row += count

    async def run(self, outbox: Outbox) -> None:
        """Spend and report until cancelled."""
        while True:
            await self._clock.sleep(self._step_s)
            self._step += 1
            if not outbox.is_full:
                outbox.put(self._frames())

    def rest(self) -> list[OutFrame]:
        """Return the frames that were held back."""
        held, self._held = [frame for _, frame in self._held], []
        return held

    def _frames(self) -> list[OutFrame]:
        """Return the frames of a step, those due from earlier steps among them."""
        samples = [sample for one in self._offers if (sample := self._sold(*one)) is not None]
        ready = [frame for step, frame in self._held if step <= self._step]
        self._held = [held for held in self._held if held[0] > self._step]
        for partition, sequence, payload in self._writer.write(samples, unit_micros=UNIT_MICROS):
            frame = OutFrame(partition, f"drill:{partition}:{sequence}", payload)
            chance = self._random.random()
            if chance < LATE:
                self.late += 1
                self._held.append((self._step + self._random.randint(1, 8), frame))
                continue
            ready.append(frame)
            if chance < LATE + DOUBLED:
                self.doubled += 1
                again = frame._replace(message_id=f"{frame.message_id}:again")
                self._held.append((self._step + self._random.randint(0, 30), again))
        self._random.shuffle(ready)
        return ready

    def _sold(self, campaign: str, platform: str) -> Sample | None:
        """Return a sample where the platform sold something, within bid and cap."""
        name = (campaign, platform)
        bid, cap = self._offers[name]
        if bid == 0 or self._random.random() < 0.5:
            return None
        room = (cap - self._spent[name] - 1) // MARK
        if room < 0:
            return None
        clicks = self._random.randint(0, 5)
        spend = min(room, clicks * min(bid // MARK, 20)) * MARK + 1
        at_ms = max(int(self._clock.now() * 1000), self._at_ms.get(name, 0) + 1)
        self._at_ms[name] = at_ms
        self._spent[name] += spend
        self.fed_micros[campaign] += spend
        self.fed_samples[campaign] += 1
        return Sample(
            campaign=campaign,
            platform=platform,
            at=at_ms / 1000,
            clicks=clicks,
            spend_micros=spend,
            impressions=clicks * 100 + 50,
            conversions=float(self._random.random() < 0.1 * clicks),
        )

    @property
    def partitions(self) -> set[int]:
        return {partition_of(name) for name in self._campaigns}

    @property
    def is_settled(self) -> bool:
        """Return whether the engine has told of everything that was fed."""
        return all(self.settled_micros.get(name) == fed for name, fed in self.fed_micros.items())
