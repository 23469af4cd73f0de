"""Check the last line of `engine demo --json`: it decided, it spent, and nothing went wrong."""

import json
import sys
from pathlib import Path

FIELDS = """campaigns workers rounds decisions samples spend_micros budget_micros overspent_campaigns
conversions value_micros roas stale gaps duplicates""".split()


def main(path: str) -> int:
    result = json.loads(Path(path).read_text())
    wrong = [f"{field} is missing" for field in FIELDS if field not in result]
    wrong += [
        f"{field} must be above 0, was {result[field]}"
        for field in ("rounds", "decisions", "samples", "spend_micros", "conversions")
        if not result.get(field)
    ]
    wrong += [
        f"{field} must be 0, was {result[field]}"
        for field in ("overspent_campaigns", "stale", "gaps", "duplicates")
        if result.get(field) != 0
    ]
    if result.get("spend_micros", 0) > result.get("budget_micros", 0):
        wrong.append(f"spend {result['spend_micros']} is above budget {result['budget_micros']}")
    for line in wrong:
        sys.stderr.write(f"demo: {line}\n")
    sys.stdout.write(f"demo: {result}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
