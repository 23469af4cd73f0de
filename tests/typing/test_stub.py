"""The hand-written stub of the core says what is there: mypy's stubtest compares the two."""

import subprocess
import sys
from pathlib import Path

import engine


def test_the_stub_of_the_core_is_true() -> None:
    package = Path(engine.__file__).parent
    found = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "engine._core", "--concise"],
        cwd=package.parent,
        env={"MYPYPATH": str(package.parent), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
