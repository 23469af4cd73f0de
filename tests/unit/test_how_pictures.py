"""docs/how-it-decides.md: its pictures are those that bench/how draws, and small."""

import re
from pathlib import Path

import pytest

from bench.how.draw import PICTURES
from bench.how.run import held_cvr

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-it-decides.md"


def test_the_page_shows_every_picture_that_is_drawn_and_no_other() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(how/([a-z]+)\.svg\)", PAGE.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(PICTURES)
    assert sorted(path.stem for path in PAGE.parent.glob("how/*")) == sorted(PICTURES)


def test_pictures_are_small() -> None:
    assert [path for path in PAGE.parent.glob("how/*") if path.stat().st_size >= 40_000] == []


def test_what_the_page_says_of_one_click_that_converted_is_so() -> None:
    assert "One click that converted is held at 4 %" in PAGE.read_text(encoding="utf-8")
    assert held_cvr(1, 1)[0] == pytest.approx(0.04, abs=0.005)
    # After one report some conversions may be late: a little more is held than was seen.
    assert 0.01 < held_cvr(3_000, 30)[0] < 0.01 / 0.7
