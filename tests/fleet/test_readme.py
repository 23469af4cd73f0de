"""The README's own commands, in its order, against a broker of the test's own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.messaging.embedded import embedded_server

pytestmark = pytest.mark.fleet

ROOT = Path(__file__).parents[2]
SECTION = "## Five minutes with your own campaigns"


def commands() -> list[str]:
    text = (ROOT / "README.md").read_text().split(SECTION)[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


async def test_five_minutes_with_your_own_campaigns(tmp_path: Path) -> None:
    lines = commands()
    assert lines[:2] == [". .venv/bin/activate", "nats-server -c docker/nats.conf &"]
    # Each command must succeed; those in the background end with the script.
    script = ["set -e", "trap 'kill $(jobs -p); wait' EXIT", *lines[2:]]
    look = script.index("engine show spring-shoes")
    script.insert(
        look,
        "for i in $(seq 50); do engine decisions --campaign spring-shoes | grep . && break; done",
    )
    async with embedded_server(tmp_path, name="readme", clock=SystemClock()) as server:
        bash = shutil.which("bash")
        assert bash
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(  # noqa: ASYNC221 - nothing else runs on this loop
            [bash, "-c", "\n".join(script)],
            cwd=ROOT,
            env={**os.environ, "PATH": path, "ENGINE_NATS": server.url},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "published 3: 3 created" in done.stdout + done.stderr
    assert "spring-shoes" in done.stdout
    assert '"campaign":"spring-' in done.stdout.replace(": ", ":")


@pytest.mark.parametrize(
    "page",
    sorted(p.relative_to(ROOT).as_posix() for p in [ROOT / "README.md", *ROOT.glob("docs/*.md")]),
)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert ((ROOT / page).parent / target).exists(), target
