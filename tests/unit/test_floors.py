"""The house has floors: a part imports itself and lower floors, never sideways or up."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine

FLOORS = [
    {"errors", "clock", "_core"},
    {"domain"},
    {"core"},
    {"market", "reports", "backtest"},
    {"messaging", "fleet", "platforms", "endpoint"},
    {"worker", "simulation", "campaigns", "logs", "gateway", "sandbox", "dashboard", "metrics"},
    {"wiring"},
    {"cli"},
]
FLOOR_OF = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}
TOP = len(FLOORS) - 1
OWNERS = {"wiring", "cli"}  # of the process: signals, arguments, environment
ROOT = Path(engine.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def owns_the_process(path: Path) -> bool:
    """Whether a module may touch signals, arguments and the environment."""
    return path.name == "__main__.py" or part_of(path) in OWNERS


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def attributes_of(path: Path) -> set[str]:
    return {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_part_imports_only_itself_and_lower_floors(path: Path) -> None:
    part = part_of(path)
    floor = TOP + 1 if path.name == "__main__.py" else FLOOR_OF[part]
    for imported in {name.split(".")[1] for name in imports_of(path) if name.startswith("engine.")}:
        assert imported == part or FLOOR_OF[imported] < floor, f"{part} imports {imported}"


def test_only_core_knows_the_rust_extension() -> None:
    importers = {part_of(p) for p in MODULES if any("_core" in n.split(".") for n in imports_of(p))}
    assert importers == {"core"}


def test_only_one_module_knows_the_nats_client() -> None:
    importers = [named(p) for p in MODULES if any(n.split(".")[0] == "nats" for n in imports_of(p))]
    assert importers == ["messaging/nats.py"]


def test_only_one_module_knows_opentelemetry() -> None:
    importers = [
        named(p) for p in MODULES if any(n.split(".")[0] == "opentelemetry" for n in imports_of(p))
    ]
    assert importers == ["wiring/otel.py"]


def test_only_the_clock_reads_the_time() -> None:
    forbidden = {"time.time", "time.monotonic", "datetime.now", "asyncio.sleep", "time.sleep"}
    readers = [named(p) for p in MODULES if forbidden & attributes_of(p)]
    assert readers == ["clock.py"]


def test_only_the_top_floors_touch_the_process() -> None:
    forbidden = {"sys.argv", "os.environ", "os.getenv", "signal.signal", "sys.exit"}
    others = [path for path in MODULES if not owns_the_process(path)]
    touching = [named(path) for path in others if forbidden & attributes_of(path)]
    assert touching == []


def test_parts_without_io_import_none() -> None:
    forbidden = {"asyncio", "socket", "subprocess", "pathlib", "os", "structlog"}
    for path in MODULES:
        if FLOOR_OF[part_of(path)] <= FLOOR_OF["market"] and part_of(path) != "clock":
            assert not forbidden & {n.split(".")[0] for n in imports_of(path)}, named(path)
