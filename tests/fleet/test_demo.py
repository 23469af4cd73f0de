"""A whole demo as a person starts it: processes, a real broker, and the audit at its end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fleet

# What somebody has set who works with a fleet of the company's: none of it is the demo's.
ELSEWHERE = {
    "ENGINE_NATS": "tls://broker.example:4222",
    "ENGINE_USER": "worker",
    "ENGINE_PASSWORD_FILE": "nowhere/password",
    "ENGINE_TLS_CA": "nowhere/ca.crt",
    "ENGINE_INTERVAL": "3600",
    "ENGINE_REPLICAS": "3",
    "ENGINE_CONFIG": "nowhere/engine.yaml",
}


def test_a_short_demo_decides_spends_and_keeps_every_promise(tmp_path: Path) -> None:
    arguments = "--duration 6 --campaigns 40 --workers 2 --seed 7 --interval 0.5 --step 0.5 --json"
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", "demo", *arguments.split(), "--store", tmp_path],
        capture_output=True,
        text=True,
        env=os.environ | ELSEWHERE,
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
