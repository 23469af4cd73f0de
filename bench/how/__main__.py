"""`python -m bench.how`: draw docs/how/*.svg anew. Half a minute; needs the extra `plots`."""

import argparse
import sys
from pathlib import Path

from bench.how.draw import draw
from bench.how.run import run

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Run and draw."""
    parser = argparse.ArgumentParser(prog="python -m bench.how", description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="which market (7)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "how", help="folder")
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    for path in draw(run(seed=wanted.seed), wanted.out):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
