import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fleet


def test_a_short_demo_decides_spends_and_keeps_every_promise(tmp_path: Path) -> None:
    arguments = "--duration 6 --campaigns 40 --workers 2 --seed 7 --interval 0.5 --step 0.5 --json"
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", "demo", *arguments.split(), "--store", tmp_path],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["campaigns"], result["workers"], result["seed"]) == (40, 2, 7)
    for name in ("rounds", "decisions", "samples", "spend_micros", "conversions"):
        assert result[name] > 0, name
    for name in ("overspent_campaigns", "stale", "gaps", "duplicates", "unreadable"):
        assert result[name] == 0, result["findings"]
    assert result["takes"] >= 64
    assert {path.name for path in (tmp_path / "logs").iterdir()} >= {
        "market.log",
        "worker-1.log",
        "worker-2.log",
    }
