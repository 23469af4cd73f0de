"""The commands of the other pages, as they are printed, against a broker of the test's own.

What a page shows in a block of `sh` is run by a test, here or by the one that is named; blocks of
`console` need what a test has not: an ad account, a cluster, systemd, the nats CLI, half an hour.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from engine.clock import SystemClock
from engine.gateway.settings import accounts_of
from engine.messaging import subjects
from engine.messaging.embedded import embedded_server
from engine.wiring import open_broker
from support.definitions import START, frame, report
from support.one_partition import NAME, P

pytestmark = pytest.mark.fleet

ROOT = Path(__file__).parents[2]
PAGES = {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("docs/*.md")}
HERE = ("backtest.md", "dashboard.md", "gateway.md", "operating.md")
ELSEWHERE = {"steering.md": "test_steering_page.py"}
COMMAND = re.compile(
    r"^(docker|engine|export|kubectl|make|nats|nats-server|pip|python|systemctl)\b", re.MULTILINE
)


def blocks(page: str) -> list[tuple[str, str]]:
    """Return language and text of each block of a page."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", PAGES[page], flags=re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    text = "".join(text for language, text in blocks(page) if language == "sh")
    return [line for line in text.splitlines() if line]


@pytest.mark.parametrize("page", sorted(PAGES))
def test_commands_are_in_blocks_that_say_whether_they_are_run(page: str) -> None:
    for language, text in blocks(page):
        if COMMAND.search(text):
            assert language in ("sh", "console"), text


def test_every_page_with_commands_has_a_test_that_runs_them() -> None:
    run = {page for page in PAGES if commands(page)}
    assert run == {*HERE, *ELSEWHERE}
    for page, test in ELSEWHERE.items():
        assert page in (Path(__file__).parent / test).read_text(encoding="utf-8")


def test_the_gateways_page_has_a_file_of_ad_accounts_that_is_one() -> None:
    [text] = [text for language, text in blocks("gateway.md") if language == "yaml"]
    found = accounts_of(msgspec.yaml.decode(text), file="gateway.yaml")
    assert [one.platform for one in found.accounts] == ["google", "meta"]
    assert not any(one.live for one in found.accounts)


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with embedded_server(tmp_path / "store", name="pages", clock=SystemClock()) as server:
        yield server.url


def run(lines: list[str], *, url: str, folder: Path) -> str:
    """Run a script in a folder that has the examples; return all that it said."""
    (folder / "examples").symlink_to(ROOT / "examples")
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [
            bash,
            "-c",
            "\n".join(["set -e", "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT", *lines]),
        ],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "ENGINE_NATS": url,
            "ENGINE_PORT": "0",  # of the dashboard: any that is free
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    return said


def test_the_backtest_page(tmp_path: Path) -> None:
    said = run(commands("backtest.md"), url="nats://127.0.0.1:1", folder=tmp_path)
    assert (tmp_path / "out" / "results.json").exists(), said
    assert "<script" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


async def test_the_gateways_page(tmp_path: Path, url: str) -> None:
    lines = ["engine provision", *commands("gateway.md")]
    assert "no changes" in run(lines, url=url, folder=tmp_path)


async def test_the_dashboards_page(tmp_path: Path, url: str) -> None:
    [line] = commands("dashboard.md")
    look = "for i in $(seq 300); do grep -o 'http://[^ ]*' said && break; sleep 0.1; done"
    said = run([f"{line} > said 2>&1 &", look, "grep http:// said"], url=url, folder=tmp_path)
    assert re.search(r"http://127\.0\.0\.1:\d+/", said)


async def test_the_operating_page(tmp_path: Path, url: str) -> None:
    lines = commands("operating.md")
    async with open_broker(url, name="pages", clock=SystemClock()) as broker:
        for sequence in range(1, 18):  # the page shows the seventeenth
            row = report(NAME, "google", at=START + sequence)
            payload = frame(P, [row], sequence=sequence)
            broker.dead_letters.bury(subjects.metrics_subject(P), "too early", payload)
    said = run(lines, url=url, folder=tmp_path)
    assert "too early" in said
    assert "number   17" in said
    assert len(re.findall(r"^ +\d+  retried", said, flags=re.MULTILINE)) == 17
