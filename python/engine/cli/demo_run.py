"""One run of the demo: its processes started, its campaigns published, shown, stopped, audited."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
from rich.console import Console
from rich.live import Live

from engine.campaigns.files.reader import Found
from engine.campaigns.publisher import Publisher
from engine.campaigns.repository import Repository
from engine.cli.demo_fleet import Fleet, is_free
from engine.cli.demo_keeper import Keeper
from engine.cli.demo_page import Moment, demo_page
from engine.cli.demo_platforms import PlatformTotals, PlatformWatch
from engine.cli.demo_settings import DemoSettings
from engine.cli.demo_summary import progress_line
from engine.cli.demo_text import exit_text
from engine.cli.demo_view import DemoState, render
from engine.clock import Clock
from engine.domain.campaign import Definition
from engine.domain.ids import PARTITIONS
from engine.errors import EngineError
from engine.market.demo import demo_campaigns
from engine.market.naive import play_naive
from engine.messaging.cluster import embedded_cluster
from engine.messaging.embedded import EmbeddedServer, embedded_server
from engine.messaging.identity import IdentitySettings
from engine.messaging.ports import Broker
from engine.metrics.watch import View, Watch
from engine.reports.summary import NaiveTotals, Summary
from engine.sandbox.stand import linked
from engine.simulation.audit import audit
from engine.wiring import open_broker

__all__ = ["Demo"]

_DRAW_SECONDS = 0.25
_LOOK_SECONDS = 1.0
_PROGRESS_SECONDS = 5.0
_START_SECONDS = 20.0
_PUBLISHED_A_SECOND = 500.0  # about, each written to disk before the next
_GRACE_SECONDS = 10.0
_TOLERANCE = 0.02  # of a budget: by more a gateway pauses what spends it (docs/gateway.md)
_STOP_SECONDS = 1.0  # until a pause is in force: much of a flight of seconds
_ENDLESS_SECONDS = 1200.0  # how long flights are where the demo has no end
_BEGINS_AT = 8.0 / 24.0  # the market's day begins at eight in the morning


class Demo:
    """One run of the demo in a directory."""

    def __init__(self, *, settings: DemoSettings, directory: Path, clock: Clock) -> None:
        self._settings = settings
        self._directory = directory
        self._clock = clock
        self._console = Console(stderr=True)
        self._stopping = asyncio.Event()
        self._url = ""
        self._dashboard = ""
        self._origin = 0.0
        self._definitions: list[Definition] = []
        self._history: list[Moment] = []
        self._began = clock.monotonic()
        self.platforms: Mapping[str, PlatformTotals] = {}  # what the gateway did, once it has
        self._worker_names = tuple(f"worker-{i + 1}" for i in range(settings.workers))

    async def run(self) -> Summary:
        """Run until the duration is over or somebody stops it; return what was stored.

        Raises EngineError where a part does not come up.
        """
        fleet = Fleet(logs=self._directory / "logs", clock=self._clock)
        with self._stopped_by_signals(fleet):
            async with (
                self._servers() as servers,
                open_broker(
                    ",".join(server.url for server in servers),
                    name="demo",
                    replicas=len(servers),  # the workers and the market find the streams made
                    identity=IdentitySettings(),  # nobody, whatever ENGINE_USER may be
                ) as broker,
                fleet,
            ):
                self._url = ",".join(server.url for server in servers)
                watch = Watch(broker=broker, clock=self._clock)
                gateway = PlatformWatch(broker)
                async with watch.following(), gateway.following():
                    await self._start(fleet, watch)
                    await self._publish(broker)
                    if self._settings.platforms:
                        await self._start_gateway(fleet, gateway)
                    self._began = self._clock.monotonic()
                    await self._show(fleet, watch, Keeper(servers, broker, self._clock))
                    seconds = self._clock.monotonic() - self._began
                    self._say(f"stopping the workers, then the {self._sellers}")
                    self.platforms = gateway.totals()
                await fleet.stop(("dashboard",) if self._dashboard else (), grace_seconds=5.0)
                failed = [child.name for child in fleet.children if child.exit_code]
                if self._settings.platforms:  # what it has in hand, it still reports
                    await fleet.stop(("gateway",), grace_seconds=_GRACE_SECONDS)
                await fleet.stop(self._worker_names, grace_seconds=_GRACE_SECONDS)
                await fleet.stop((self._sellers,), grace_seconds=_GRACE_SECONDS)
                self._complain(fleet, failed)
                self._say("reading everything back")
                summary = await audit(
                    broker,
                    clock=self._clock,
                    seed=self._settings.seed,
                    workers=self._settings.workers,
                    duration_s=seconds,
                    interval_ms=round(self._settings.interval * 1000),
                    tolerance=self._tolerance(seconds),
                )
                return await self._compare(summary)

    async def _compare(self, summary: Summary) -> Summary:
        """Play the naive rule on a copy of the market, and report if so asked.

        Not where local platforms stand before it: their reports and quotas are no part of the copy.
        """
        settings = self._settings
        if not self._history or settings.platforms:
            return summary
        played = await asyncio.to_thread(
            play_naive,
            self._definitions,
            seed=settings.seed,
            step_ms=round(settings.step * 1000),
            day_seconds=settings.day_seconds,
            origin_ms=round(self._origin * 1000),
            from_ms=round(self._history[0].at * 1000),
            to_ms=round(self._history[-1].at * 1000),
            interval_ms=round(settings.interval * 1000),
        )
        naive = NaiveTotals(played.spend_micros[-1], played.value_micros[-1], played.conversions)
        summary = msgspec.structs.replace(summary, naive=naive)
        if settings.report is not None:
            settings.report.write_text(demo_page(summary, self._history, played))
        return summary

    @asynccontextmanager
    async def _servers(self) -> AsyncIterator[Sequence[EmbeddedServer]]:
        """Run the broker: one nats-server, or a cluster of them."""
        store, size = self._directory / "nats", self._settings.servers
        if size == 1:
            async with embedded_server(store, clock=self._clock) as server:
                yield (server,)
        else:
            async with embedded_cluster(store, size=size, clock=self._clock) as cluster:
                yield cluster.servers

    async def _start(self, fleet: Fleet, watch: Watch) -> None:
        settings = self._settings
        self._origin = round(self._clock.now() - _BEGINS_AT * settings.day_seconds, 3)
        what = ", ".join(settings.platforms) or "a market"
        self._say(f"nats-server at {self._url}; starting {settings.workers} workers and {what}")
        arguments = [
            "--nats", self._url, "--seed", str(settings.seed), "--step", str(settings.step),
            "--day-seconds", str(settings.day_seconds), "--origin", f"{self._origin:.3f}",
        ]  # fmt: skip
        if settings.platforms:
            arguments += ["--platforms", ",".join(settings.platforms)]
            arguments += ["--directory", str(self._directory / "platforms")]
        module = "engine.sandbox" if settings.platforms else "engine.simulation"
        await fleet.start(self._sellers, module, arguments)
        for name in self._worker_names:
            arguments = ["--nats", self._url, "--name", name, "--interval", str(settings.interval)]
            await fleet.start(name, "engine.worker", arguments)
        await self._serve_dashboard(fleet)
        deadline = self._clock.monotonic() + _START_SECONDS
        while not self._stopping.is_set() and _partitions_held(watch) < PARTITIONS:
            for child in fleet.children:
                if child.exit_code is not None:
                    raise self._failure(fleet, child.name, f"ended with {child.exit_code}")
            if self._clock.monotonic() > deadline:
                reason = f"the workers hold {_partitions_held(watch)} of {PARTITIONS} partitions"
                raise self._failure(fleet, self._worker_names[0], reason)
            await self._clock.sleep(0.05)

    async def _serve_dashboard(self, fleet: Fleet) -> None:
        """Start the dashboard beside the rest, where its port is free: the demo does without."""
        port = self._settings.dashboard_port
        if port is None:
            return
        if not is_free(port):
            self._say(f"port {port} is taken, so no dashboard; --dashboard-port names another")
            return
        arguments = ["--nats", self._url, "--port", str(port)]
        await fleet.start("dashboard", "engine.dashboard", arguments)
        self._dashboard = f"http://127.0.0.1:{port}/"
        self._say(f"dashboard at {self._dashboard}")

    def _tolerance(self, seconds: float) -> float:
        """Return by what part of its budget a campaign may overspend behind a gateway."""
        if not self._settings.platforms:
            return 0.0
        return _TOLERANCE + _STOP_SECONDS / max(seconds, 1.0)

    @property
    def _sellers(self) -> str:
        return "platforms" if self._settings.platforms else "market"

    async def _start_gateway(self, fleet: Fleet, gateway: PlatformWatch) -> None:
        """Put a gateway in front of the platforms, once they listen, and wait until it works."""
        file = self._directory / "platforms" / "gateway.yaml"
        names = ("platforms", "gateway")
        deadline = self._clock.monotonic() + _START_SECONDS
        while not self._stopping.is_set() and not gateway.is_held():
            running = {child.name: child.exit_code for child in fleet.children}
            if file.exists() and "gateway" not in running:
                self._say("putting a gateway in front of the platforms")
                arguments = ["--nats", self._url, "--accounts", str(file), "--name", "gateway"]
                arguments += ["--interval", str(min(self._settings.interval, 1.0))]
                await fleet.start("gateway", "engine.gateway", arguments)
            for name in names:
                if running.get(name) is not None:
                    raise self._failure(fleet, name, f"ended with {running[name]}")
            if self._clock.monotonic() > deadline:
                name = names["gateway" in running]
                raise self._failure(fleet, name, f"not at work within {_START_SECONDS:.0f} s")
            await self._clock.sleep(0.05)

    async def _publish(self, broker: Broker) -> None:
        """Publish campaigns whose flights begin now and last as long as we will look at them."""
        settings, now = self._settings, self._clock.now()
        self._say(f"publishing {settings.campaigns:,} campaigns")
        # Behind platforms everything is known a few seconds later: budgets are for longer flights.
        length = (settings.duration or _ENDLESS_SECONDS) * (4 if settings.platforms else 1)
        definitions = demo_campaigns(
            settings.campaigns,
            seed=settings.seed,
            now=now,
            duration=length + settings.campaigns / _PUBLISHED_A_SECOND,
            day_seconds=settings.day_seconds,
            platforms=settings.platforms,
        )
        if settings.platforms:
            definitions = linked(definitions)
        self._definitions = definitions
        repository = Repository(table=broker.campaigns, clock=self._clock, by="engine demo")
        publisher = Publisher(repository=repository, clock=self._clock)
        found = [Found(one, "demo", line) for line, one in enumerate(definitions, 1)]
        published = await publisher.publish(found)
        for problem in published.problems[:3]:
            self._say(f"not published: {problem}")

    async def _show(self, fleet: Fleet, watch: Watch, keeper: "Keeper") -> None:
        """Show what happens until it is time to stop."""
        next_look = next_line = self._began
        async with self._screen() as live:
            while not self._stopping.is_set() and not self._is_over():
                now = self._clock.monotonic()
                if now >= next_look:
                    watch.look()
                    self._remember(watch.view())
                    next_look = now + _LOOK_SECONDS
                if live is not None:
                    size = self._console.size
                    picture = render(
                        watch.view(), self._state(fleet), width=size.width, height=size.height
                    )
                    live.update(picture, refresh=True)
                elif now >= next_line:
                    self._say(progress_line(watch.view(), self._state(fleet)))
                    next_line = now + _PROGRESS_SECONDS
                await keeper.look()
                await self._clock.sleep(_DRAW_SECONDS)
        watch.look()
        self._remember(watch.view())
        if self._settings.snapshot is not None:
            self._draw(self._settings.snapshot, fleet, watch)

    def _remember(self, view: View) -> None:
        moment = Moment(self._clock.now(), view.spend_micros, view.plan_micros, view.value_micros)
        self._history.append(moment)

    def _is_over(self) -> bool:
        duration = self._settings.duration
        return duration is not None and self._clock.monotonic() - self._began >= duration

    @asynccontextmanager
    async def _screen(self) -> AsyncIterator[Live | None]:
        """Take the terminal's other screen over; None where there is no terminal."""
        if not self._console.is_terminal:
            yield None
            return
        with Live(console=self._console, screen=True, auto_refresh=False) as live:
            yield live

    def _draw(self, path: Path, fleet: Fleet, watch: Watch) -> None:
        """Write the screen as a picture, in the size that a README shows well."""
        width, height = 116, 32
        with Path(os.devnull).open("w") as nowhere:
            console = Console(record=True, width=width, height=height, file=nowhere)
            console.print(render(watch.view(), self._state(fleet), width=width, height=height))
            svg = console.export_svg(title="engine demo")
        # Without the fonts that rich would have viewers load from somewhere else.
        path.write_text(re.sub(r"@font-face \{.*?\}|<!--.*?-->", "", svg, flags=re.DOTALL))

    def _state(self, fleet: Fleet) -> DemoState:
        return DemoState(
            url=self._url,
            dashboard=self._dashboard,
            elapsed_s=self._clock.monotonic() - self._began,
            interval_s=self._settings.interval,
            seed=self._settings.seed,
            duration_s=self._settings.duration,
            children=fleet.children,
        )

    def _complain(self, fleet: Fleet, early: list[str]) -> None:
        """Name the children that ended on their own, or with an error when asked to stop."""
        for child in fleet.children:
            if child.name in early or (child.exit_code is not None and child.exit_code > 0):
                how = exit_text(child.exit_code)
                self._say(f"{child.name}: {how}; its last lines:\n{fleet.last_words(child.name)}")

    def _failure(self, fleet: Fleet, name: str, reason: str) -> EngineError:
        log = fleet.log_file(name)
        return EngineError(f"{name}: {reason}\n{fleet.last_words(name)}\n(all of it is in {log})")

    def _say(self, text: str) -> None:
        self._console.print(text, style="dim", highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def _stopped_by_signals(self, fleet: Fleet) -> Iterator[None]:
        """The first signal ends the demo in order; the second waits for nobody."""

        def stop() -> None:
            if self._stopping.is_set():
                fleet.hurry()
            self._stopping.set()

        loop = asyncio.get_running_loop()
        caught = (signal.SIGINT, signal.SIGTERM)
        for number in caught:
            loop.add_signal_handler(number, stop)
        try:
            yield
        finally:
            for number in caught:
                loop.remove_signal_handler(number)


def _partitions_held(watch: Watch) -> int:
    return len({one for worker in watch.view().workers.values() for one in worker.beat.partitions})
