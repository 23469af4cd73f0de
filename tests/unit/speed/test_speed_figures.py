"""The results of `make bench`: which figures there must be, and what a part leaves of others."""

from pathlib import Path

from bench.speed.figures import FIGURES, Results, load, merged, save

COMMITTED = Path(__file__).parents[3] / "bench" / "results.json"
WANTED = (
    *("ingest_floor_ratio", "ingest_samples_per_s", "sweep_floor_ratio", "tick_1m_ms"),
    *("round_ms_changed10", "round_ms_all", "solve_us"),
    *("vs_numba", "vs_numpy", "vs_go", "vs_river", "vs_python"),
    *("jetstream_samples_per_s", "jetstream_cpu_s_per_million"),
    *("latency_p50_ms", "latency_p99_ms", "start_s", "help_s"),
    *("bytes_per_slot", "snapshot_copy_ratio"),
)


def test_every_figure_that_was_asked_for_is_in_the_committed_results() -> None:
    results = load(COMMITTED)
    assert [key for key in WANTED if key not in results] == []
    assert [figure.key for figure in FIGURES if figure.key not in results] == []


def test_results_are_flat_and_nothing_in_them_is_made_up_of_nothing() -> None:
    for key, found in load(COMMITTED).items():
        assert found is None or isinstance(found, int | float | str), key
        assert not isinstance(found, float) or 0 <= found < float("inf"), key


def test_what_was_never_measured_is_null() -> None:
    results = merged({}, {"vs_numba": 4.0})
    assert results["vs_numba"] == 4.0
    assert results["vs_go"] is None
    assert list(results) == [figure.key for figure in FIGURES]


def test_a_part_leaves_the_figures_of_others_as_they_were() -> None:
    before: Results = {"vs_numba": 4.0, "help_s": 0.2, "measured_fleet": "then"}
    results = merged(before, {"vs_numba": 4.5})
    assert (results["vs_numba"], results["help_s"]) == (4.5, 0.2)
    assert results["measured_fleet"] == "then"


def test_a_reason_goes_once_there_is_a_figure() -> None:
    without = merged({}, {"sweep_floor_ratio": None, "sweep_floor_ratio_why": "12 GB wanted"})
    assert without["sweep_floor_ratio_why"] == "12 GB wanted"
    assert "sweep_floor_ratio_why" not in merged(without, {"sweep_floor_ratio": 0.95})


def test_a_goal_is_the_least_or_the_most_that_will_do() -> None:
    figures = {figure.key: figure for figure in FIGURES}
    for key, good, bad in (("vs_numba", 3.5, 3.4), ("help_s", 0.3, 0.31)):
        assert figures[key].reached({key: good}) is True
        assert figures[key].reached({key: bad}) is False
        assert figures[key].reached({key: None}) is None


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    results = merged({}, {"vs_numba": 4.25, "machine": "a quiet one"})
    save(results, tmp_path / "results.json")
    assert load(tmp_path / "results.json") == results
    assert load(tmp_path / "other.json") == {}
