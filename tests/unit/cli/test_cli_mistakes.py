"""Values that make no sense: one line that says what was wanted and what was found, exit code 2."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.cli.arguments import time_of
from engine.clock import SystemClock
from engine.domain.ids import PARTITIONS
from engine.errors import ConfigError
from engine.wiring import open_broker

if TYPE_CHECKING:
    from .conftest import Engine


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["list", "--limit", "1.5"], "--limit: a whole number, found '1.5'"),
        (["list", "-n", "many"], "-n: a whole number, found 'many'"),
        (["changes", "--limit", "2e3"], "--limit: a whole number, found '2e3'"),
        (["decisions", "--limit", "1.5"], "--limit: a whole number, found '1.5'"),
        (["dead", "show", "1.5"], "SEQUENCE: a whole number, found '1.5'"),
        (["dead", "retry", "1", "x"], "SEQUENCES: a whole number, found 'x'"),
        (["replay", "--partition", "1.5"], "--partition: a whole number, found '1.5'"),
        (["replay", "--window", "64.5"], "--window: a whole number, found '64.5'"),
        (["top", "--every", "often"], "--every: a number, found 'often'"),
        (["top", "--limit", "1.5"], "--limit: a whole number, found '1.5'"),
        (["halt", "--wait", "long"], "--wait: a number, found 'long'"),
        (["changes", "--platform", "A b"], "changes: --platform such as google, found 'A b'"),
        (
            ["changes", "--ad-account", "1 2"],
            "changes: --ad-account of 1 to 64 of A-Z a-z 0-9 _ -, found '1 2'",
        ),
        (["pause", "a", "--expect", "2"], "pause: --expect goes with --where, found ids"),
        (
            ["stop", "--where", "roi<0", "--expect", "-2"],
            "stop: --expect of 0 or more, found -2",
        ),
        (
            ["rollback"],
            "rollback: one of --to TIME, --change ID and --release, found none",
        ),
        (
            ["rollback", "--release", "--to", "1h"],
            "rollback: one of --to TIME, --change ID and --release, found 2 of them",
        ),
        (["demo", "--seed", "-1"], "--seed: at least 0, at most 9223372036854775807, found -1"),
        (["demo", "--workers", "99"], "--workers: at least 1, at most 64, found 99"),
        (["demo", "--campaigns", "2.5"], "--campaigns: a whole number, found '2.5'"),
        (
            ["demo", "--dashboard-port", "99999"],
            "--dashboard-port: at least 1, at most 65535, found 99999",
        ),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_what_makes_no_sense_is_one_line(engine: "Engine", arguments: list[str], line: str) -> None:
    code, out, err = engine(*arguments)
    assert (code, out) == (2, "")
    assert err in (f"engine: {line}\n", f"engine {line}\n")


def test_an_empty_expression_chooses_nothing_anywhere(engine: "Engine") -> None:
    for command in ("top", "list", "pause"):
        code, out, err = engine(command, "--where", "")
        assert (code, out) == (2, "")
        assert err.startswith("engine: --where: ")


@pytest.mark.parametrize("flag", ["--report", "--snapshot"])
def test_a_demo_whose_result_could_not_be_written_does_not_begin(
    engine: "Engine", flag: str, tmp_path: Path
) -> None:
    file, nowhere = tmp_path / "file", tmp_path / "nowhere"
    file.write_text("")
    for path, found in (
        (tmp_path, "a directory"),
        (nowhere / "x.html", f"no directory {nowhere}"),
        (file / "x.html", f"no directory {file}"),
    ):
        wanted = f"engine: {flag} {path}: a file to write, found {found}\n"
        assert engine("demo", "--duration", "1", flag, path) == (2, "", wanted)


def test_a_demo_has_a_directory_or_does_not_begin(engine: "Engine", tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    wanted = f"engine: --store {file}: a directory to write in, found File exists\n"
    assert engine("demo", "--duration", "1", "--store", file) == (2, "", wanted)


@pytest.mark.parametrize(
    "url",
    ["nats://127.0.0.1:99999", "nats://127.0.0.1:port", "nats://[::1", "nats://a:1,nats://b:x"],
)
async def test_an_address_that_cannot_be_is_refused_before_it_is_tried(url: str) -> None:
    with pytest.raises(ConfigError, match="URL such as nats"):
        async with open_broker(url, name="test"):
            pass


def test_a_dry_run_of_the_kill_switch_looks_and_turns_nothing(engine: "Engine") -> None:
    wanted = f"would halt every campaign: {PARTITIONS} partitions to turn\n"
    assert engine("halt", "--dry-run") == (0, wanted, "")
    found = json.loads(engine("halt", "--dry-run", "--json").out)
    assert (found["turned"], found["is_dry_run"]) == (PARTITIONS, True)
    assert engine("halt", "--off", "--dry-run").out.endswith("bid again: 0 partitions to turn\n")
    engine("halt", "--yes", "--wait", "0")
    assert engine("halt", "--dry-run").out == "would halt every campaign: 0 partitions to turn\n"


def test_a_dry_run_of_the_kill_switch_knows_an_account_of_nobody(engine: "Engine") -> None:
    wanted = "engine: --account: an account that campaigns name, found 'acme'\n"
    assert engine("halt", "--account", "acme", "--dry-run") == (2, "", wanted)


def test_now_is_a_time_that_can_be_counted_with() -> None:
    before = SystemClock().now()
    found = time_of("--from", "now")
    assert found is not None
    assert before <= found <= SystemClock().now()
