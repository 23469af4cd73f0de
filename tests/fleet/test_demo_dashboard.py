"""The demo's dashboard: seen where its port is free, done without where it is taken."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.fleet

QUICK = ["--campaigns", "40", "--interval", "0.5", "--step", "0.5", "--json"]


def demo(store: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "engine.cli", "demo", *QUICK, "--store", str(store)]
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def seen(url: str, running: subprocess.Popen[str]) -> Any:  # noqa: ANN401
    """Ask until campaigns have been decided for, while the demo runs."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and running.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found = json.load(answer)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            continue
        # The order of the table is up to a second older than the figures above it.
        head, total = found["head"], found["page"]["total"]
        if total and head["actions"].get("bid") and head["alive"] == 2 and head["owned"] == 64:
            return found
    raise AssertionError("no decision was shown")


def test_a_demo_is_seen_on_its_dashboard(tmp_path: Path) -> None:
    port = free_port()
    with demo(tmp_path, "--duration", "20", "--dashboard-port", str(port)) as running:
        found = seen(f"http://127.0.0.1:{port}/api/view?limit=5", running)
        out, err = running.communicate(timeout=90)
    assert found["page"]["total"] == 40
    assert len(found["page"]["rows"]) == 5
    assert found["head"]["owned"] == 64
    assert running.returncode == 0, err
    assert f"dashboard at http://127.0.0.1:{port}/" in err
    assert json.loads(out.splitlines()[-1])["stale"] == 0


def test_a_demo_does_without_where_the_port_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with demo(tmp_path, "--duration", "2", "--dashboard-port", str(port)) as running:
            _, err = running.communicate(timeout=90)
    assert running.returncode == 0, err
    assert f"port {port} is taken, so no dashboard" in err
