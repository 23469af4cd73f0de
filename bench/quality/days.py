"""Days of auctions from files: what each campaign saw, what others bid, and what only we know.

The form of the files is in `data/README.md`. A day's `true_value` and the campaign's hindsight
optimum belong to the evaluator: policies are handed `seen.Seen` and never a `CampaignDay`.
"""

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.quality.seen import PastCampaign, PastDay

Floats = NDArray[np.float64]

ARRAYS = ("tick", "p_x1e3", "sigma_x1e4", "others_top3_x10")
COLUMNS = ("market", "campaign", "cpa", "budget", "bias_shift_EVALUATOR_ONLY")
CAMPAIGNS = "an_campaigns.csv"
SMALLEST_PRICE = 1e-4  # money; float16 rounds some competing bids to 0


class DataError(Exception):
    """A folder does not hold days in the form wanted; the message says what was found."""


class CampaignDay(msgspec.Struct, frozen=True, eq=False):
    """One campaign on one market for a day, the evaluator's view.

    Arrays over the n opportunities in order of time: `p`, `sigma`, `true_value` (n,) and `others`
    (n, 3), the three highest competing bids, falling. Round t is `bounds[t]:bounds[t + 1]`.
    """

    market: str
    campaign: int
    target: float
    budget: float
    p: Floats
    sigma: Floats
    others: Floats
    true_value: Floats
    bounds: NDArray[np.int64]

    @property
    def rounds(self) -> int:
        return len(self.bounds) - 1


class Folder(msgspec.Struct, frozen=True, eq=False):
    """What is to be judged and what may be learned from: `days[market]` and past days by name."""

    days: dict[str, list[CampaignDay]]
    past: dict[str, PastDay]
    rounds: int
    notes: tuple[str, ...]

    def past_without(self, markets: Sequence[str]) -> tuple[PastDay, ...]:
        """The past days a policy may learn from when these markets are judged."""
        return tuple(day for name, day in sorted(self.past.items()) if name not in markets)


class _Arrays(msgspec.Struct, frozen=True, eq=False):
    tick: NDArray[np.int64]
    p: Floats
    sigma: Floats
    others: Floats


def read_folder(folder: Path, prefix: str, history: Path | None) -> Folder:
    """Reads the days `prefix*.npz` of `folder`, and the past days of `history`.

    A day that is both judged and in `history` is left out of what its policies learn from
    (`Folder.past_without`), so history days can be judged by the days beside them.

    Raises:
        DataError: if a folder, a file, an array or a column is missing or makes no sense.
    """
    for place in (folder, history):
        if place is not None and not place.is_dir():
            raise DataError(f"a folder of days is wanted, {place} is none")
    files = {path.stem: path for path in sorted(folder.glob(f"{prefix}*.npz"))}
    if not files:
        found = ", ".join(sorted(path.stem for path in folder.glob("*.npz"))) or "no .npz file"
        raise DataError(f"days {prefix}*.npz are wanted in {folder}, found {found}")
    table = _campaigns_file(folder)
    rows = _read_rows(table)
    notes = [
        f"{name}.npz has no campaign in {table.name}: left out" for name in files.keys() - rows
    ]
    judged = {name: _read_arrays(path) for name, path in files.items() if name in rows}
    if not judged:
        raise DataError(f"{table} names no market of {', '.join(files)}")
    past = {path.stem: _read_arrays(path) for path in _past_files(history, set(files))}
    if not past:
        notes.append("no past days: policies start cold")
    rounds = _rounds_of(judged, past)
    return Folder(
        days={
            name: [_campaign_day(name, arrays, row, rounds) for row in rows[name]]
            for name, arrays in judged.items()
        },
        past={name: _past_day(name, arrays, rounds) for name, arrays in past.items()},
        rounds=rounds,
        notes=tuple(notes),
    )


def nominal(count: float) -> float:
    """The scale of a day as a platform would state it: the nearest of 1, 1.25, 2, 2.5, 4, 5, 8.

    Its steps are so wide that it tells a policy the size of the sample, not of the day:

    >>> nominal(49_809), nominal(12_698), nominal(487_000)
    (50000.0, 12500.0, 500000.0)
    """
    steps = np.array([1, 1.25, 2, 2.5, 4, 5, 8, 10])
    power = 10.0 ** np.floor(np.log10(max(count, 1)))
    return float(steps[np.argmin(np.abs(np.log(steps * power / max(count, 1))))] * power)


def _campaigns_file(folder: Path) -> Path:
    for place in (folder, folder.resolve().parent):
        if (place / CAMPAIGNS).is_file():
            return place / CAMPAIGNS
    raise DataError(f"{CAMPAIGNS} is wanted in {folder} or beside it, found neither")


def _read_rows(table: Path) -> dict[str, list[dict[str, float]]]:
    with table.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise DataError(f"{table} lacks {', '.join(missing)}; found {reader.fieldnames}")
        rows: dict[str, list[dict[str, float]]] = {}
        for number, line in enumerate(reader, start=2):
            try:
                row = {name: float(line[name]) for name in COLUMNS[1:]}
            except (TypeError, ValueError) as error:
                raise DataError(f"{table}, line {number}: {error}") from error
            for name in ("cpa", "budget"):
                if not row[name] > 0:
                    raise DataError(
                        f"{table}, line {number}: {name} must be above 0, was {row[name]}"
                    )
            rows.setdefault(line["market"], []).append(row)
    return rows


def _past_files(history: Path | None, judged: set[str]) -> list[Path]:
    if history is None:
        return []
    files = sorted(history.glob("*history*.npz"))
    files = files or [path for path in sorted(history.glob("*.npz")) if path.stem not in judged]
    if not files:
        raise DataError(f"past days *history*.npz are wanted in {history}, found none")
    return files


def _read_arrays(path: Path) -> _Arrays:
    try:
        with np.load(path) as file:
            missing = [name for name in ARRAYS if name not in file.files]
            if missing:
                raise DataError(f"{path} lacks {', '.join(missing)}; found {', '.join(file.files)}")
            tick, p, sigma, others = (np.asarray(file[name]) for name in ARRAYS)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as .npz: {error}") from error
    n = len(tick)
    if tick.ndim != 1 or n == 0 or p.ndim != 2 or p.shape[0] != n or sigma.shape != p.shape:
        shapes = f"tick {tick.shape}, p {p.shape}, sigma {sigma.shape}"
        raise DataError(f"{path}: tick (N,), p and sigma (N, J) are wanted, found {shapes}")
    if others.shape != (*p.shape, 3):
        raise DataError(f"{path}: others {(*p.shape, 3)} are wanted, found {others.shape}")
    tick = tick.astype(np.int64)
    if tick.min() < 0 or (np.diff(tick) < 0).any():
        raise DataError(f"{path}: ticks must not fall and not be negative")
    for name, array in (("p", p), ("sigma", sigma), ("others", others)):
        if not np.isfinite(array).all() or array.min() < 0:
            raise DataError(f"{path}: {name} must be finite and at least 0")
    return _Arrays(
        tick=tick,
        p=p.astype(float) / 1e3,
        sigma=sigma.astype(float) / 1e4,
        others=np.maximum(others.astype(float) / 10, SMALLEST_PRICE),
    )


def _rounds_of(judged: dict[str, _Arrays], past: dict[str, _Arrays]) -> int:
    """Rounds of a day: the last tick anywhere, for a thin day may lack its last round."""
    ends = [max(int(day.tick[-1]) + 1 for day in days.values()) for days in (judged, past) if days]
    if max(ends) > 1.1 * min(ends):
        raise DataError(f"days have {ends[0]} rounds, their past days {ends[1]}")
    return max(ends)


def _campaign_day(market: str, arrays: _Arrays, row: dict[str, float], rounds: int) -> CampaignDay:
    j = int(row["campaign"])
    if not 0 <= j < arrays.p.shape[1]:
        raise DataError(f"{market} has {arrays.p.shape[1]} campaigns, {CAMPAIGNS} names {j}")
    p, sigma = arrays.p[:, j].copy(), arrays.sigma[:, j].copy()
    return CampaignDay(
        market=market,
        campaign=j,
        target=row["cpa"],
        budget=row["budget"],
        p=p,
        sigma=sigma,
        others=arrays.others[:, j, :].copy(),
        true_value=np.clip(p + row["bias_shift_EVALUATOR_ONLY"] * sigma, 0, 1),
        bounds=np.searchsorted(arrays.tick, np.arange(rounds + 1)),
    )


def _past_day(name: str, arrays: _Arrays, rounds: int) -> PastDay:
    return PastDay(
        name=name,
        bounds=np.searchsorted(arrays.tick, np.arange(rounds + 1)),
        campaigns={
            j: PastCampaign(
                p=arrays.p[:, j].copy(),
                sigma=arrays.sigma[:, j].copy(),
                others=arrays.others[:, j, :].copy(),
            )
            for j in range(arrays.p.shape[1])
        },
    )
