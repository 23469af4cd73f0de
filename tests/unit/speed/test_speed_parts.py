"""What the parts of `make bench` read out of what they started, and what they do when it fails."""

import json
import sys
from pathlib import Path

import pytest

from bench.speed import __main__ as speed
from bench.speed import parts
from bench.speed.figures import FIGURES, Results, load, merged, save

SWEPT: Results = {
    "bench": "sweep",
    "ingest_ns": 22.0,
    "ingest_floor_ns": 18.0,
    "ingest_floor_ratio": 0.818,
    "ingest_samples_per_s": 45e6,
    "sweep_ns": 9.0,
    "sweep_floor_ns": 8.5,
    "sweep_floor_ratio": 0.944,
    "tick_ms": 124.0,
    "bytes_per_slot": 1100.0,
}
RACED: Results = {
    "ingest_s": 0.024,
    "decide_s": 0.012,
    "core_ingest_s": 0.008,
    "core_decide_s": 0.001,
    "ran_campaigns": 100_000,
}


def test_ingest_is_judged_at_a_hundred_thousand_and_the_sweep_at_a_million() -> None:
    middle = parts.swept(SWEPT | {"campaigns": 100_000, "threads": 1})
    assert (middle["ingest_floor_ratio"], middle["bytes_per_slot"]) == (0.818, 1100.0)
    assert "sweep_floor_ratio" not in middle
    large = parts.swept(SWEPT | {"campaigns": 1_000_000, "threads": 1})
    assert (large["sweep_floor_ratio"], large["tick_1m_ms"]) == (0.944, 124.0)
    assert large["tick_1m_floor_ms"] == pytest.approx((18.0 + 8.5) * 4)
    assert "ingest_floor_ratio" not in large


def test_two_threads_are_judged_by_the_tick_alone() -> None:
    found = parts.swept(SWEPT | {"campaigns": 1_000_000, "threads": 2})
    assert found["tick_1m_ms_two_cores"] == 124.0
    assert "tick_1m_ms" not in found


def test_a_peer_is_told_in_multiples_of_the_cores_step() -> None:
    found = parts.raced(RACED | {"name": "numba", "campaigns": 100_000})
    assert found["vs_numba"] == pytest.approx(4.0)
    assert found["vs_numba_campaigns"] == 100_000
    assert found["numba_100000_ingest_ns"] == pytest.approx(60.0)
    assert found["core_100000_decide_ns"] == pytest.approx(10.0)


def test_a_peer_that_no_goal_is_set_for_is_kept_by_size_alone() -> None:
    found = parts.raced(RACED | {"name": "numpy, windows", "campaigns": 100_000})
    assert found["numpy_windows_100000_step_ms"] == pytest.approx(36.0)
    assert not [key for key in found if key.startswith("vs_")]


def test_a_decision_and_a_rounds_memory_are_read_from_the_lines_that_tell_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = {f"round_ms_{heard}": 1.0 for heard in ("none", "changed10", "all")}
    line |= {"round_floor_ms": 0.5, "bytes_per_slot_all": 2682, "solve_us": 36.2}
    monkeypatch.setattr(parts, "_cargo", lambda *_args, **_env: f"told\n{json.dumps(line)}\n")
    assert parts.criterion() == {"solve_us": 36.2}
    assert parts.rounds()["bytes_per_slot_all"] == 2682


def test_a_bench_that_tells_no_decision_fails_the_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_cargo", lambda *_args, **_env: "told\n")
    with pytest.raises(parts.PartFailedError, match="no solve_us"):
        parts.criterion()


def test_what_is_started_is_read_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = 'a table\n{"a": 1, "b": [2]}\n{"c": null}\n'
    assert list(parts._objects(lines)) == [{"a": 1}, {"c": None}]
    assert capsys.readouterr().err == "a table\n"


def test_a_part_that_fails_is_named_with_what_was_started() -> None:
    with pytest.raises(parts.PartFailedError, match="ended with 3"):
        parts._run([sys.executable, "-c", "raise SystemExit(3)"])


def test_a_part_that_fails_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> Results:
        raise parts.PartFailedError("`cargo bench` ended with 101")

    monkeypatch.setitem(parts.PARTS, "snapshot", fails)
    monkeypatch.setitem(parts.PARTS, "fleet", lambda: {"help_s": 0.25})
    save(merged({}, {"snapshot_copy_ratio": 1.5}), tmp_path / "results.json")  # of before
    assert speed.main(["snapshot", "fleet", "--out", str(tmp_path)]) == 1
    why = "PartFailedError: `cargo bench` ended with 101"
    assert f"snapshot: {why}" in capsys.readouterr().err
    results = load(tmp_path / "results.json")
    assert results["help_s"] == 0.25
    assert results["snapshot_copy_ratio"] is None
    assert results["snapshot_copy_ratio_why"] == why
    assert "**0.25** s" in (tmp_path / "speed.md").read_text()


def test_every_figure_is_a_parts_that_there_is() -> None:
    assert {figure.part for figure in FIGURES} <= set(parts.PARTS)


def test_results_are_json_that_others_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parts.PARTS, "fleet", lambda: {"help_s": 0.25})
    assert speed.main(["fleet", "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "results.json").read_text())["help_s"] == 0.25


def test_an_unknown_part_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        speed.main(["colour"])
    assert "a part must be one of sweep, snapshot," in capsys.readouterr().err
