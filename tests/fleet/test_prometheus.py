"""Prometheus itself scrapes a fleet at work: every panel has data, every alert can be evaluated.

Debian's prometheus (2.42): apt-get install prometheus.
"""

import asyncio
import json
import re
import shutil
import sys
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.campaigns.files.reader import Found
from engine.campaigns.publisher import Publisher
from engine.campaigns.repository import Repository
from engine.clock import SystemClock
from engine.market.demo import demo_campaigns
from engine.messaging.embedded import EmbeddedServer, embedded_server
from engine.messaging.gateway_status import AccountStatus, GatewayStatus, encode_gateway_status
from engine.messaging.nats import NatsBroker
from engine.wiring import open_broker
from support.processes import WorkerProcess

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
pytestmark = [
    pytest.mark.fleet,
    pytest.mark.skipif(not (PROMETHEUS and PROMTOOL), reason="prometheus is not installed"),
    pytest.mark.timeout(240),
]

DOCKER = Path(__file__).parents[2] / "docker"
DASHBOARDS = sorted((DOCKER / "grafana").glob("*.json"))
ALERTS = DOCKER / "prometheus" / "alerts.yaml"
WITHIN_S = 90.0

ACCOUNTS = [
    AccountStatus(
        platform="google",
        ad_account="1234567890",
        is_live=True,
        operations_left=12_000,
        operations_a_day=15_000,
        operations_reserved=500,
        rate_per_s=5.0,
        waiting=12,
        held_back={"dead-band": 40, "purse": 3},
        applied=100,
        rejected=2,
        failed=1,
        retried=4,
        linked=30,
        unlinked=2,
        report_age_s=40.0,
    )
]


@asynccontextmanager
async def process(*arguments: str, server: EmbeddedServer) -> AsyncIterator[WorkerProcess]:
    """Run a service with a page of metrics at a port of its own."""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine.cli"),
        *(*arguments, "--nats", server.url, "--metrics-port", "0"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield WorkerProcess(started)
    finally:
        if started.returncode is None:
            started.terminate()
            await started.wait()


async def page_of(service: WorkerProcess) -> str:
    return str(json.loads(await service.says("metrics_served", within_s=30))["address"])


class Prometheus:
    """Asks a running server."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def get(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - as it answers
        return await asyncio.to_thread(self._get, path, parameters)

    def _get(self, path: str, parameters: dict[str, str]) -> Any:  # noqa: ANN401
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self._url}{path}?{query}", timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]

    async def series(self, expression: str) -> int:
        """Return how many series an expression has now."""
        found = await self.get("/api/v1/query", query=expression)
        return len(found["result"])


@asynccontextmanager
async def prometheus(folder: Path, targets: dict[str, list[str]]) -> AsyncIterator[Prometheus]:
    """Run prometheus over some pages, with the alert rules that are shipped."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": pages}]}
            for job, pages in targets.items()
        ],
    }
    file = folder / "prometheus.yaml"
    file.write_text(yaml.safe_dump(config))
    assert PROMETHEUS is not None
    log = (folder / "prometheus.log").open("wb")
    started = await asyncio.create_subprocess_exec(
        *(PROMETHEUS, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"),
        *("--web.listen-address=127.0.0.1:0", "--log.level=info"),
        stdout=log,
        stderr=log,
    )
    try:
        yield Prometheus(f"http://{await _address(started, folder / 'prometheus.log')}")
    finally:
        started.terminate()
        await started.wait()
        log.close()


async def _address(started: asyncio.subprocess.Process, log: Path) -> str:
    """Return where it listens, once it is ready."""
    async with asyncio.timeout(30):
        while True:
            text = log.read_text()
            found = re.search(r'"Listening on" address=(\S+)', text)
            if found and "Server is ready" in text:
                return found[1]
            assert started.returncode is None, text
            await asyncio.sleep(0.05)


@asynccontextmanager
async def fleet(folder: Path) -> AsyncIterator[Prometheus]:
    """Run workers, a market, an exporter, and what a gateway says; and prometheus over them."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(embedded_server())
        broker = await stack.enter_async_context(open_broker(server.url, name="test"))

        async def begin(*arguments: str) -> WorkerProcess:
            return await stack.enter_async_context(process(*arguments, server=server))

        workers = [await begin("worker", "--name", f"w{n}", "--interval", "0.5") for n in (1, 2)]
        market = await begin("market", "--day-seconds", "60", "--step", "0.5")
        exporter = await begin("exporter")
        group = await stack.enter_async_context(asyncio.TaskGroup())
        speaking = group.create_task(speak(broker))
        stack.callback(speaking.cancel)
        repository = Repository(table=broker.campaigns, clock=clock, by="test")
        definitions = demo_campaigns(60, seed=7, now=clock.now(), duration=300.0, day_seconds=60.0)
        found = [Found(one, "demo", line) for line, one in enumerate(definitions, 1)]
        await Publisher(repository=repository, clock=clock).publish(found)
        targets = {
            "engine-worker": [await page_of(one) for one in workers],
            "engine-market": [await page_of(market)],
            "engine-exporter": [await page_of(exporter)],
        }
        yield await stack.enter_async_context(prometheus(folder, targets))


async def speak(broker: NatsBroker) -> None:
    """Say what a gateway says, every second, until cancelled."""
    clock = SystemClock()
    started_at, applied = clock.now(), 100
    while True:
        applied += 3
        account = {name: getattr(ACCOUNTS[0], name) for name in ACCOUNTS[0].__struct_fields__}
        status = GatewayStatus(
            gateway="g1",
            version="0",
            started_at=started_at,
            at=clock.now(),
            accounts=[AccountStatus(**(account | {"applied": applied}))],
        )
        await broker.gateways.beat("g1", encode_gateway_status(status))
        await asyncio.sleep(1)


def expressions(dashboard: Path) -> list[tuple[str, str]]:
    """Return the panels of a dashboard, each with an expression."""
    panels = json.loads(dashboard.read_text())["panels"]
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", "20s"))
        for panel in panels
        for target in panel.get("targets", ())
    ]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


async def test_every_panel_shows_data_and_every_alert_is_evaluated(tmp_path: Path) -> None:
    async with fleet(tmp_path) as asked:
        wanted = {
            (board.stem, title, expression)
            for board in DASHBOARDS
            for title, expression in expressions(board)
        }
        assert len(wanted) > 60
        deadline = asyncio.get_running_loop().time() + WITHIN_S
        while wanted and asyncio.get_running_loop().time() < deadline:
            wanted = {one for one in wanted if not await asked.series(one[2])}
            await asyncio.sleep(1)
        assert wanted == set(), "panels without data"
        loaded = await asked.get("/api/v1/rules")
        found = [rule for group in loaded["groups"] for rule in group["rules"]]
        assert {one["name"] for one in found} == {one["alert"] for one in rules()}
        assert [one["name"] for one in found if one["health"] == "err"] == []
        for rule in rules():
            await asked.series(rule["expr"])  # raises where it cannot be evaluated
        firing = {
            alert["labels"]["alertname"]
            for alert in (await asked.get("/api/v1/alerts"))["alerts"]
            if alert["state"] == "firing"
        }
        assert firing == set(), "a fleet that is well alarms nobody"
        names = await asked.get("/api/v1/label/__name__/values")
        labels = set(await asked.get("/api/v1/labels"))
        assert not {"campaign", "campaign_id", "id"} & labels
        assert_named(rules(), set(names))


def assert_named(rules: list[dict[str, Any]], names: set[str]) -> None:
    """See that no rule asks for a metric that nobody tells: it would never fire."""
    for rule in rules:
        for name in re.findall(r"\bengine_\w+", rule["expr"]):
            assert name in names, f"{rule['alert']} asks for {name}"


async def test_the_rules_are_sound_and_fire_when_they_should(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    for command in (
        (PROMTOOL, "check", "rules", str(ALERTS)),
        (PROMTOOL, "test", "rules", str(Path(__file__).parents[1] / "data" / "alerts_test.yaml")),
    ):
        done = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await done.communicate()
        assert done.returncode == 0, out.decode()
