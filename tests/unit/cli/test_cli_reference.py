"""docs/cli.md is what the commands say of themselves."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.cli.app import COMMANDS
from engine.cli.settings_page import _pages, _told

if TYPE_CHECKING:
    from .conftest import Engine

DOCS = Path(__file__).parents[3] / "docs"


def words(text: str) -> str:
    """Leave out what another version of cyclopts might mark up otherwise."""
    return " ".join(re.findall(r"[A-Za-z]+", text))


def test_the_reference_is_written_from_the_commands(engine: "Engine") -> None:
    """`make docs` writes it anew."""
    code, out, _ = engine("config", "reference")
    assert code == 0
    assert words(out) == words((DOCS / "cli.md").read_text(encoding="utf-8"))
    assert [name for name in COMMANDS if f"## engine {name}\n" not in out] == []


def test_the_reference_of_settings_is_written_from_the_settings(engine: "Engine") -> None:
    code, out, _ = engine("config", "settings")
    assert code == 0
    assert out == (DOCS / "settings.md").read_text(encoding="utf-8")


def test_what_a_command_says_of_its_defaults_is_so() -> None:
    for page in _pages():
        told = _told(page.command) if page.command else {}
        for field in msgspec.structs.fields(page.settings):
            _, unless = told.get(field.name, ("", ""))
            if unless and field.default is not None:
                value = str(field.default).removesuffix(".0")
                # "9464, this machine only" says more than the value.
                assert f"{unless}, ".startswith(f"{value}, "), (page.title, field.name)


def test_every_listing_can_be_had_as_json() -> None:
    sections = re.split(r"^#+ engine ", (DOCS / "cli.md").read_text(encoding="utf-8"), flags=re.M)
    named = {section.splitlines()[0]: section for section in sections[1:]}
    services = {"worker", "market", "exporter", "gateway", "dashboard", "sandbox"}
    services |= {name.split()[0] for name in named if " " in name}  # groups of commands
    prints = {"completion", *(name for name in named if name.startswith("config "))}
    missing = [
        name
        for name, text in named.items()
        if name not in services | prints and "`--json" not in text
    ]
    assert missing == []
