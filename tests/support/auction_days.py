"""Small days of auctions in the form of the quality benchmark's data, made up from a seed."""

import gzip
from pathlib import Path

import numpy as np

COLUMNS = "market,campaign,cpa,budget,bias_shift_EVALUATOR_ONLY"


def write_day(
    folder: Path,
    market: str,
    *,
    seed: int,
    opportunities: int = 600,
    campaigns: int = 2,
    rounds: int = 48,
) -> None:
    """Writes `market`.npz: steady traffic, p about 0.01, prices to beat about 0.5."""
    random = np.random.default_rng(seed)
    shape = opportunities, campaigns
    p = np.exp(random.normal(-4.6, 0.5, shape)).clip(0, 0.9)
    others = np.exp(random.normal(-1.0, 0.6, (*shape, 3)))
    np.savez_compressed(
        folder / f"{market}.npz",
        tick=np.sort(random.integers(0, rounds, opportunities)).astype(np.uint8),
        p_x1e3=(p * 1e3).astype(np.float16),
        sigma_x1e4=(p * 0.2 * 1e4).astype(np.float16),
        others_top3_x10=(-np.sort(-others, axis=2) * 10).astype(np.float16),
    )


def write_campaigns(folder: Path, markets: list[str], *, campaigns: int = 2) -> None:
    lines = [COLUMNS]
    lines += [
        f"{market},{j},{60 + 20 * j}.0,{40 + 15 * j}.0,{0.1 * (j - 0.5)}"
        for market in markets
        for j in range(campaigns)
    ]
    (folder / "an_campaigns.csv").write_text("\n".join(lines) + "\n")


def write_hours(folder: Path, *, hours: int = 300) -> None:
    """Writes an hourly series of one exchange, with a season of a day."""
    random = np.random.default_rng(5)
    lines = ["timestamp,exchange,metric,value"]
    for hour in range(hours):
        at = f"2011-07-{1 + hour // 24:02d} {hour % 24:02d}:00:01"
        level = 1 + 0.5 * np.sin(hour / 24 * 2 * np.pi) + random.normal(0, 0.05)
        lines += [f"{at},2,cpc,{0.1 * level:.5f}", f"{at},2,cpm,{0.4 * level:.5f}"]
    with gzip.open(folder / "small_cpc_cpm.csv.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")


def write_folder(folder: Path, *, rounds: int = 48, campaigns: int = 2) -> Path:
    """Writes three days to judge, two past days, their campaigns and a series; returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    judged = ["an_new_m0", "an_new_m1", "an_new_m2"]
    past = ["an_history_d0", "an_history_d1"]
    for seed, market in enumerate([*judged, *past]):
        write_day(folder, market, seed=seed, rounds=rounds, campaigns=campaigns)
    write_campaigns(folder, [*judged, *past], campaigns=campaigns)
    write_hours(folder)
    return folder
