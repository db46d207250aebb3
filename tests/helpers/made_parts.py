"""The parts of docs/ that are not written by hand: they follow from code and stored results.

``python -m tests.helpers.made_parts`` writes them again, after an option, a reference result or the
import law has changed; tests/test_docs.py holds the pages against them. A part stands between
``<!-- made: KIND NAME -->`` and ``<!-- end -->``; for the kinds see `MAKE`.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.registry.installed import learners
from benchmarks.results import Results
from benchmarks.table import tables
from tests.helpers.pages import ROOT, parse, reference_cells, reference_commands, reference_training
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
        "| suite | setting | options | budget | seen | result | precision |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    cells.sort(key=_order)
    table = [*head, *map(_row, cells)]
    return "\n".join(["```", *made, "```", "", *table, *_learning(cells)])


PARTS = {"1/8": 0.125, "1/4": 0.25, "1/2": 0.5, "all": 1.0}
"""Of what a training has seen, where its learning curve is told."""


def _learning(cells: list[dict[str, Any]]) -> list[str]:
    """A table of the trainings: accuracy of meta-validation on the way, and what ended it."""
    rows = []
    for name, cell in {cell["training"]: cell for cell in reversed(cells)}.items():
        training = reference_training(name)
        if not training["curve"]:
            continue
        until = [part * training["examples"] for part in PARTS.values()]
        points = [min(training["curve"], key=lambda p: abs(p["examples"] - at)) for at in until]
        words = [
            _task(training["task"]),
            _changed(cell),
            cell["budget"],
            f"{training['updates']:,}",
        ]
        words += [f"{100 * point['val_accuracy']:.1f}" for point in points]
        rows.append("| " + " | ".join([*words, training["stopped"]]) + " |")
    if not rows:
        return []
    head = ["trained on", "options", "budget", "updates", *PARTS, "ended by"]
    titles = ["| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    said = "Accuracy in meta-validation, in percent, after a part of all that a training saw:"
    return ["", said, "", *titles, *reversed(rows)]


def _task(task: dict[str, Any]) -> str:
    """A training task in a few words."""
    if task["protocol"] == "sequence":
        return f"{_range(task['items'])} items"
    shots = f"{_range(task['shots'])}-shot" if task["protocol"] == "kshot" else "online"
    return f"{task['ways']}-way {shots}"


def _range(size: int | list[int]) -> str:
    return f"{size[0]} to {size[1]}" if isinstance(size, list) else str(size)


def _learners_of(command: str) -> set[str]:
    specs = parse(command).params["learners"] or sorted(learners().things)
    return {spec.partition("[")[0] for spec in specs}


def _order(cell: dict[str, Any]) -> tuple[Any, ...]:
    size = [int(digits) for digits in re.findall(r"\d+", cell["setting"])]
    return cell["suite"], cell["learner"], size, cell["examples"]


def _changed(cell: dict[str, Any]) -> str:
    """The options that are not the defaults."""
    changed = cell["learner"].removeprefix(cell["learner_name"]).strip("[]").replace(",", ", ")
    return f"`{changed}`" if changed else ""


def _row(cell: dict[str, Any]) -> str:
    seen = f"{cell['examples']:,}" if cell["examples"] else "-"
    words = (
        cell["suite"], cell["setting"], _changed(cell), cell["budget"], seen,
        _result(cell), cell["precision"],
    )  # fmt: skip
    return "| " + " | ".join(words) + " |"


def _result(cell: dict[str, Any]) -> str:
    """Accuracy, online also by presentation; of probes wrong bits."""
    if "bit_errors" in cell["metrics"]:
        wrong = cell["metrics"]["bit_errors"]
        return f"{wrong['mean']:.3g} ± {wrong['ci95']:.2g} wrong bits of {cell['bits']}"
    accuracy = cell["metrics"]["accuracy"]
    text = f"{100 * accuracy['mean']:.1f} ± {100 * accuracy['ci95']:.1f} %"
    if cell.get("by_presentation"):
        at = {k: cell["by_presentation"][k - 1]["mean"] for k in (1, 2, 5, 10)}
        text += "; presentation " + ", ".join(f"{k}: {100 * mean:.1f}" for k, mean in at.items())
    return text


def published(name: str) -> str:
    """The papers' figures that the report holds results against, with their sources."""
    path = ROOT / "bench" / "report" / "published.toml"
    results = tomllib.loads(path.read_text(encoding="utf-8"))["result"]
    own = [result for result in results if result["learner"] == name]
    return "\n".join(map(_published, own)) or "None that we know of."


def _published(result: dict[str, Any]) -> str:
    widths = result.get("ci", {})
    figures = [
        f"{setting} {value}" + (f" ± {widths[setting]}" if setting in widths else "")
        for setting, value in result.get("values", {}).items()
    ]
    said = [result["source"], ", ".join(figures), result.get("note", "")]
    return "- " + ". ".join(part.rstrip(".") for part in said if part) + "."


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


MAKE: dict[str, Callable[[str], str]] = {
    "options": options,  # of a learner
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
