"""``python -m benchmarks``: measures, prints a table, writes JSON and a picture."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from bench.worker.environment import processor
from benchmarks import meta_updates
from benchmarks.measuring import interleaved, operations, product_peak


def main(arguments: list[str] | None = None) -> None:
    """Runs what can be run here."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--small", action="store_true", help="tiny shapes: whether all works")
    parser.add_argument("--repeats", type=int, default=5, help="calls that a median is of")
    parser.add_argument("--output", type=Path, default=Path("benchmarks-results"))
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found: dict[str, Any] = {
        "processor": processor(), "torch": torch.__version__, "threads": 1, "small": asked.small,
        "skipped": {},
    }  # fmt: skip
    peak = product_peak(asked.repeats, 64 if asked.small else 1024)
    found |= {"product_peak": peak, "meta_updates": []}
    reason = meta_updates.available()
    if reason is not None:
        found["skipped"]["meta_updates"] = reason
        print(f"meta-updates: skipped, {reason}")
    else:
        for setting in meta_updates.settings(asked.small):
            row = meta_update(setting, asked.repeats, peak, 4 if asked.small else 64)
            found["meta_updates"].append(row)
            print(
                f"{row['setting']}: {row['ratio']:.2f} times learn2learn's speed, "
                f"{row['share_of_peak']:.0%} of the product peak",
                flush=True,
            )
    asked.output.mkdir(parents=True, exist_ok=True)
    (asked.output / "results.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    if found["meta_updates"]:
        draw(found, asked.output / "results.svg")
    print(f"written: {asked.output}")


def meta_update(
    setting: meta_updates.Setting, repeats: int, peak: float, filters: int
) -> dict[str, Any]:
    """One row: seconds, their ratio, and the share of the peak that `maml` reaches."""
    batch = meta_updates.batch_of(setting.task)
    learners = meta_updates.contestants(setting, filters)
    calls = {name: meta_updates.update(learner, batch) for name, learner in learners.items()}
    losses = {name: float(call()) for name, call in calls.items()}
    torch.testing.assert_close(losses["maml"], losses["learn2learn"], atol=1e-3, rtol=1e-3)
    seconds = interleaved(calls, repeats)
    return {
        "setting": str(setting),
        "seconds": seconds,
        "ratio": seconds["learn2learn"] / seconds["maml"],
        # The library's own products are counted: it multiplies what an update has to.
        "share_of_peak": operations(calls["learn2learn"]) / seconds["maml"] / peak,
    }


def draw(found: dict[str, Any], path: Path) -> None:
    """A bar for each setting: how many times as fast as learn2learn."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    rows = found["meta_updates"]
    figure = Figure(figsize=(8, 1 + 0.35 * len(rows)), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    axes.barh([row["setting"] for row in rows], [row["ratio"] for row in rows])
    axes.axvline(1, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel(f"times learn2learn's speed, one thread, {found['processor']}")
    figure.savefig(path)


if __name__ == "__main__":
    main()
