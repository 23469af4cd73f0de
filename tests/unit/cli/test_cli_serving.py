"""What commands that serve share: where their settings are from, and what they are called."""

import importlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cli import market, serving
from engine.domain.ids import is_campaign_id

SERVICES = ["dashboard", "exporter", "gateway", "market", "sandbox", "worker"]


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_takes_the_file_of_settings_that_the_environment_names(
    service: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("log_level: loud\n")
    monkeypatch.setenv("ENGINE_CONFIG", str(file))
    command = importlib.import_module(f"engine.cli.{service}").command
    assert command() == 2
    wanted = f"engine {service}: {file}: log_level: one of debug, info, warning, error"
    assert capsys.readouterr().err == f"{wanted}, found 'loud'\n"


@pytest.mark.parametrize("service", SERVICES)
def test_a_flag_goes_before_the_file(
    service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = importlib.import_module(f"engine.cli.{service}").command
    file = tmp_path / "settings.yaml"
    file.write_text("log_level: warning\n")
    assert command(config=str(file), log_level="quiet") == 2
    assert "--log-level: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "text"), [("step", "fast"), ("seed", "x"), ("day_seconds", "0"), ("log_level", "loud")]
)
def test_a_market_that_makes_no_sense_is_refused_in_one_line(
    flag: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert market.command(**{flag: text}) == 2
    name = f"--{flag.replace('_', '-')}"
    assert re.fullmatch(f"engine market: {name}: .*, found '{text}'\n", capsys.readouterr().err)


def test_a_name_of_its_own_is_one_of_the_broker_whatever_the_host_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "büro.example." * 9)
    for kind in ("", "gateway"):
        name = serving.own_name(kind)
        assert is_campaign_id(name)
        assert name.endswith(f"{kind}-{os.getpid()}")


def test_a_worker_without_a_page_does_not_import_what_makes_one() -> None:
    script = "import sys, engine.cli.worker; print('prometheus_client' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_a_worker_connects_before_it_imports_what_rounds_need() -> None:
    heavy = "sorted({'numpy', 'engine._core'} & set(sys.modules))"
    script = f"import sys, engine.cli.worker; print({heavy})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
