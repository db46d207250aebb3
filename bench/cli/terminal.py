"""Text for the terminal and for pipes: aligned tables, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from bench.cli.output import literal
from bench.results.formats import MISSING, count, duration, percent, plain, spreadsheet_text
from bench.results.labels import notes_of
from bench.results.measures import BRIEF_PHASES
from bench.results.training_times import places_of_training
from bench.results.written import board_title, score, seeds, sharing, training_time

if TYPE_CHECKING:
    from bench.results.boards import Board
    from bench.results.rows import CellRow, Place

Format = Literal["table", "csv", "json"]


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
        writer.writerow(map(spreadsheet_text, columns))
        writer.writerows([_csv_cell(value) for value in row] for row in values)
        return buffer.getvalue().rstrip("\n")
    cells = [[_table_cell(value) for value in row] for row in values]
    kinds = [
        {type(value) for value in column} - {type(None)} for column in zip(*values, strict=True)
    ]
    numeric = [bool(kind) and kind <= {int, float} for kind in kinds]
    return _draw(list(columns), cells, numeric or [False] * len(columns), terminal)


def print_boards(rows: Sequence[CellRow]) -> None:
    """Prints the boards of stored results: the end of ``bench run``.

    Args:
        rows: of `bench.results.reading.read_results`.
    """
    import click

    from bench.results.boards import boards

    for board in boards(rows):
        click.echo(board_text(board) + "\n")


def board_text(board: Board, terminal: bool | None = None) -> str:
    """One board: title, table, and why cells are missing.

    Times of all devices in a pipe and where the window is wide enough, else of the first device.
    """
    terminal = sys.stdout.isatty() if terminal is None else terminal
    places = board.places
    header, lines = _board_table(board, places, several=len(places) > 1)
    width = sum(
        max(len(cell) + 3 for cell in column) for column in zip(header, *lines, strict=True)
    )
    if terminal and width > shutil.get_terminal_size().columns:
        header, lines = _board_table(board, places[:1], several=len(places) > 1)
    right = [False, *[True] * (len(header) - 1)]
    parts = [board_title(board), _draw(header, lines, right, terminal)]
    for entry in board.entries:
        for cell in entry.cells:
            if cell.status != "done":
                why = f": {literal(cell.reason)}" if cell.reason else ""
                parts.append(f"{cell.status}  {literal(entry.label)} seed {cell.seed}{why}")
    parts += map(literal, notes_of(board))
    return "\n".join(parts)


def _board_table(
    board: Board, places: Sequence[Place], several: bool
) -> tuple[list[str], list[list[str]]]:
    """Header and lines; a family is a line with a first cell only.

    Args:
        board: what to show.
        places: whose times to show.
        several: whether somebody was timed elsewhere too, so that headings say where.
    """
    kind, metric = board.kind, board.metric
    presentations = kind.series.shown if kind.series else ()
    counted = board.seeds > 1 or not board.complete
    [usual] = places_of_training([board])
    bests = sharing(board, board.best) if board.best else []
    phases = [(place, phase) for place in places for phase in BRIEF_PHASES if phase in board.phases]
    header = [
        "learner",
        metric.heading.replace(",", ""),
        *(also.short_heading for also in kind.also),
        *(kind.series.name(k) for k in presentations if kind.series),
        *(["seeds"] if counted else []),
        kind.episodes,
        "training",
        *(BRIEF_PHASES[phase] + (f" {place.label}" if several else "") for place, phase in phases),
    ]
    lines: list[list[str]] = []
    for family, entries in board.families.items():
        lines.append([family, *[""] * (len(header) - 1)])
        for entry in entries:
            curve = entry.curve()
            lines.append(
                [
                    f"  {entry.label}{' (other code)' * entry.other_code}"
                    f"{' (transductive)' * entry.transductive}",
                    "*" * (entry in bests) + score(board, entry),
                    *(also.write(also.value(entry)) for also in kind.also),
                    *(percent(curve[k - 1]) if k <= len(curve) else MISSING for k in presentations),
                    *([seeds(entry)] if counted else []),
                    count(entry.mean(lambda row: row.episodes)),
                    training_time(entry, usual),
                    *(duration(entry.time(place, phase)) for place, phase in phases),
                ]
            )
    return header, lines


def _csv_cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, allow_nan=False)
    return spreadsheet_text(value) if isinstance(value, str) else value


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


def _draw(
    header: list[str], lines: list[list[str]], right: Sequence[bool], terminal: bool | None
) -> str:
    lines = [[literal(cell) for cell in line] for line in lines]
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
