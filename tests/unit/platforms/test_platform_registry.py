"""Adapters by name: our own, third parties', and what is said where one is not to be had."""

import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.platforms.credentials import Credentials, Secret
from engine.platforms.registry import GROUP, OWN, make_platform, platform_names
from support.clock import ManualClock

ROOT = Path(__file__).parents[3]


def credentials(name: str) -> Credentials:
    return Credentials(name, {"token": Secret("s3cret")}, source="a test")


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Yield a folder whose packages are installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("third_party")]:
        del sys.modules[name]


def install(folder: Path, package: str, entry: str, code: str) -> None:
    module = entry.partition("=")[2].strip().partition(":")[0]
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entry}\n")
    importlib.invalidate_caches()


def test_our_own_adapters_are_entry_points_of_the_package_too() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"][GROUP] == OWN
    assert set(OWN) <= set(platform_names())


def test_a_third_partys_adapter_is_found_by_its_entry_point(packages: Path) -> None:
    code = "def make(credentials, *, clock):\n    return credentials, clock\n"
    install(packages, "pinboard", "pinboard = third_party_pin:make", code)
    assert "pinboard" in platform_names()
    own, clock = credentials("pinboard"), ManualClock()
    made: object = make_platform("pinboard", own, clock=clock)
    assert made == (own, clock)


def test_a_name_that_nobody_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"an ad platform wanted \(.*google.*\), found 'gogle'"):
        make_platform("gogle", credentials("gogle"), clock=ManualClock())


def test_a_name_that_two_packages_claim_is_refused_with_both(packages: Path) -> None:
    install(packages, "one", "pinboard = third_party_one:make", "make = None")
    install(packages, "two", "pinboard = third_party_two:make", "make = None")
    with pytest.raises(ConfigError, match="one adapter wanted, found one in each of one and two"):
        make_platform("pinboard", credentials("pinboard"), clock=ManualClock())


def test_a_third_party_does_not_take_the_place_of_our_own(packages: Path) -> None:
    install(packages, "thief", "google = third_party_thief:make", "raise SystemExit")
    with pytest.raises(Exception, match="refresh_token"):
        make_platform("google", credentials("google"), clock=ManualClock())


def test_an_adapter_whose_entry_point_names_nothing_is_said_to(packages: Path) -> None:
    install(packages, "pinboard", "pinboard = third_party_gone:make", "")
    with pytest.raises(ConfigError, match="third_party_gone:make wanted, found no 'make'"):
        make_platform("pinboard", credentials("pinboard"), clock=ManualClock())


def test_a_third_partys_missing_package_is_named(packages: Path) -> None:
    install(packages, "pinboard", "pinboard = third_party_lost:make", "import not_there_at_all")
    with pytest.raises(ConfigError, match="a package that is not there: not_there_at_all"):
        make_platform("pinboard", credentials("pinboard"), clock=ManualClock())


WITHOUT = """
import sys
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"google", "grpc"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Nowhere())
from engine.clock import SystemClock
from engine.errors import ConfigError
from engine.platforms.credentials import Credentials
from engine.platforms.registry import make_platform, platform_names
assert "google" in platform_names()
try:
    make_platform("google", Credentials("google", {}, source="x"), clock=SystemClock())
except ConfigError as error:
    print(error)
"""


def test_without_the_extra_one_clear_line_says_what_to_install() -> None:
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=ROOT / "python",
    )
    assert said.stdout == "google needs: pip install 'campaign-engine[google]'\n"


def test_nothing_of_google_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys, engine.platforms.registry as r; r.platform_names();"
        " sys.exit(any(n.startswith(('grpc', 'google.ads')) for n in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=ROOT / "python")
