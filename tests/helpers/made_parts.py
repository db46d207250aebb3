"""The parts of docs/ that are not written by hand: they follow from code and stored results.

``python -m tests.helpers.made_parts`` writes them again, after an option, a reference result or the
import law has changed; tests/test_pages.py holds the pages against them. A part stands between
``<!-- made: KIND NAME -->`` and ``<!-- end -->``; for the kinds see `MAKE`.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.registry.installed import learners
from bench.report.marks import MARKS, OTHER_CODE
from benchmarks.results import Results
from benchmarks.table import tables
from tests.helpers.made_boards import (
    against,
    board,
    mark_of,
    presentations,
    published_results,
    result_of,
    size_of,
)
from tests.helpers.pages import (
    ROOT,
    parse,
    reference_cells,
    reference_commands,
    reference_task,
    reference_training,
)
from tests.test_layout import LAW

PART = re.compile(r"(<!-- made: (\w+) ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """All pages of docs/, without the template of learners' pages."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    return [path for path in found if path.name != "template.md"]


def renewed(page: str) -> str:
    """A page with its parts as they have to be."""
    return PART.sub(lambda m: f"{m[1]}\n{MAKE[m[2]](m[3])}\n\n{m[4]}", page)


def options(name: str) -> str:
    """What `bench show` tells, as a table."""
    learner = learners().get(name)
    config = learner.Config()
    rows = [
        f"| `{field.name}` | `{getattr(config, field.name)}` | {field.metadata['meaning']} |"
        for field in dataclasses.fields(config)
    ]
    presets = [
        f"Preset `{preset}`: "
        + (", ".join(f"`{key}={value}`" for key, value in values.items()) or "the defaults")
        + "."
        for preset, values in learner.presets.items()
    ]
    table = "\n".join(["| option | default | meaning |", "| --- | --- | --- |", *rows])
    own = [
        f"Defaults in `{protocol}`: " + ", ".join(f"`{k}={v}`" for k, v in values.items()) + "."
        for protocol, values in learner.protocol_defaults.items()
    ]
    return "\n\n".join([table, *presets, *own])


def reference_results(name: str) -> str:
    """The commands, and a row for each cell."""
    cells = [cell for cell in reference_cells() if cell["learner_name"] == name]
    if not cells:
        return "None yet."
    made = [line for line in reference_commands() if name in _learners_of(line)]
    head = [
        "| suite | setting | options | budget | seen | result | precision | seed | device |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    cells.sort(key=_order)
    table = [*head, *map(_row, cells)]
    legend = ["", f"{OTHER_CODE} {MARKS[OTHER_CODE]}."] if mark_of(cells) else []
    return "\n".join(["```", *made, "```", "", *table, *legend, *_learning(cells)])


PARTS = {"1/8": 0.125, "1/4": 0.25, "1/2": 0.5, "all": 1.0}
"""Of what a training has seen, where its learning curve is told."""


def _learning(cells: list[dict[str, Any]]) -> list[str]:
    """A table of the trainings: accuracy of meta-validation on the way, and what ended it."""
    rows = []
    for name, cell in {cell["training"]: cell for cell in reversed(cells)}.items():
        training = reference_training(name)
        if not training["curve"] or training["curve"][0]["val_accuracy"] is None:
            continue  # nothing was trained, or numbers, of which there is no accuracy
        until = [part * training["examples"] for part in PARTS.values()]
        points = [min(training["curve"], key=lambda p: abs(p["examples"] - at)) for at in until]
        words = [
            f"{_data(reference_task(name))}, {_task(training['task'])}",
            _changed(cell),
            cell["budget"],
            str(cell["seed"]),
            cell["device"].partition("/")[0],
            f"{training['updates']:,}",
        ]
        words += [f"{100 * point['val_accuracy']:.1f}" for point in points]
        rows.append("| " + " | ".join([*words, training["stopped"]]) + " |")
    if not rows:
        return []
    head = ["trained on", "options", "budget", "seed", "device", "updates", *PARTS, "ended by"]
    titles = ["| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    said = "Accuracy in meta-validation, in percent, after a part of all that a training saw:"
    return ["", said, "", *titles, *reversed(rows)]


def _task(task: dict[str, Any]) -> str:
    """A training task in a few words."""
    if task["protocol"] == "sequence":
        return f"{_range(task['items'])} items"
    if task["protocol"] in {"regression", "online-regression"}:
        return f"{_range(task['shots'])} points"
    shots = f"{_range(task['shots'])}-shot" if task["protocol"] == "kshot" else "online"
    return f"{task['ways']}-way {shots}"


def _range(size: int | list[int]) -> str:
    return f"{size[0]} to {size[1]}" if isinstance(size, list) else str(size)


def _learners_of(command: str) -> set[str]:
    specs = parse(command).params["learners"] or sorted(learners().things)
    return {spec.partition("[")[0] for spec in specs}


def _order(cell: dict[str, Any]) -> tuple[Any, ...]:
    where = cell["suite"], cell["learner"], size_of(cell["setting"])
    return *where, cell["budget"], cell["seed"]


def _changed(cell: dict[str, Any]) -> str:
    """The options that are not the defaults, of an older version's those that are none today."""
    named = cell["learner"].removeprefix(cell["learner_name"]).strip("[]").split(",")
    if mark_of([cell]):
        learner = learners().get(cell["learner_name"])
        today = dataclasses.asdict(learner.Config())
        today |= learner.protocol_defaults.get(cell["protocol"], {})
        known = {word.partition("=")[0] for word in named}
        if cell["protocol"] == "sequence":
            known |= {"encoder", "training_queries"}  # which play no part in memory probes
        other = {k: v for k, v in cell["config"].items() if k not in known}
        named += [f"{k}={v}" for k, v in other.items() if today.get(k, v) != v]
    return f"`{', '.join(filter(None, named))}`" if any(named) else ""


def _row(cell: dict[str, Any]) -> str:
    seen = f"{cell['examples']:,}" if cell["examples"] else "-"
    words = (
        cell["suite"], cell["setting"], _changed(cell), cell["budget"], seen,
        result_of(cell) + mark_of([cell]), cell["precision"], str(cell["seed"]),
        cell["device"].partition("/")[0],
    )  # fmt: skip
    return "| " + " | ".join(words) + " |"


def published(name: str) -> str:
    """The papers' figures that the report holds results against, with their sources."""
    own = [result for result in published_results() if result["learner"] == name]
    return "\n".join(map(_published, own)) or "None is entered."


def _published(result: dict[str, Any]) -> str:
    widths = result.get("ci", {})
    figures = [
        f"{setting} {value}" + (f" ± {widths[setting]}" if setting in widths else "")
        for setting, value in result.get("values", {}).items()
    ]
    said = [result["source"], ", ".join(figures), result.get("note", "")]
    told = ". ".join(part.rstrip(".") for part in said if part)
    return f"- {_data(result)}: {told}." if "dataset" in result else f"- {told}."


def _data(of: dict[str, Any]) -> str:
    """The data of a training or of a published figure, with the split where there are several."""
    name: str = of["dataset"]
    return f"{name} ({of['split']})" if name == "cifar100" else name


def packages(top: str) -> str:
    """Every package of `top` with what it is for, and what it may import."""
    purposes = {path.parent.name: _first_line(path) for path in (ROOT / top).glob("*/__init__.py")}
    purposes |= {path.stem: _first_line(path) for path in (ROOT / top).glob("[!_]*.py")}
    purposes["bench_plugins"] = "The built-in learners, in the folder `plugins/`."
    rows = [
        f"| `{name}` | {purposes[name]} | {', '.join(allowed) or 'nothing of the project'} |"
        for name, allowed in LAW.items()
        if name
    ]
    return "\n".join(["| package | purpose | may import |", "| --- | --- | --- |", *rows])


def _first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n\n")[0].replace("\n", " ")


def benchmarks(name: str) -> str:
    """Tables of what `python -m benchmarks` has measured on a machine."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return tables(Results.read(path)) if path.exists() else "Not measured yet."


def side_by_side(name: str) -> str:
    """Updates of many learners at once on one GPU."""
    path = ROOT / "benchmarks" / "results" / "side" / f"{name}.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    versions = f"driver {told['driver']}, torch {told['torch']}"
    said = f"{told['device']}, {versions}, {told['processes']} processes."
    table = [
        "| learner | update, ms | as a CUDA graph, ms | faster | recording, s | shapes | "
        "building its batch, ms | memory, MiB | first loss away by | gradient |",
        "| --- |" + " ---: |" * 9,
    ]
    for row in told["rows"]:
        cpu, gpu = row["loss"]
        table.append(
            f"| {row['learner']} | {row['ms']:.1f} | {row['captured_ms']:.1f} | "
            f"{row['ms'] / row['captured_ms']:.1f}× | {row['recording_seconds']:.1f} | "
            f"{row['shapes']} | {row['batch_ms']:.1f} | {row['MiB']:.0f} | "
            f"{abs(gpu - cpu) / cpu:.0e} | {row['gradient_error']:.0e} |"
        )
    return "\n".join([said, "", *table])


def before(name: str) -> str:
    """Updates of two versions of bench, with the share of the product peak that each reaches."""
    path = ROOT / "benchmarks" / "results" / "side" / f"{name}.json"
    told = json.loads(path.read_text(encoding="utf-8"))

    def share(row: dict[str, Any], ms: float) -> str:
        return f"{row['gflop'] / ms * 1e3 / told['peak_gflops']:.1%}"

    table = [
        f"{told['processor']}, 1 thread; torch {told['torch']}; commits {told['before']} and "
        f"{told['now']}; product peak {told['peak_gflops']:.0f} GFLOP/s in fp32.",
        "",
        "| | before, ms | now, ms | share before | share now |",
        "| --- |" + " ---: |" * 4,
    ]
    for row in told["rows"]:
        then, now = row["before_ms"], row["now_ms"]
        first = (
            ("–", f"{now:.0f}", "–")
            if then is None
            else (f"{then:.0f}", f"{now:.0f}", share(row, then))
        )
        table.append(f"| {row['update']} | {' | '.join(first)} | {share(row, now)} |")
    return "\n".join(table)


MAKE: dict[str, Callable[[str], str]] = {
    "side": side_by_side,  # of a file in benchmarks/results/side
    "before": before,  # of another one there
    "against": against,  # of a suite
    "board": board,  # of a suite
    "options": options,  # of a learner
    "presentations": presentations,  # of an online suite
    "results": reference_results,  # of a learner
    "published": published,  # of a learner
    "packages": packages,
    "benchmarks": benchmarks,  # of a kind of device
}


def main() -> None:
    """Writes the pages again, and says which have changed."""
    for path in pages():
        before = path.read_text(encoding="utf-8")
        if (after := renewed(before)) != before:
            path.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(ROOT)} has changed\n")


if __name__ == "__main__":
    main()
