"""Exit codes and the one line on stderr, whatever happens."""

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.cli.__main__ import run
from engine.cli.app import COMMANDS
from engine.errors import BrokerError, ConfigError

if TYPE_CHECKING:
    from .conftest import Engine


def broken_by(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("engine.cli.session.open_broker", fail)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BrokerError("no broker at x"), 1, "engine: no broker at x\n"),
        (ConfigError("no such setting"), 2, "engine: no such setting\n"),
        (KeyboardInterrupt(), 130, "engine: interrupted\n"),
        (ExceptionGroup("g", [BrokerError("it left")]), 1, "engine: it left\n"),
    ],
)
def test_what_goes_wrong_is_one_line(
    engine: "Engine",
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    line: str,
) -> None:
    broken_by(error, monkeypatch)
    assert engine("list") == (code, "", line)


def test_notes_of_an_error_are_told_with_it(
    engine: "Engine", monkeypatch: pytest.MonkeyPatch
) -> None:
    error = BrokerError("it left")
    error.add_note("run it again")
    broken_by(error, monkeypatch)
    assert engine("list").err == "engine: it left; run it again\n"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["publsh"], "no command 'publsh' (did you mean publish?)"),
        (["xyzzy"], "no command 'xyzzy'; engine --help"),
        (["list", "--stat", "active"], "--stat"),
        (["list", "--state", "actve"], 'Did you mean "active"?'),
        (["list", "--limit", "many"], "many"),
        (["show"], "requires an argument"),
        (["decisions", "--limit", "-1"], "--limit of 0 or more, found -1"),
    ],
)
def test_what_is_not_understood_is_one_line_and_exit_code_2(
    engine: "Engine", arguments: list[str], hint: str
) -> None:
    code, out, err = engine(*arguments)
    assert (code, out) == (2, "")
    assert hint in err
    assert err.count("\n") == 1


def test_help_names_every_command_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f" {command} " in out for command in COMMANDS)
    script = (
        "import sys; from engine.cli.__main__ import run; run(['--help']);"
        "print([m for m in ('nats', 'yaml', 'numpy', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_leaves_early_hears_no_complaint() -> None:
    script = f"{sys.executable} -m engine.cli config schema | head -1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_the_schema_is_printed_as_json(engine: "Engine") -> None:
    assert json.loads(engine("config", "schema").out)["title"] == "Campaigns"


@pytest.mark.parametrize("command", ["publish", "metrics", "list", "show", "decisions", "stop"])
def test_each_command_explains_itself(engine: "Engine", command: str) -> None:
    code, out, _ = engine(command, "--help")
    assert code == 0
    assert "--json" in out
    assert "--nats" in out


def test_the_examples_are_where_the_documentation_says() -> None:
    examples = Path(__file__).parents[3] / "examples"
    names = {path.name for path in examples.iterdir()}
    assert {"campaigns.yaml", "campaigns.csv", "metrics.csv", "consumer.py"} <= names


def test_a_disk_that_is_full_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "engine.cli", "config", "settings"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "engine: No space left on device\n")


def test_what_is_not_the_systems_own_trouble_keeps_its_traceback(
    engine: "Engine", monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_by(TimeoutError(), monkeypatch)
    with pytest.raises(TimeoutError):
        engine("list")
