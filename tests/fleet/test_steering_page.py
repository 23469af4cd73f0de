"""The commands of docs/steering.md, in its order, on a fleet at work."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.messaging.embedded import embedded_server

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(240)]  # some twenty processes in a row

ROOT = Path(__file__).parents[2]


def commands() -> list[str]:
    text = (ROOT / "docs" / "steering.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


async def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    lines = commands()
    assert len(lines) > 15
    script = [
        "set -e",
        "trap 'kill $(jobs -p); wait' EXIT",
        "python -m engine.worker --name worker-1 --interval 0.5 &",
        "engine market --day-seconds 600 &",
        *lines,
    ]
    look = script.index("engine status")
    script.insert(
        look,
        "for i in $(seq 50); do engine decisions --campaign spring-shoes | grep . && break; done",
    )
    async with embedded_server(tmp_path, name="steering", clock=SystemClock()) as server:
        bash = shutil.which("bash")
        assert bash
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(  # noqa: ASYNC221 - nothing else runs on this loop
            [bash, "-c", "\n".join(script)],
            cwd=ROOT,
            env={**os.environ, "PATH": path, "ENGINE_NATS": server.url},
            capture_output=True,
            text=True,
            timeout=230,
            check=False,
        )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert "3 of 3 applied: 3 created" in said
    assert "equal to the record, to the bit" in said
    assert "every campaign halted: 64 partitions turned" in said
    assert "2 of 2 campaigns paused" in said
    assert "the kill switch is on in 64 of 64 partitions" in said
