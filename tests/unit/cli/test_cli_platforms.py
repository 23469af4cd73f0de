"""`engine platforms`: adapters, and the ad accounts that credentials reach."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Engine


# A process of its own: gRPC has one poller a process, and warns where two loops share it.
SANDBOX = """
import asyncio, json, sys
from engine.clock import SystemClock
from engine.sandbox.google.server import GoogleSandbox
from engine.sandbox.state import MemoryBooks
from support.platforms import furnish_google

async def serve():
    books = MemoryBooks()
    furnish_google(books)
    async with GoogleSandbox(books=books, clock=SystemClock()) as server:
        given = server.credentials(login_customer_id="9990000000", access_level="basic")
        print(json.dumps({"google": {name: given.text(name) for name in given}}), flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(serve())
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """Run a local Google Ads; yield a file of credentials for it."""
    process = subprocess.Popen(
        [sys.executable, "-c", SANDBOX],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        path = tmp_path / "platforms.json"
        path.write_text(process.stdout.readline(), encoding="utf-8")
        path.chmod(0o600)
        yield path
        process.stdin.close()


def test_adapters_are_listed(engine: "Engine") -> None:
    result = engine("platforms", "list")
    assert (result.code, result.err) == (0, "")
    assert "google        ready\n" in result.out
    found = json.loads(engine("platforms", "list", "--json").out)
    assert {"platform": "google", "needs": ""} in found


def test_the_ad_accounts_that_credentials_reach_are_listed(engine: "Engine", file: Path) -> None:
    result = engine("platforms", "check", "google", "--credentials", file)
    assert result.out.splitlines() == [
        "1234567890        EUR  Europe/Berlin             Shoes  test",
        "2234567890        JPY  Asia/Tokyo                Kutsu",
    ]
    assert result.err == "2 ad accounts; 15,000 operations in 24 hours\n"
    assert result.code == 0


def test_the_same_as_json(engine: "Engine", file: Path) -> None:
    found = json.loads(engine("platforms", "check", "google", "-c", file, "--json").out)
    assert [account["id"] for account in found["accounts"]] == ["1234567890", "2234567890"]
    assert found["limits"]["operations_per_day"] == 15_000


def test_credentials_that_are_refused_are_one_line(
    engine: "Engine", file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINE_GOOGLE_REFRESH_TOKEN", "s3cret-not-it")
    result = engine("platforms", "check", "google", "--credentials", file)
    assert (result.code, result.out) == (1, "")
    assert "(invalid_grant)" in result.err
    assert result.err.count("\n") == 1
    assert "s3cret" not in result.err


def test_credentials_that_are_not_there_are_one_line(engine: "Engine") -> None:
    result = engine("platforms", "check", "google")
    assert (result.code, result.out) == (1, "")
    assert "refresh_token or service_account wanted, found nothing" in result.err


def test_a_platform_that_nobody_has_is_not_understood(engine: "Engine") -> None:
    result = engine("platforms", "check", "gogle")
    assert result.code == 2
    assert "an ad platform wanted" in result.err
