"""Check the last line of `engine demo --json`: it decided, it spent, and nothing went wrong."""

import json
import sys
from pathlib import Path

ABOVE_ZERO = ["rounds", "decisions", "samples", "spend_micros", "conversions"]
ZERO = ["overspent_campaigns", "stale", "gaps", "duplicates"]
FIELDS = ["campaigns", "workers", "budget_micros", "value_micros", "roas", *ABOVE_ZERO, *ZERO]


def main(path: str) -> int:
    result = json.loads(Path(path).read_text())
    wrong = [f"{field} is missing" for field in FIELDS if field not in result]
    wrong += [
        f"{field} must be above 0, was {result[field]}"
        for field in ABOVE_ZERO
        if not result.get(field)
    ]
    wrong += [f"{field} must be 0, was {result[field]}" for field in ZERO if result.get(field) != 0]
    if result.get("spend_micros", 0) > result.get("budget_micros", 0):
        wrong.append(f"spend {result['spend_micros']} is above budget {result['budget_micros']}")
    for line in wrong:
        sys.stderr.write(f"demo: {line}\n")
    sys.stdout.write(f"demo: {result}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
