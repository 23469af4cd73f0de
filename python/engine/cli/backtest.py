"""`engine backtest`: the engine over a log of one's own."""

import difflib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from cyclopts import Parameter

from engine.backtest.changes import Change, apply_changes, parse_change
from engine.backtest.log import Log, Rows, cadence_ms, rows_of
from engine.backtest.responses import fit
from engine.backtest.results import CampaignResult, Inputs, Results, campaign_results
from engine.backtest.run import Observed, Outcome, Simulated, World, run
from engine.campaigns.files.reader import read_definitions
from engine.cli.arguments import Whole
from engine.cli.output import as_json, complain, progress, say, show_problems
from engine.cli.session import AsJson
from engine.core.book import CoreError
from engine.domain.campaign import Definition
from engine.domain.money import from_micros
from engine.errors import ConfigError
from engine.logs.mapping import mapping_of, parse_map
from engine.logs.reader import LogError, read_log
from engine.wiring.settings import read_file

__all__ = ["command"]

DONE, NOT_UNDERSTOOD = 0, 2
USUAL_WINDOW = 64
SHORTEST_S, LONGEST_S = 0.02, 86_400.0
MAPPED = frozenset({".yaml", ".yml", ".json"})

Mode = Literal["observe", "simulate", "both"]


def command(
    log: Path,
    *,
    campaigns: Path,
    map_: Annotated[list[str] | None, Parameter(name="--map", negative="")] = None,
    out: Path | None = None,
    mode: Mode = "both",
    interval: float | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    seed: Whole = 0,
    charts: Whole = 3,
    json: AsJson = False,
) -> int:
    """Run the engine over a log of your own, and report what it would have made of it.

    The log holds a row for each campaign, platform and stretch of time: campaign, platform, at (the
    end of the stretch), clicks, spend, and where known impressions, conversions and bid. CSV, JSON
    Lines or Parquet, told by the file's ending.

    A log shows outcomes only at the bids that were in force. "observe" takes it as it happened:
    forecasts are scored, and the engine's bids shown beside the log's. "simulate" lets a response
    model, fitted from the log, answer the engine's bids; regret is then known, inside that model.

    Parameters
    ----------
    log
        The log.
    campaigns
        The campaigns: a file as for `engine publish`; "now" is where the log begins. In YAML and
        JSON it may map the log's columns, under `columns`.
    map_
        The column a field is read from, or an SQL expression over columns: spend=cost_micros/1e6.
    out
        Write results.json and report.html to this folder.
    mode
        What to run.
    interval
        Seconds between rounds; the log's own cadence where not given.
    set_
        Change campaigns: max_change=0.2, budget=x1.5, strategy=even-pacing; window=32 the engine's.
    seed
        Of the simulation's chance.
    charts
        How many campaigns, by spend, the report draws.
    """
    changes = [parse_change(text) for text in set_ or ()]
    _check(interval=interval, charts=charts, seed=seed, out=out)
    mapping = _mapping(campaigns, map_ or [])
    try:
        with progress("reading the log", None):
            found = read_log(log, mapping)
    except LogError as error:
        for row in error.rows:
            complain(f"{log}: {row}")
        if error.count > len(error.rows):
            complain(f"… and {error.count - len(error.rows):,} more")
        raise
    if not len(found):
        raise ConfigError(f"{log}: at least one row, found none")
    definitions = _definitions(campaigns, found, changes)
    rows = _rows(log, found, definitions)
    ran = _Backtest(rows, mode, interval, changes, seed, charts)
    results = ran.results()
    if out is not None:
        _write(out, ran, results, log=log.name)
    if json:
        as_json(results)
    else:
        _tell(results, out)
    return DONE


def _check(*, interval: float | None, charts: int, seed: int, out: Path | None) -> None:
    if interval is not None and not SHORTEST_S <= interval <= LONGEST_S:
        wanted = f"seconds from {SHORTEST_S:g} to {LONGEST_S:g}"
        raise ConfigError(f"--interval: {wanted}, found {interval:g}")
    if charts < 0:
        raise ConfigError(f"--charts: 0 or more, found {charts}")
    if seed < 0:
        raise ConfigError(f"--seed: 0 or more, found {seed}")
    if out is not None:
        try:  # before the work, not after it
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--out {out}: a folder, found {error.strerror}") from None


def _mapping(campaigns: Path, given: list[str]) -> dict[str, str]:
    """Return the mapping of the campaigns file with what the command line says over it."""
    mapping = {}
    if campaigns.suffix.lower() in MAPPED:
        try:
            content: object = read_file(campaigns)
        except ConfigError:
            content = None  # a list at the top, or no file: its own reader says what is wrong
        if isinstance(content, dict):
            mapping = mapping_of(content.get("columns"), where=str(campaigns))
    return mapping | dict(parse_map(text) for text in given)


def _definitions(campaigns: Path, log: Log, changes: list[Change]) -> list[Definition]:
    begins_at = (int(log.at_ms[0]) - (cadence_ms(log.at_ms) or 0)) / 1000
    reading = read_definitions([campaigns], now=begins_at)
    if reading.problems:
        show_problems(reading.problems, len(reading.problems), None)
        raise ConfigError(
            f"{campaigns}: campaigns that all can be read, found {reading.refused} that cannot"
        )
    return [apply_changes(one.definition, changes) for one in reading.found]


def _rows(file: Path, log: Log, definitions: list[Definition]) -> Rows:
    rows = rows_of(log, definitions)
    if not len(rows):
        raise ConfigError(
            f"{file}: rows of the campaigns of the file, found {_strangers(log, rows)}"
        )
    if rows.ignored:
        complain(f"{file}: {rows.ignored:,} rows left out: {_strangers(log, rows)}")
    return rows


def _strangers(log: Log, rows: Rows) -> str:
    """Return what the log has that the campaigns have not."""
    ids = [one.id for one in rows.definitions]
    unknown = [name for name in log.campaigns if name not in set(ids)]
    if unknown:
        near = difflib.get_close_matches(unknown[0], ids, n=1, cutoff=0.6)
        hint = f" (did you mean {near[0]}?)" if near else ""
        more = f" and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
        return f"campaign {unknown[0]!r}{more}{hint}"
    known = sorted({platform for one in rows.definitions for platform in one.platforms})
    others = [name for name in log.platforms if name not in known]
    name = others[0] if others else log.platforms[0]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"platform {name!r}{hint}, which a campaign does not have"


class _Backtest:
    """The runs that were asked for."""

    def __init__(
        self,
        rows: Rows,
        mode: Mode,
        interval: float | None,
        changes: list[Change],
        seed: int,
        charts: int,
    ) -> None:
        self.rows = rows
        self.charted = _largest(rows, charts)
        self.outcomes: dict[str, Outcome] = {}
        self._modes = ("observe", "simulate") if mode == "both" else (mode,)
        self._cadence_ms = cadence_ms(rows.at_ms) or round((interval or 3600) * 1000)
        self._interval_ms = round(interval * 1000) if interval else self._cadence_ms
        self._changes = changes
        self._seed = seed
        windows = [int(one.value) for one in changes if one.field == "window"]
        self._window = windows[-1] if windows else USUAL_WINDOW
        if "simulate" in self._modes and self._interval_ms < self._cadence_ms:
            raise ConfigError(
                f"--interval: at least the log's own {self._cadence_ms / 1000:g} s to simulate "
                f"(--mode observe takes less), found {self._interval_ms / 1000:g}"
            )
        if self._interval_ms > LONGEST_S * 1000:
            raise ConfigError(
                f"--interval: up to {LONGEST_S:g} s, found {self._interval_ms / 1000:g}, "
                "the log's own"
            )

    def results(self) -> Results:
        responses = fit(self.rows)
        found: dict[str, tuple[CampaignResult, ...]] = {}
        for mode in self._modes:
            if mode == "observe":
                outcome = self._run(Observed(self.rows), "observing")
                found[mode] = campaign_results(self.rows, outcome, responses)
            else:
                world = Simulated(self.rows, responses, seed=self._seed)
                outcome = self._run(world, "simulating")
                found[mode] = campaign_results(
                    self.rows, outcome, responses, expected=world.expected_conversions
                )
            self.outcomes[mode] = outcome
        rows = self.rows
        return Results(
            inputs=Inputs(
                rows=len(rows),
                ignored=rows.ignored,
                begins_at=int(rows.at_ms[0]) / 1000,
                ends_at=int(rows.at_ms[-1]) / 1000,
                interval_s=self._interval_ms / 1000,
                cadence_s=self._cadence_ms / 1000,
                rounds=max(one.rounds for one in self.outcomes.values()),
                window=self._window,
                seed=self._seed,
                modes=self._modes,
                has_bids=rows.bid_micros is not None,
                changes=tuple(one.text for one in self._changes),
            ),
            observed=found.get("observe", ()),
            simulated=found.get("simulate", ()),
        )

    def _run(self, world: World, what: str) -> Outcome:
        span = int(self.rows.at_ms[-1] - self.rows.at_ms[0]) + self._cadence_ms
        with progress(what, 1 + -(-span // self._interval_ms)) as tell:
            try:
                return run(
                    self.rows,
                    world,
                    interval_ms=self._interval_ms,
                    cadence_ms=self._cadence_ms,
                    window=self._window,
                    traced=frozenset(self.charted),
                    progress=tell,
                )
            except CoreError as error:
                raise ConfigError(f"campaigns that the engine takes, found {error}") from error


def _largest(rows: Rows, count: int) -> list[int]:
    """Return the campaigns that spent most."""
    owner = rows.owner[rows.series]
    spend = np.bincount(owner, rows.spend_micros, len(rows.definitions))
    order = np.argsort(-spend, kind="stable")[:count]
    return [int(index) for index in order if (owner == index).any()]


def _write(out: Path, ran: _Backtest, results: Results, *, log: str) -> None:
    # matplotlib takes a while to import, which those who want no report need not wait for.
    from engine.cli.backtest_figures import Runs
    from engine.cli.backtest_page import backtest_page

    runs = Runs(ran.rows, ran.outcomes.get("observe"), ran.outcomes.get("simulate"))
    with progress("drawing", None):
        report = backtest_page(results, runs, log=log, charted=ran.charted)
    encoded = msgspec.json.format(msgspec.json.encode(results), indent=1)
    try:
        (out / "results.json").write_bytes(encoded + b"\n")
        (out / "report.html").write_text(report, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out {out}: a folder to write to, found {error.strerror}") from None


def _tell(results: Results, out: Path | None) -> None:
    inputs = results.inputs
    say(f"{inputs.rows:,} rows, {inputs.rounds:,} rounds of {inputs.interval_s:g} s")
    for name, found in (("observed", results.observed), ("simulated", results.simulated)):
        for one in found:
            say(f"{name}  {_line(one)}")
    if results.simulated:
        say("simulated figures, regret and waste are inside a model fitted from the log")
    if out is not None:
        say(f"wrote {out / 'results.json'} and {out / 'report.html'}")


def _line(one: CampaignResult) -> str:
    totals = one.totals
    spent = from_micros(totals.spend_micros)
    line = (
        f"{one.campaign}  spent {spent} of {from_micros(one.budget_micros)} {one.currency}  "
        f"{totals.clicks:,} clicks  {totals.conversions:,.1f} conversions"
    )
    if one.model is not None and one.model.engine is not None:
        engine = one.model.engine
        for what, share in (("regret", engine.regret), ("waste", engine.waste)):
            line += "" if share is None else f"  {what} {share:.1%}"
    elif one.cpc.relative is not None:
        line += f"  CPC error {one.cpc.relative:.2f} of naive"
        line += "" if one.cpc.covered is None else f", {one.cpc.covered:.0%} within the interval"
    return line
