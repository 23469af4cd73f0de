"""The closed loop through local platforms: workers, a gateway, servers, and a market behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fleet


def test_a_short_demo_through_platforms_changes_all_three_and_keeps_every_promise(
    tmp_path: Path,
) -> None:
    arguments = (
        "--platforms google,meta,tiktok --duration 8 --campaigns 20 --workers 1 --seed 7"
        " --interval 0.5 --step 0.5 --json"
    )
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", "demo", *arguments.split(), "--store", tmp_path],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result["platforms"]) == {"google", "meta", "tiktok"}
    for name, totals in result["platforms"].items():
        assert totals["applied"] > 0, name
        assert totals["rejected"] == 0, name
    for name in ("samples", "spend_micros", "clicks"):
        assert result[name] > 0, name
    for name in ("overspent_campaigns", "stale", "gaps", "duplicates", "unreadable"):
        assert result[name] == 0, result["findings"]
    secrets = tmp_path / "platforms" / "credentials.yaml"
    assert secrets.stat().st_mode & 0o077 == 0
    logs = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert "sandboxes_opened" in logs
    for secret in ("EAAsandbox-1", "ttsandbox-1", "app-secret-1", "refresh-1", "secret-1"):
        assert secret not in logs
