"""What a module exports is said in `__all__` (ruff sorts it), and is there."""

import importlib
import pkgutil
from types import ModuleType

import pytest

import engine
from engine import errors

NAMES = sorted(
    module.name
    for module in pkgutil.walk_packages(engine.__path__, "engine.")
    if not module.name.endswith(("__main__", "._core"))
)


@pytest.mark.parametrize("name", NAMES)
def test_a_module_exports_what_it_says(name: str) -> None:
    module: ModuleType = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert [n for n in exported if not hasattr(module, n)] == []
    own = [
        n
        for n, value in vars(module).items()
        if not n.startswith("_") and getattr(value, "__module__", None) == name
    ]
    assert [n for n in own if n not in exported] == [], "public, but not in __all__"


def test_every_error_has_one_root() -> None:
    classes = [getattr(errors, name) for name in errors.__all__]
    assert all(issubclass(cls, errors.EngineError) for cls in classes)
