"""docs/platforms.md: its adapter and its example run as they are printed."""

import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import PlatformCredentialsError
from engine.platforms.credentials import read_credentials
from engine.platforms.google import access, standing
from engine.platforms.meta import access as meta_access
from engine.platforms.meta import errors as meta_errors
from engine.platforms.port import Lever, Result, Target
from engine.platforms.registry import GROUP, make_platform, platform_names
from engine.platforms.tiktok import access as tiktok_access
from engine.sandbox.stand import AD_ACCOUNTS
from support.clock import ManualClock
from support.platforms import mutation

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "platforms.md").read_text(encoding="utf-8")


def block(language: str, part: str) -> str:
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    [found] = [each for each in blocks if part in each]
    return found


@pytest.fixture
def pinboard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Install the adapter of the page."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "pinboard.py").write_text(block("python", "class Pinboard"), encoding="utf-8")
    points = tomllib.loads(block("toml", GROUP))["project"]["entry-points"][GROUP]
    info = tmp_path / "pinboard-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pinboard\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}", encoding="utf-8")
    importlib.invalidate_caches()
    yield
    sys.modules.pop("pinboard", None)


@pytest.mark.usefixtures("pinboard")
async def test_the_pages_adapter_is_one() -> None:
    assert "pinboard" in platform_names()
    credentials = read_credentials("pinboard", environ={"ENGINE_PINBOARD_TOKEN": "s3cret"})
    platform = make_platform("pinboard", credentials, clock=ManualClock())
    [account] = await platform.accounts()
    pin, none = Target(account.id, "pins/1"), Target(account.id, "pins/404")
    wanted = [
        mutation(pin, Lever.BID, 1_200_000, name="good"),
        mutation(none, Lever.BID, 1_200_000, name="missing"),
        mutation(pin, Lever.TARGET_ROAS, 3.0, name="does not count"),
    ]
    expected = [Result.APPLIED, Result.REJECTED, Result.REJECTED]
    dry = await platform.apply(wanted, is_dry_run=True)
    assert [outcome.result for outcome in dry] == expected
    assert [s.bid_micros for s in await platform.inspect([pin, none])] == [1_000_000]
    assert [outcome.result for outcome in await platform.apply(wanted)] == expected
    assert [s.bid_micros for s in await platform.inspect([pin, none])] == [1_200_000]
    rows = [row async for row in platform.report(account.id, since=7_200.0, until=7_201.0)]
    assert [(row.target, row.starts_at) for row in rows] == [(pin, 7_200.0)]
    await platform.aclose()


@pytest.mark.usefixtures("pinboard")
def test_the_pages_adapter_refuses_a_slip_of_the_pen() -> None:
    credentials = read_credentials("pinboard", environ={"ENGINE_PINBOARD_TOKN": "s3cret"})
    with pytest.raises(PlatformCredentialsError, match="found 'tokn'"):
        make_platform("pinboard", credentials, clock=ManualClock())


def test_the_pages_example_of_the_sandbox_runs() -> None:
    said = subprocess.run(
        [sys.executable, "-W", "error", "-c", block("python", "GoogleSandbox")],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=ROOT / "python",
    )
    assert said.returncode == 0, said.stderr
    dry, real, found = (line for line in said.stdout.splitlines() if line.startswith("["))
    assert dry == real
    assert "Result.APPLIED" in real
    assert "target_cpa_micros=18000000" in found


def test_the_page_names_every_field_level_and_strategy() -> None:
    fields = set(re.findall(r"`([a-z_]+)`", TEXT))
    assert set(access._FIELDS) <= fields
    for level, operations in access.ACCESS_LEVELS.items():
        amount = f"{operations:,}" if operations is not None else "no limit"
        assert re.search(rf"`{level}`.*{amount}", TEXT), level
    assert {path for _, path in standing.STRATEGIES.values()} <= set(
        re.findall(r"`([a-z_.]+)`", TEXT)
    )


def test_the_pages_credentials_are_read(tmp_path: Path) -> None:
    file = tmp_path / "platforms.yaml"
    file.write_text(block("yaml", "login_customer_id"), encoding="utf-8")
    file.chmod(0o600)
    for name in ("google_client_secret", "google_refresh_token", "other_refresh_token"):
        (tmp_path / name).write_text(name, encoding="utf-8")
        (tmp_path / name).chmod(0o600)
    own = read_credentials("google", file=file, ad_account="1234567890")
    assert own.text("refresh_token") == "other_refresh_token"
    assert make_platform("google", own, clock=ManualClock()).name == "google"


def test_the_page_names_every_field_and_level_of_meta_and_tiktok() -> None:
    fields = set(re.findall(r"`([a-z_]+)`", TEXT))
    assert {*meta_access._FIELDS, *tiktok_access._FIELDS} <= fields
    for level, points in meta_access.ACCESS_LEVELS.items():
        changes = 24 * points // meta_access.POINTS_A_CHANGE
        assert re.search(rf"`{level}`.*\| {points:,} \| {changes:,} \|", TEXT), level
    for level, limit in tiktok_access.ACCESS_LEVELS.items():
        assert re.search(rf"`{level}`.*\| {limit.per_second} \| {limit.per_day:,} \|", TEXT), level


def test_the_page_names_metas_codes_by_what_they_mean() -> None:
    for kind, word in (
        (meta_errors.Kind.THROTTLED, "throttled"),
        (meta_errors.Kind.UNAVAILABLE, "unavailable"),
        (meta_errors.Kind.CREDENTIALS, "credentials"),
    ):
        codes = [code for code, found in meta_errors._BY_CODE.items() if found is kind]
        [line] = [
            each for each in TEXT.splitlines() if re.match(rf"\| {codes[0]}\b.*\| {word} \|", each)
        ]
        assert {str(code) for code in codes} <= set(re.findall(r"\d+", line))


def test_the_page_names_the_sandboxes_ad_accounts() -> None:
    assert all(f"{account}" in TEXT for account in AD_ACCOUNTS.values())
