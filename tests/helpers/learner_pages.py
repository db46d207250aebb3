"""The parts of docs/learners/ that are not written by hand: options, and reference results.

``python -m tests.helpers.learner_pages`` writes them again, after an option or a reference result
has changed; tests/test_docs.py holds the pages against them. A part stands between
``<!-- options: NAME -->`` or ``<!-- reference results: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from typing import Any

from bench.registry.installed import learners
from tests.helpers.pages import ROOT, parse, reference_cells, reference_commands

PAGES = ROOT / "docs" / "learners"
PART = re.compile(r"(<!-- ([\w ]+): ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def renewed(page: str) -> str:
    """A page with its parts as they have to be."""
    make = {"options": options, "reference results": reference_results}
    return PART.sub(lambda m: f"{m[1]}\n{make[m[2]](m[3])}\n\n{m[4]}", page)


def options(name: str) -> str:
    """What `bench show` tells, as a table."""
    learner = learners().get("learner", name)
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
    return "\n\n".join([table, *presets])


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
    rows = [_row(cell) for cell in sorted(cells, key=_order)]
    return "\n".join(["```", *made, "```", "", *head, *rows])


def _learners_of(command: str) -> set[str]:
    return {spec.partition("[")[0] for spec in parse(command).params["learners"]}


def _order(cell: dict[str, Any]) -> tuple[Any, ...]:
    size = [int(digits) for digits in re.findall(r"\d+", cell["setting"])]
    return cell["suite"], cell["learner"], size, cell["examples"]


def _row(cell: dict[str, Any]) -> str:
    changed = cell["learner"].removeprefix(cell["learner_name"]).strip("[]").replace(",", ", ")
    seen = f"{cell['examples']:,}" if cell["examples"] else "-"
    words = (
        cell["suite"], cell["setting"], f"`{changed}`" if changed else "", cell["budget"], seen,
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


def main() -> None:
    """Writes the pages again, and says which have changed."""
    for path in sorted(PAGES.glob("*.md")):
        before = path.read_text(encoding="utf-8")
        if (after := renewed(before)) != before:
            path.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(ROOT)} has changed\n")


if __name__ == "__main__":
    main()
