"""The made parts that set learners side by side: the board of a suite, and what was published.

And a reference result in a few words, as every page of docs/ has it.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from statistics import fmean
from typing import Any

from bench.cli.sources import sources_for
from bench.report.marks import OTHER_CODE
from tests.helpers.pages import ROOT, reference_cells, reference_training

FAMILIES = ["model-based", "metric-based", "optimization-based"]
Row = dict[str, list[dict[str, Any]]]
"""Cells of a row, one for each seed, by setting."""


def board(suite: str) -> str:
    """A row for each learner of a suite's reference, those of a family by their first setting."""
    rows = _rows(suite)
    settings = _settings(rows)

    def order(row: Row) -> tuple[Any, ...]:
        first = next(row[setting] for setting in settings if setting in row)
        family, missing = FAMILIES.index(first[0]["family"]), settings[0] not in row
        metric = "mse" if "mse" in first[0]["metrics"] else "accuracy"
        means = _means(first, metric)
        mean = sum(means) / len(means)
        return family, missing, mean if metric == "mse" else -mean

    table = [
        "| " + " | ".join(["learner", "family", *settings, "seeds", "device"]) + " |",
        "| " + " | ".join(["---"] * (4 + len(settings))) + " |",
    ]
    for row in sorted(rows.values(), key=order):
        some = next(iter(row.values()))[0]
        words = [f"`{some['learner']}`{_other_budget(some)}", some["family"]]
        words += [_of_seeds(row[setting]) if setting in row else "-" for setting in settings]
        words += [_seeds(row, settings), ", ".join(_devices(row))]
        table.append("| " + " | ".join(words) + " |")
    return "\n".join(table)


def presentations(suite: str) -> str:
    """A row for each learner of an online suite, by its second presentations, the best first."""
    places = {"1st": 1, "2nd": 2, "5th": 5, "10th": 10}

    def at(row: Row, place: int) -> list[float]:
        """In percent, one for each seed, the lowest first."""
        (cells,) = row.values()  # of the one setting
        return sorted(100 * cell["by_presentation"][place - 1]["mean"] for cell in cells)

    table = [
        "| " + " | ".join(["learner", *places, "seeds", "device"]) + " |",
        "| " + " | ".join(["---"] * (3 + len(places))) + " |",
    ]
    for row in sorted(_rows(suite).values(), key=lambda row: -fmean(at(row, 2))):
        (cells,) = row.values()
        words = [f"`{cells[0]['learner']}`{_other_budget(cells[0])}{mark_of(cells)}"]
        words += [_mean_and_range(at(row, place)) for place in places.values()]
        words += [_seeds(row, list(row)), ", ".join(_devices(row))]
        table.append("| " + " | ".join(words) + " |")
    return "\n".join(table)


def _rows(suite: str) -> dict[tuple[str, str], Row]:
    """By learner and budget."""
    rows: dict[tuple[str, str], Row] = {}
    for cell in reference_cells(suite):
        row = rows.setdefault((cell["learner"], cell["budget"]), {})
        row.setdefault(cell["setting"], []).append(cell)
    return rows


def _settings(rows: dict[tuple[str, str], Row]) -> list[str]:
    found = {setting for row in rows.values() for setting in row}
    return sorted(found, key=lambda name: (size_of(name), name))


def _seeds(row: Row, settings: list[str]) -> str:
    """``0, 1, 2``; ``0, 1; 0, 1, 2`` where its settings, in their order, have not the same."""
    by_setting = [sorted(c["seed"] for c in row[setting]) for setting in settings if setting in row]
    if all(seeds == by_setting[0] for seeds in by_setting):
        by_setting = by_setting[:1]
    return "; ".join(", ".join(map(str, seeds)) for seeds in by_setting)


def _means(cells: list[dict[str, Any]], metric: str) -> list[float]:
    """One for each seed, the lowest first."""
    return sorted(cell["metrics"][metric]["mean"] for cell in cells)


def _other_budget(cell: dict[str, Any]) -> str:
    """What a row says of a budget that is not the suite's own."""
    budget, protocol = cell["budget"], cell["protocol"]
    counted = "points" if protocol == "regression" else "images"
    if (minutes := budget.removesuffix("min")).isdecimal():
        return f" ({minutes} minutes)"
    if (examples := budget.removesuffix("examples")).isdecimal():
        return f" ({int(examples) / 1e6:g}M {counted})"
    return ""


def _devices(row: Row) -> list[str]:
    """Where the trainings of a row were made, those of its settings in their order."""
    kinds = [cell["device"].partition("/")[0] for cells in row.values() for cell in cells]
    return list(dict.fromkeys(kinds))


def _of_seeds(cells: list[dict[str, Any]]) -> str:
    """The result of one training; of several their mean, and the lowest and the highest."""
    if len(cells) == 1:
        return result_of(cells[0]) + mark_of(cells)
    if "mse" in cells[0]["metrics"]:
        low, *_, high = errors = _means(cells, "mse")
        text = f"{sum(errors) / len(errors):.3g} ({low:.3g} to {high:.3g})"
        behind = [c["metrics"].get("nats_behind_oracle", {}).get("mean") for c in cells]
        if None not in behind:
            text += f"; {sum(behind) / len(behind):.2f} nats"
        return text + mark_of(cells)
    return f"{_mean_and_range([100 * m for m in _means(cells, 'accuracy')])} %" + mark_of(cells)


def _mean_and_range(percents: list[float]) -> str:
    """Of one seed its figure; of several their mean, and the lowest and the highest."""
    mean = f"{sum(percents) / len(percents):.1f}"
    return mean if len(percents) == 1 else f"{mean} ({percents[0]:.1f} to {percents[-1]:.1f})"


def mark_of(cells: list[dict[str, Any]]) -> str:
    """What the report has beside figures of other code of the learner than today's."""
    return OTHER_CODE * any(
        code != _sources()[cell["learner_name"]]
        for cell in cells
        for code in (cell["source"], reference_training(cell["training"])["source"])
    )


@cache
def _sources() -> dict[str, str]:
    return sources_for(ROOT / "results" / "reference")


def against(suite: str) -> str:
    """Results of a suite, means over seeds, beside what was published on its data and split."""
    rows = _rows(suite)
    settings = _settings(rows)
    table = ["| learner | here | published | source |", "| --- | --- | --- | --- |"]
    for (learner, _), row in sorted(rows.items()):
        some = next(iter(row.values()))[0]
        for result in published_results():
            if result["learner"] != learner or not _same_data(result, some):
                continue
            here = (_short(row.get(setting)) for setting in settings)
            there = (str(result["values"].get(setting, "-")) for setting in settings)
            words = f"`{learner}`{_other_budget(some)}", " / ".join(here), " / ".join(there)
            table.append("| " + " | ".join([*words, result["source"]]) + " |")
    return "\n".join(table)


def _same_data(result: dict[str, Any], cell: dict[str, Any]) -> bool:
    return all(result.get(key) == cell[key] for key in ("dataset", "split", "protocol"))


def _short(cells: list[dict[str, Any]] | None) -> str:
    if cells is None:
        return "-"
    means = _means(cells, "accuracy")
    return f"{100 * sum(means) / len(means):.1f}{mark_of(cells)}"


def published_results() -> list[dict[str, Any]]:
    """The papers' figures that bench knows."""
    path = ROOT / "bench" / "report" / "published.toml"
    results: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["result"]
    return results


def _half(score: dict[str, Any]) -> str:
    """Of its interval; nothing where no variance tells one."""
    return f" ± {score['ci95']:.2g}" if score["ci95"] else ""


def result_of(cell: dict[str, Any]) -> str:
    """Accuracy, online also by presentation; of probes wrong bits, of regression squared errors."""
    if "bit_errors" in cell["metrics"]:
        wrong = cell["metrics"]["bit_errors"]
        return f"{wrong['mean']:.3g}{_half(wrong)} wrong bits of {cell['bits']}"
    if "mse" in cell["metrics"]:
        error = cell["metrics"]["mse"]
        behind = cell["metrics"].get("nats_behind_oracle")
        nats = f"; {behind['mean']:.2f} nats" if behind else ""
        return f"{error['mean']:.3g}{_half(error)}{nats}"
    accuracy = cell["metrics"]["accuracy"]
    text = f"{100 * accuracy['mean']:.1f} ± {100 * accuracy['ci95']:.1f} %"
    if cell.get("by_presentation"):
        at = {k: cell["by_presentation"][k - 1]["mean"] for k in (1, 2, 5, 10)}
        text += "; presentation " + ", ".join(f"{k}: {100 * mean:.1f}" for k, mean in at.items())
    return text


def size_of(setting: str) -> list[int]:
    """The numbers in the name of a setting."""
    return [int(digits) for digits in re.findall(r"\d+", setting)]
