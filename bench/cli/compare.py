"""`bench compare`: is B worse than A? Two results folders, or two learners of one.

``--format json`` gives one object::

    a, b              as given
    regressions       rows with a regression
    lost              of two folders, cells done in A and failed, unfinished, missing or damaged
                      in B; the exit code is 1 where there are any of either
    rows              one for each learner on a setting of a suite at a budget
        suite  suite_version  setting  budget
        metric            "accuracy" (a fraction), "bit_errors" (wrong bits of a sequence), or
                          that of a plugin's protocol
        more_is_better    true or false
        a, b              null where that side lacks it, else learner, device, precision, and by
                          cell seeds and status; score is the mean over the seeds, null where one
                          is missing
        difference        null where they are not compared (then `reason` says why), else
            about         "learners", or "weights" with fewer than 3 seeds on a side that is
                          trained
            mean          B - A in units of the metric
            ci95          half-width of its interval; null where nothing varies
            p, p_holm     alone, and adjusted over all rows
            detectable    smallest true difference that is found in 80 % of repetitions
            n             seeds of the trained side that has fewer; about weights, and of two
                          untrained learners, episodes
        verdict           "worse", "better" or "not told apart"; null where not compared
        regression        worse, and about learners
        lost              cells by seed and status: failed, unfinished, missing or damaged
        changes           by name, what A and B do not share of how they were made: [A's, B's]
        reason            null where they are compared
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from bench.api.files import is_folder
from bench.cli.options import STORED_SUITES
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.results.boards import Entry
    from bench.results.compare import Row
    from bench.results.rows import CellRow

NO_REGRESSION = "No regression that holds with the variance between seeds."
WEIGHTS_ONLY = (
    "With fewer than 3 seeds on a trained side a difference speaks of these trained weights, not "
    "of the learner: another training may turn it round, so that it is no regression. "
    "bench run --seeds 0-2 makes enough."
)


@click.command()
@click.argument("a")
@click.argument("b")
@click.option(
    "--results", type=click.Path(), default=None, metavar="DIR",
    help="Then A and B are learners in this folder.  [default for learners: results]",
)  # fmt: skip
@STORED_SUITES
@click.option(
    "--budget", "budgets", multiple=True, metavar="NAME",
    help="Only this budget. May be repeated.  [default: all]",
)  # fmt: skip
@click.option(
    "--format", "fmt", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.pass_context
def compare(
    ctx: click.Context,
    a: str,
    b: str,
    results: str | None,
    suites: tuple[str, ...],
    budgets: tuple[str, ...],
    fmt: str,
) -> None:
    """Compares B with A: two results folders, or two learners of one folder.

    \b
    bench compare before after
    bench compare maml 'maml[inner_steps=5]' --results results

    Differences are B - A on the episodes that both answered: points of accuracy, or wrong bits of
    a memory probe, with 95 % intervals. p is adjusted for the number of comparisons (Holm). From
    three seeds on both sides (what is not trained needs one) they are about the learners and
    include the variance between seeds, with fewer about these trained weights.

    Exit code: 1 where a learner is worse in B and that holds with the variance between seeds, and,
    of two folders, where a cell that is done in A is failed, unfinished, missing or damaged in B;
    0 where neither is; 2 for wrong input. --suite and --budget narrow what is asked of B.
    """
    from bench.cli.terminal import render
    from bench.results.compare import compare_learners, compare_results

    if results is None and _folders(a, b):
        before, after = (_chosen(folder, suites, budgets) for folder in (a, b))
        rows = compare_results(before, after)
    else:
        try:
            chosen = _chosen(results or "results", suites, budgets)
        except BenchError as error:
            if results is not None:
                raise
            raise BenchError(
                f"{error}\n{a!r} and {b!r} are no folders, and so they were taken for learners"
            ) from error
        rows = compare_learners(chosen, a, b)
    regressions, lost = sum(row.regression for row in rows), sum(len(row.lost) for row in rows)
    if fmt == "json":
        import json

        found: dict[str, Any] = {"a": a, "b": b, "regressions": regressions, "lost": lost}
        found["rows"] = [_json(row) for row in rows]
        click.echo(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        click.echo(render([_line(row) for row in rows], _columns(rows)))
        if notes := [note for row in rows for note in _notes(row)]:
            click.echo("\n" + render(notes, ["note", "where", "what"]))
        click.echo("\n" + _conclusion(rows, regressions, lost))
    ctx.exit(1 if regressions or lost else 0)


def _folders(a: str, b: str) -> bool:
    """Whether A and B mean folders rather than learners."""
    return any(is_folder(name) or os.sep in name.partition("[")[0] for name in (a, b))


def _chosen(folder: str, suites: Sequence[str], budgets: Sequence[str]) -> list[CellRow]:
    """The rows of these suites and budgets; problems go to stderr."""
    from bench.errors import unknown_name
    from bench.results.boards import UNTRAINED
    from bench.results.reading import read_results, select

    found = read_results(folder)
    for problem in found.problems:
        click.echo(f"left out: {problem.path}: {problem.reason}", err=True)
    known = {row.budget for row in found.rows}
    for name in budgets:
        if name not in known:
            raise unknown_name("budget", name, known, f"(among the results in {folder})")
    wanted = {*budgets, UNTRAINED} if budgets else known
    return [row for row in select(found.rows, suites, []) if row.budget in wanted]


# -- text -----------------------------------------------------------------------------------------


def _columns(rows: Sequence[Row]) -> list[str]:
    columns = ["suite", "setting", "budget", "learner", "A", "B", "B - A"]
    return [*columns, "detectable", "p (Holm)", "seeds", "B is"]


def _line(row: Row) -> dict[str, Any]:
    from bench.results.pairs import Comparison
    from bench.results.written import seeds

    sides = [side for side in (row.a, row.b) if side]
    board = row.board
    line: dict[str, Any] = {"suite": board.suite, "setting": board.setting, "budget": board.budget}
    line["learner"] = " / ".join(dict.fromkeys(side.learner for side in sides))
    line["A"], line["B"] = _score(row, row.a), _score(row, row.b)
    line["seeds"] = " / ".join(dict.fromkeys(seeds(side) for side in sides))
    line["B is"] = "not compared"
    if isinstance(row.outcome, Comparison):
        found = row.outcome
        difference, ci95 = _written(row, found.mean, "+"), _written(row, found.ci95)
        line["B - A"] = difference + (f" ± {ci95}" if ci95 else "")
        line["detectable"] = _written(row, found.detectable)
        line["p (Holm)"] = None if found.p_holm is None else _p(found.p_holm)
        of = "" if found.about == "learners" or not found.told_apart else " (these weights)"
        line["B is"] = f"{row.verdict}{of}"
    return line


def _score(row: Row, side: Entry | None) -> str | None:
    """The mean over all seeds; nothing where one is missing."""
    if side is None:
        return None
    if not side.done:
        return side.status
    return _written(row, side.score(row.metric)) if side.complete else None


def _written(row: Row, value: float | None, sign: str = "") -> str:
    """In units of the metric, a fraction in percent; nothing for None."""
    return "" if value is None else row.metric.write_difference(value, sign)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _notes(row: Row) -> list[dict[str, str]]:
    """Why it is not compared, and what else differs between the sides."""
    side = row.a or row.b
    assert side is not None, "a row has a side"
    where = f"{row.board.suite} {row.board.setting} {row.board.budget} {side.learner}"
    notes = []
    if isinstance(row.outcome, str):
        notes.append({"note": "not compared", "where": where, "what": row.outcome})
        cells = [cell for entry in (row.a, row.b) if entry for cell in entry.cells]
        reasons = dict.fromkeys(cell.reason for cell in cells if cell.reason)
        notes += [{"note": "failed", "where": where, "what": reason} for reason in reasons]
    if row.lost:
        what = ", ".join(f"seed {seed} {status}" for seed, status in row.lost.items())
        notes.append({"note": "lost in B", "where": where, "what": what})
    for key, (a, b) in row.changes.items():
        notes.append({"note": f"other {key}", "where": where, "what": f"A {a}, B {b}"})
    return notes


def _conclusion(rows: Sequence[Row], regressions: int, lost: int) -> str:
    from bench.results.pairs import Comparison

    lines = [
        f"REGRESSION: in {regressions} of {len(rows)} rows B is worse, and that holds with the "
        "variance between seeds."
        if regressions
        else NO_REGRESSION
    ]
    if lost:
        lines.append(
            f"LOST: {lost} {'cell that is' if lost == 1 else 'cells that are'} done in A failed or "
            f"{'is' if lost == 1 else 'are'} unfinished, missing or damaged in B."
        )
    compared = [row.outcome for row in rows if isinstance(row.outcome, Comparison)]
    if any(found.about == "weights" and found.told_apart for found in compared):
        lines.append(WEIGHTS_ONLY)
    if left := len(rows) - len(compared):
        lines.append(f"{left} of {len(rows)} rows could not be compared.")
    return "\n".join(lines)


# -- JSON -----------------------------------------------------------------------------------------


def _json(row: Row) -> dict[str, Any]:
    from bench.results.pairs import Comparison

    line: dict[str, Any] = row.board._asdict()
    line |= {"metric": row.metric.key, "more_is_better": row.metric.sign > 0}
    for name, side in (("a", row.a), ("b", row.b)):
        line[name] = side and {
            "learner": side.learner,
            "device": side.cells[0].device,
            "precision": side.cells[0].precision,
            "device_name": [cell.device_name for cell in side.cells],
            "training_threads": [cell.training_threads for cell in side.cells],
            "seeds": [cell.seed for cell in side.cells],
            "status": [cell.status for cell in side.cells],
            "score": side.score(row.metric) if side.complete else None,
        }
    if isinstance(row.outcome, Comparison):
        keys = ("about", "mean", "ci95", "p", "p_holm", "detectable", "n")
        line["difference"] = {key: getattr(row.outcome, key) for key in keys}
    else:
        line["difference"] = None
    line["verdict"], line["regression"] = row.verdict, row.regression
    line["lost"] = [{"seed": seed, "status": status} for seed, status in row.lost.items()]
    line["changes"] = row.changes
    line["reason"] = row.outcome if isinstance(row.outcome, str) else None
    return line
