"""Text for the terminal and for pipes: aligned tables, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

    from bench.results.boards import Board, Entry


Format = Literal["table", "csv", "json"]


MISSING = "–"


PRESENTATIONS = (1, 2, 5, 10)
"""Online: the presentations that tables show."""


def render(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    fmt: Format = "table",
    terminal: bool | None = None,
) -> str:
    """Rows as text.

    Args:
        rows: one mapping per row; a column that it lacks, None and NaN are missing.
        columns: which columns, in this order.
        fmt: ``table`` (for people), ``csv`` (with a header) or ``json`` (a list of objects, missing
            values null).
        terminal: whether to colour and fit a table to the window; default: when stdout is one.
    """
    values = [[plain(row.get(column)) for column in columns] for row in rows]
    if fmt == "json":
        objects = [dict(zip(columns, row, strict=True)) for row in values]
        return json.dumps(objects, indent=1, ensure_ascii=False, allow_nan=False)
    if fmt == "csv":
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_csv_cell(value) for value in row] for row in values)
        return buffer.getvalue().rstrip("\n")
    cells = [[_table_cell(value) for value in row] for row in values]
    kinds = [
        {type(value) for value in column} - {type(None)} for column in zip(*values, strict=True)
    ]
    numeric = [bool(kind) and kind <= {int, float} for kind in kinds]
    return _draw(list(columns), cells, numeric or [False] * len(columns), terminal)


def leaderboard(frame: pd.DataFrame) -> None:
    """Prints the boards of a results table: the end of ``bench run``.

    Args:
        frame: what `bench.results.table.load_results` returned, or some of its rows.
    """
    import click

    from bench.results.boards import boards

    for board in boards(frame):
        click.echo(board_text(board) + "\n")


def board_text(board: Board, terminal: bool | None = None) -> str:
    """One board: title, table, and why cells are missing.

    Times of all devices in a pipe and where the window is wide enough, else of the first device.
    """
    terminal = sys.stdout.isatty() if terminal is None else terminal
    header, lines = _board_table(board, board.devices)
    width = sum(
        max(len(cell) + 3 for cell in column) for column in zip(header, *lines, strict=True)
    )
    if terminal and width > shutil.get_terminal_size().columns:
        header, lines = _board_table(board, board.devices[:1])
    right = [False, *[True] * (len(header) - 1)]
    parts = [board_title(board), _draw(header, lines, right, terminal)]
    for entry in board.entries:
        for cell in entry.cells:
            if cell["status"] != "done":
                why = f": {_clean(cell['reason'])}" if cell["reason"] else ""
                parts.append(f"{cell['status']}  {_clean(entry.label)} seed {cell['seed']}{why}")
    return "\n".join(parts)


def _board_table(board: Board, devices: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Header and lines; a family is a line with a first cell only."""
    presentations = PRESENTATIONS if board.online else ()
    counted = board.seeds > 1 or not board.complete
    scores = ["wrong bits", "of", "right %"] if board.probe else ["accuracy %"]
    header = ["learner", *scores, *map(ordinal, presentations)]
    header += [*(["seeds"] if counted else []), "sequences" if board.probe else "episodes"]
    header += ["training"]
    phases = {"step": "step"} if board.probe else {"adapt": "adapt", "further_query": "query"}
    for device in devices:
        where = f" {device}" if len(board.devices) > 1 else ""
        header += [f"{phase}{where}" for phase in phases.values()]
    lines: list[list[str]] = []
    for family, entries in board.families.items():
        lines.append([family, *[""] * (len(header) - 1)])
        for entry in entries:
            bits = [count(entry.common("bits")), percent(entry.mean("accuracy"))]
            curve = entry.curve("accuracy_by_presentation")
            lines.append(
                [
                    f"  {entry.label}{' (transductive)' if entry.transductive else ''}",
                    "*" * (entry is board.best) + score(board, entry),
                    *(bits if board.probe else []),
                    *(percent(curve[k - 1]) if k <= len(curve) else MISSING for k in presentations),
                    *([seeds(entry)] if counted else []),
                    count(entry.mean("episodes")),
                    training_time(entry),
                    *(
                        duration(entry.time(device, phase))
                        for device in devices
                        for phase in phases
                    ),
                ]
            )
    return header, lines


def board_title(board: Board) -> str:
    """Suite, setting and budget."""
    budget = "nothing to train" if board.budget == "none" else f"budget {board.budget}"
    return f"{board.suite}  {board.setting}  ({budget})"


def score(board: Board, entry: Entry) -> str:
    """What the board ranks by: accuracy in percent, or a memory probe's wrong bits; the status of
    a learner that has none."""
    if not entry.done:
        return entry.status
    write = wrong_bits if board.probe else percent
    return write(entry.score(board.metric), entry.half_width(board.metric))


def wrong_bits(mean: float | None, ci95: float | None = None) -> str:
    """Wrong bits per sequence with the half-width of their interval: ``0.042 ± 0.013``."""
    if mean is None:
        return MISSING
    decimals = 3 if mean < 1 else 2 if mean < 100 else 1
    return f"{mean:.{decimals}f}" + ("" if ci95 is None else f" ± {ci95:.{decimals}f}")


def percent(fraction: float | None, ci95: float | None = None) -> str:
    """A fraction in percent with the half-width of its interval: ``98.25 ± 0.11``."""
    if fraction is None:
        return MISSING
    return f"{100 * fraction:.2f}" + ("" if ci95 is None else f" ± {100 * ci95:.2f}")


def number(value: float | None) -> str:
    """Three decimals."""
    return MISSING if value is None else f"{value:.3f}"


def count(value: float | None) -> str:
    """A whole number with thousands separated."""
    return MISSING if value is None else f"{round(value):,}"


def duration(seconds: float | None) -> str:
    """Three significant digits up to a minute, then minutes and hours."""
    if seconds is None:
        return MISSING
    for unit, scale in (("ns", 1e9), ("µs", 1e6), ("ms", 1e3), ("s", 1)):
        value = seconds * scale
        if value < (59.95 if unit == "s" else 999.5):
            return f"{value:.3g} {unit}" if value else "0 s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def training_time(entry: Entry) -> str:
    """Meta-training time of one seed; missing for a learner with nothing to train."""
    return duration(entry.mean("training_seconds") if entry.mean("updates") else None)


def seeds(entry: Entry) -> str:
    """How many seeds are finished: ``3``, or ``2 of 3``."""
    done = len(entry.done)
    return str(done) if entry.complete else f"{done} of {len(entry.cells)}"


def ordinal(k: int) -> str:
    """``1st``, ``2nd``, ``11th``."""
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(k % 10, "th") if k % 100 not in (11, 12, 13) else "th"
    return f"{k}{suffix}"


def plain(value: Any) -> Any:
    """A value as JSON knows it: numpy and pandas scalars unwrapped, NaN and NA as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None if type(value).__name__ in ("NAType", "NaTType") else str(value)


def _csv_cell(value: Any) -> Any:
    return json.dumps(value, allow_nan=False) if isinstance(value, dict | list) else value


def _table_cell(value: Any) -> str:
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " ".join(_table_cell(item) for item in value)
    return str(value)


def _clean(text: str) -> str:
    """One line without control characters: names and reasons come from plugins."""
    return "".join(c if unicodedata.category(c)[0] != "C" else " " for c in str(text))


def _draw(
    header: list[str], lines: list[list[str]], right: Sequence[bool], terminal: bool | None
) -> str:
    lines = [[_clean(cell) for cell in line] for line in lines]
    if terminal is None:
        terminal = sys.stdout.isatty()
    return _rich(header, lines, right) if terminal else _aligned(header, lines, right)


def _aligned(header: list[str], lines: list[list[str]], right: Sequence[bool]) -> str:
    from rich.cells import cell_len

    table = [header, *lines]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]

    def pad(cell: str, width: int, to_right: bool) -> str:
        space = " " * (width - cell_len(cell))
        return space + cell if to_right else cell + space

    return "\n".join(
        "  ".join(pad(*cell) for cell in zip(line, widths, right, strict=True)).rstrip()
        for line in table
    )


def _rich(header: list[str], lines: list[list[str]], right: Sequence[bool]) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column, to_right in enumerate(right):
        # In a narrow window names and headings wrap, figures do not.
        figures = max((len(line[column]) for line in lines), default=0) if to_right else 12
        justify: Literal["left", "right"] = "right" if to_right else "left"
        table.add_column(Text(header[column]), justify=justify, min_width=figures, overflow="fold")
    for line in lines:  # a line with a first cell only is a heading
        style = "bold" if len(line) > 1 and not any(line[1:]) else ""
        table.add_row(*(Text(cell) for cell in line), style=style)  # Text: brackets are no markup
    console = Console(
        file=io.StringIO(), force_terminal=True, width=shutil.get_terminal_size().columns
    )
    with console.capture() as capture:
        console.print(table)
    return capture.get().strip("\n")


def natural(name: str) -> list[Any]:
    """Sort key that puts 5way before 20way."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts]
