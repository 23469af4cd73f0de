"""The benchmark from folder to JSON, on small days."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.quality.__main__ import SHIPPED, main
from bench.quality.days import read_folder
from bench.quality.entrants import ENTRANTS, Entrant, teach_fixed_bid
from bench.quality.replay import chance_of
from bench.quality.seen import Maker, PastDay
from bench.quality.tracks import Case, Plan, cases_of, judge_share
from support.auction_days import write_campaigns, write_day, write_folder

BASELINES = "rhdp-theta,dual-descent,pacing,fixed-bid"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    code = main(
        [*map(str, words), "--json", "--policies", BASELINES, "--processes", "1", "--without-d"]
    )
    assert code == 0
    last = capsys.readouterr().out.splitlines()[-1]
    return dict(json.loads(last))


def test_the_last_line_is_one_object_with_q_and_every_component(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path)
    out = tmp_path / "out"
    results = run(capsys, folder, "an_new", "--history", folder, "--seeds", 2, "--out", out)
    parts = ("s_hard_a", "s_hard_b", "s_soft_a_feasible", "r_f", "violations", "pace", "early")
    for name, one in results["policies"].items():
        gain = 0.35 * one["s_hard_a"] + 0.35 * one["s_hard_b"]
        gain += 0.15 * one["s_soft_a_feasible"] + 0.15 * (1 - one["r_f"])
        lost = 50 * max(0, one["violations"] - 0.02) + 20 * max(0, one["pace"] - 0.25)
        lost += 20 * max(0, one["early"] - 0.15)
        assert one["Q"] == pytest.approx(100 * gain - lost, abs=0.01), name
        assert set(one["tracks"]) == {"A", "B", "C"}
    assert all(results[part] == results["policies"]["rhdp-theta"][part] for part in parts)
    assert results["cases"]["A"]["all"] == 6
    assert results["cases"]["B"]["all"] == 2
    assert results["data"]["past"] == ["an_history_d0", "an_history_d1"]
    assert json.loads((out / "results.json").read_text()) == results
    assert (out / "results.svg").read_text().count("<svg") == 1


def test_the_same_command_gives_the_same_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path)
    first, second = (
        run(capsys, folder, "an_new", "--history", folder, "--seeds", 1) for _ in range(2)
    )
    for results in (first, second):
        del results["seconds"]
        for one in results["policies"].values():
            del one["decision_microseconds"]
    assert first == second


def test_without_past_days_policies_start_cold_and_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run(capsys, write_folder(tmp_path), "an_new", "--seeds", 1)
    assert "no past days: policies start cold" in results["notes"]
    assert results["Q"] is not None


def test_a_single_market_has_no_track_b_and_no_q(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_day(tmp_path, "solo", seed=1)
    write_campaigns(tmp_path, ["solo"])
    results = run(capsys, tmp_path, "solo", "--seeds", 1)
    assert results["Q"] is None
    assert results["policies"]["pacing"]["Q"] is None
    assert "B" not in results["tracks"]
    assert any("track B" in note for note in results["notes"])


def test_without_a_series_of_its_own_the_shipped_one_is_forecast(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path)
    (folder / "small_cpc_cpm.csv.gz").unlink()
    results = run(capsys, folder, "an_new", "--seeds", 1)
    assert any("shipped" in note for note in results["notes"])
    assert results["r_f"] == pytest.approx(0.3293, abs=5e-4)


def test_days_of_other_rounds_campaigns_and_place_of_the_table_run_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path / "days", rounds=24, campaigns=3)
    shutil.move(folder / "an_campaigns.csv", tmp_path / "an_campaigns.csv")
    results = run(capsys, folder, "an_new", "--history", folder, "--seeds", 1)
    assert results["cases"]["A"]["all"] == 9
    assert len(results["traffic_by_round"]) == 24


def test_a_day_never_teaches_the_policies_that_it_judges(tmp_path: Path) -> None:
    folder = read_folder(write_folder(tmp_path), "an_history", tmp_path)
    assert sorted(folder.days) == ["an_history_d0", "an_history_d1"]
    assert [day.name for day in folder.past_without(["an_history_d0"])] == ["an_history_d1"]
    pair = [case for case in cases_of(folder) if case.track == "B"]
    assert {case.markets for case in pair} == {("an_history_d0", "an_history_d1")}
    assert folder.past_without(pair[0].markets) == ()


@pytest.mark.parametrize("history", [[], ["--history", "."]], ids=["cold", "taught"])
@pytest.mark.parametrize("rounds", [24, 48])
def test_the_engine_takes_part_in_every_track(
    rounds: int,
    history: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_folder(tmp_path, rounds=rounds)
    monkeypatch.chdir(tmp_path)
    words = [".", "an_new", *history, "--seeds", "1", "--policies", "engine", "--json"]
    words.append("--without-d")
    assert main(words) == 0  # two processes
    results = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert results["policy"] == "engine"
    for track in "ABC":
        for goal in ("hard", "soft"):
            assert 0 < results["tracks"][track][goal]["spend"] <= 1, (track, goal)
    assert results["r_f"] < 1


def test_judging_teaches_from_the_other_past_days_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[tuple[str, ...]] = []

    def teach(past: Sequence[PastDay], rounds: int) -> Maker:
        taught.append(tuple(day.name for day in past))
        return teach_fixed_bid(past, rounds)

    monkeypatch.setitem(ENTRANTS, "spy", Entrant("spy", "", teach, "ols-24h", False))
    folder = write_folder(tmp_path)
    plan = Plan(folder=folder, prefix="an_history", history=folder, policies=("spy",), seeds=(0,))
    judge_share(plan, list(cases_of(read_folder(folder, "an_history", folder))))
    assert sorted(taught) == [(), ("an_history_d0",), ("an_history_d1",)]


def test_luck_is_the_same_for_the_same_seed_and_another_for_another(tmp_path: Path) -> None:
    folder = read_folder(write_folder(tmp_path), "an_new", None)
    lines = folder.days["an_new_m0"][:1]
    first, again, other = (chance_of(lines, seed).lines[0].second for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", "an_new"), "nowhere"),
        ((".", "other"), "other"),
        ((".", "an_new", "--history", "empty"), "past days"),
    ],
)
def test_a_folder_that_is_not_as_wanted_is_said_and_ends_with_2(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--policies", BASELINES]) == 2
    assert said in capsys.readouterr().err


def test_a_table_without_a_column_and_a_file_without_an_array_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path)
    (folder / "an_new_m1.npz").write_bytes(b"PK nonsense")
    assert main([str(folder), "an_new", "--policies", BASELINES]) == 2
    assert "an_new_m1" in capsys.readouterr().err
    (folder / "an_campaigns.csv").write_text("market,campaign,cpa\n")
    assert main([str(folder), "an_new", "--policies", BASELINES]) == 2
    assert "lacks budget" in capsys.readouterr().err


def test_a_policy_of_no_such_name_is_refused_with_the_names_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path), "an_new", "--policies", "oracle"])
    assert "fixed-bid" in capsys.readouterr().err


def test_the_fixed_bid_scores_what_was_shipped_for_it() -> None:
    with (SHIPPED / "reference_policy_scores.csv").open(newline="") as lines:
        shipped = {
            (row["market"], int(row["campaign"])): row
            for row in csv.DictReader(lines)
            if row["policy"] == "Truth"
        }
    cases = [Case(track="A", markets=("an_dev_m0",), campaign=j) for j in range(12)]
    plan = Plan(
        folder=SHIPPED, prefix="an_dev_m0", history=None, policies=("fixed-bid",), seeds=(0, 1)
    )
    judged = judge_share(plan, cases)
    own = judged.of("A", "soft", "fixed-bid")
    rows = [shipped[case.markets[0], case.campaign] for case in judged.cases("A")]
    for name, best in (("oracle", own.soft_best), ("oracle_hard", own.hard_best)):
        assert best.tolist() == pytest.approx([float(row[name]) for row in rows], rel=2e-3)
    score = sum(float(row["score"]) for row in rows)
    assert own.scores["soft"].mean(axis=1).sum() == pytest.approx(score, rel=0.02)
