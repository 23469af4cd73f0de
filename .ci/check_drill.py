"""Check the last line of `make drill`: it decided under faults, and nothing went wrong.

With `--toothless` that of `make drill-teeth`: stale decisions were there, and were found.
"""

import json
import sys
from pathlib import Path

ABOVE_ZERO = ["accepted", "rounds", "samples", "takes", "replayed_rounds"]
ZERO = ["stale", "gaps", "duplicates", "lost_samples", "overspend_micros", "replay_differs"]


def main(path: str, *, toothless: bool) -> int:
    result = json.loads(Path(path).read_text())
    if toothless:
        wrong = [] if result["stale"] > 0 and not result["ok"] else ["no stale decision was found"]
    else:
        wrong = [f"{field} must be above 0" for field in ABOVE_ZERO if not result[field]]
        wrong += [f"{field} must be 0, was {result[field]}" for field in ZERO if result[field]]
        if sum(result["faults"].values()) < 3:
            wrong.append(f"three faults at least, found {result['faults']}")
        if not result["ok"]:
            wrong.append(f"not ok: {result['findings']} {result['not_recovered']}")
    for line in wrong:
        sys.stderr.write(f"drill: {line}\n")
    sys.stdout.write(f"drill: {result}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1], toothless="--toothless" in sys.argv))
