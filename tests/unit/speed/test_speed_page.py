"""The page of `make bench`: all figures beside their goals, of the results and nothing else."""

import xml.etree.ElementTree as ET
from pathlib import Path

from bench.speed.draw import draw
from bench.speed.figures import FIGURES, Results, load, merged
from bench.speed.page import number, render
from bench.speed.sizes import by_size

BENCH = Path(__file__).parents[3] / "bench"
SVG = "{http://www.w3.org/2000/svg}"


def test_the_committed_page_is_that_of_the_committed_results() -> None:
    assert (BENCH / "speed.md").read_text() == render(load(BENCH / "results.json"))


def test_every_figure_is_on_the_page_with_its_goal() -> None:
    rows = [line for line in render(merged({}, {})).splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [figure.key for figure in FIGURES]
    assert all("not measured yet" in row for row in rows)


def test_a_figure_stands_beside_its_floor_and_says_whether_it_is_reached() -> None:
    found: Results = {"ingest_floor_ratio": 0.84, "ingest_floor_ns": 18.31}
    page = render(merged({}, found))
    (row,) = [line for line in page.splitlines() if "`ingest_floor_ratio`" in line]
    assert "**0.84**" in row
    assert "18.3 ns a sample" in row
    assert row.endswith("| ≥ 0.8 | yes |")


def test_a_peer_that_was_scaled_is_marked() -> None:
    found: Results = {
        "river_10000_step_ms": 1500.0,
        "river_10000_core_step_ms": 2.0,
        "river_10000_ingest_ns": 15_000.0,
        "river_10000_decide_ns": 50_000.0,
        "river_10000_ran": 1000,
    }
    page = render(merged({}, found))
    assert "| 10,000 | river (scaled from 1,000) | 15,000 | 50,000 | 1,500 | 2 ms | 750 |" in page


def test_a_reason_is_shown_where_there_is_no_figure() -> None:
    page = render(merged({}, {"tick_1m_ms": None, "tick_1m_ms_why": "12 GB wanted, 3.0 free"}))
    assert "not measured: 12 GB wanted, 3.0 free" in page


def test_the_page_names_only_pictures_that_are_drawn(tmp_path: Path) -> None:
    draw(load(BENCH / "results.json"), tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    page = render(load(BENCH / "results.json"))
    named = {part.split(")")[0] for part in page.split("](speed/")[1:]}
    assert named == drawn
    assert all(ET.parse(path).getroot().tag == f"{SVG}svg" for path in tmp_path.iterdir())


def test_pictures_are_drawn_of_no_results_at_all(tmp_path: Path) -> None:
    draw({}, tmp_path)
    assert "not measured" in (tmp_path / "linear.svg").read_text()


def test_sizes_are_found_in_keys_and_not_confused() -> None:
    results: Results = {
        "numpy_100000_step_ms": 2.0,
        "numpy_10000_step_ms": 1.0,
        "numpy_windows_10000_step_ms": 9.0,
        "numpy_10000_core_step_ms": 8.0,
        "numpy_1000000_step_ms": None,
        "not_numpy_1000_step_ms": 7.0,
    }
    assert by_size(results, "numpy", "step_ms") == [(10_000, 1.0), (100_000, 2.0)]


def test_numbers_have_three_digits_that_count() -> None:
    assert [number(one) for one in (0.8423, 18.31, 46_123_456.0, 0, "a machine")] == [
        "0.842",
        "18.3",
        "46,123,456",
        "0",
        "a machine",
    ]
