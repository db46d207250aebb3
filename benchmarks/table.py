"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.part import NOTHING, Part, Row, significant
from benchmarks.parts import PARTS
from benchmarks.results import Results


def tables(found: Results) -> str:
    """The machine's words, then a table for each part."""
    parts, nothing = [words(found)], []
    for name, part in PARTS.items():
        rows, skipped = found.rows.get(name, {}), found.skipped.get(name, {})
        if rows or len(set(skipped.values())) > 1:
            parts.append(_part(part, rows, skipped))
        elif skipped:
            nothing.append(f"- {part.title}: {next(iter(skipped.values()))}.")
    if nothing:
        parts.append("\n".join(["Nothing was measured of:", "", *nothing]))
    return "\n\n".join(parts)


def words(found: Results) -> str:
    """Where it was measured and with what."""
    machine, asked = found.machine, found.asked
    threads = machine["threads"]
    loads = [row["load"] for part in found.rows.values() for row in part.values() if "load" in row]
    commits = dict.fromkeys(row["commit"] for part in found.rows.values() for row in part.values())
    said = [
        *([f"{machine['gpu']}, CUDA {machine['cuda']}"] if "gpu" in machine else []),
        f"{machine['processor']}, {threads} thread{'s' if threads > 1 else ''}",
        f"torch {machine['torch']}",
        f"commit {' and '.join(commits)}",
        f"medians of {asked['repeats']} or more",
    ]
    if loads:
        said.append(f"a load of {min(loads):g} to {max(loads):g} on {machine['cores']} cores")
    peaks = ", ".join(
        f"{significant(peak / 1e9)} GFLOP/s in {precision}"
        for precision, peak in found.peaks.items()
    )
    return f"{'; '.join(said)}.\n" + (f"Product peak: {peaks}.\n" if peaks else "")


def _part(part: Part, rows: Mapping[str, Row], skipped: Mapping[str, str]) -> str:
    lines = [f"### {part.title}", "", part.about, ""]
    if rows:
        lines += [*_table({name: part.cells(row) for name, row in rows.items()}), ""]
    reasons: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        reasons.setdefault(reason, []).append(name)
    lines += [f"Not measured: {'; '.join(names)} ({reason})." for reason, names in reasons.items()]
    return "\n".join(lines).rstrip()


def _table(cells: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Without the columns that have nothing in any row."""
    [first, *_] = cells.values()
    headings = [
        heading for heading in first if any(row[heading] != NOTHING for row in cells.values())
    ]
    lines = [f"| | {' | '.join(headings)} |", f"| --- |{' ---: |' * len(headings)}"]
    for name, row in cells.items():
        lines.append(f"| {name} | {' | '.join(row[heading] for heading in headings)} |")
    return lines
