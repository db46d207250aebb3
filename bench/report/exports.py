"""Tables of the report as files: CSV for programs, Markdown for README files, LaTeX for papers."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from bench.report.board_tables import Line, Table, Value
from bench.report.figures.style import slug
from bench.report.marks import MARKS
from bench.results.boards import UNTRAINED, Board
from bench.results.formats import spreadsheet_text
from bench.store.atomic import utf8, write_atomically

LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "±": r"$\pm$", "µ": r"\textmu{}", "–": "--", "…": r"\ldots{}", "−": "$-$", "·": r"$\cdot$",
    "†": r"\textdagger{}", "‡": r"\textdaggerdbl{}", "§": r"\textsection{}",
}  # fmt: skip


def as_csv(table: Table) -> str:
    """Numbers as they are stored: fractions, seconds, bytes; empty where there is none."""
    first = table.columns[0]
    header = ["family", "learner", _plain(first.group, first.title), "ci95"]
    header += [*(_plain(column.group, column.title) for column in table.columns[1:]), "marks"]
    if table.kind != "accuracy":
        header.remove("ci95")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(map(_stored, header))
    for family, lines in table.families.items():
        for line in lines:
            values = list(line.values)
            if table.kind == "accuracy":
                values.insert(1, line.entry.half_width(table.board.metric))
            marks = " ".join(MARKS[mark].partition(":")[0] for mark in line.marks)
            writer.writerow([*map(_stored, (family, line.label, *values)), marks])
    return buffer.getvalue()


def as_markdown(table: Table) -> str:
    """A table of GitHub's kind, with its caption above and its notes below."""
    header = [
        "family",
        "learner",
        *(_markdown(_plain(c.group, c.title, "")) for c in table.columns),
    ]
    right = [False, False, *(column.figures for column in table.columns)]
    lines = [header, ["--:" if r else "---" for r in right]]
    lines += [
        [_markdown(family), _markdown(line.label + line.marks), *_bold(line, "**{}**", _markdown)]
        for family, members in table.families.items()
        for line in members
    ]
    drawn = ["| " + " | ".join(cells) + " |" for cells in lines]
    notes = _markdown(_sentence(table.notes))
    return f"**{_markdown(_title(table))}**\n\n" + "\n".join(drawn) + f"\n\n{notes}\n"


def as_latex(table: Table) -> str:
    """A ``table`` float; the preamble needs ``booktabs``, ``textcomp`` and ``[T1]{fontenc}``."""
    shape = "l" + "".join("r" if column.figures else "l" for column in table.columns)
    rows = []
    if table.groups:
        place, rules, cells = 2, [], [""]
        for name, span, _ in table.groups:
            cells.append(
                rf"\multicolumn{{{span}}}{{c}}{{{_latex(name)}}}" if name else "&" * (span - 1)
            )
            if name:
                rules.append(rf"\cmidrule(lr){{{place}-{place + span - 1}}}")
            place += span
        rows += [" & ".join(cells) + r" \\", " ".join(rules)]
    rows += [" & ".join(["learner", *(_latex(column.title) for column in table.columns)]) + r" \\"]
    for family, lines in table.families.items():
        rows += [r"\midrule", rf"\multicolumn{{{len(shape)}}}{{l}}{{\emph{{{_latex(family)}}}}} \\"]
        for line in lines:
            mark = rf"\textsuperscript{{{_latex(line.marks)}}}" if line.marks else ""
            cells = [_latex(line.label) + mark]
            cells += _bold(line, r"\textbf{{{}}}", _latex)
            rows.append(" & ".join(cells) + r" \\")
    body = "\n".join(rows)
    return (
        "\\begin{table}\n\\centering\n"
        f"\\caption{{{_latex(_title(table))}. {_latex(_sentence(table.notes))}}}\n"
        f"\\label{{tab:{file_name(table.board, table.kind)}}}\n"
        f"\\begin{{tabular}}{{{shape}}}\n\\toprule\n{body}\n\\bottomrule\n"
        "\\end{tabular}\n\\end{table}\n"
    )


WRITERS: dict[str, tuple[str, Callable[[Table], str]]] = {
    "csv": ("csv", as_csv),
    "markdown": ("md", as_markdown),
    "latex": ("tex", as_latex),
}
"""By the name that ``bench report --format`` understands: suffix, and how it is written."""


def save_tables(tables: Iterable[Table], folder: Path, formats: Sequence[str]) -> list[Path]:
    """Writes each table in each format. Of tables of one name the second is ``<name>-2``.

    Raises:
        CannotWriteError: the folder cannot be written.
    """
    paths = []
    used: Counter[str] = Counter()
    for table in tables:
        stem = file_name(table.board, table.kind)
        used[stem] += 1
        stem += f"-{used[stem]}" if used[stem] > 1 else ""
        for name in formats:
            suffix, write = WRITERS[name]
            path = folder / f"{stem}.{suffix}"
            write_atomically(path, partial(_put, utf8(write(table))))
            paths.append(path)
    return paths


def _put(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def file_name(board: Board, kind: str) -> str:
    """``omniglot-5way-5way1shot-standard-accuracy``: only letters, digits and dashes."""
    budget = "" if board.budget == UNTRAINED else board.budget
    version = f"v{board.suite_version}" if (board.suite_version or 1) > 1 else ""
    parts = [board.suite, version, board.setting, budget, kind]
    return slug(*filter(None, parts))


def _stored(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, str):
        return spreadsheet_text(value)
    return "" if value is None else str(value)


def _sentence(notes: Sequence[str]) -> str:
    text = "; ".join(notes)
    return f"{text[:1].upper()}{text[1:]}."


def _title(table: Table) -> str:
    board = table.board
    budget = "" if board.budget == UNTRAINED else f", budget {board.budget}"
    return f"{table.caption}: {board.suite}, {board.setting}{budget}"


def _plain(group: str, title: str, percent: str = ", %") -> str:
    return f"{group} {title}".strip().removesuffix(percent)


def _bold(line: Line, bold: str, escape: Callable[[str], str]) -> list[str]:
    """The cells of a line; of each of the best the first one is bold."""
    cells = [escape(text) for text in line.cells]
    return [bold.format(cells[0]), *cells[1:]] if line.best else cells


def _markdown(text: str) -> str:
    return re.sub(r"([|<>\\`_*~\[\]])", r"\\\1", " ".join(text.split()))


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in " ".join(text.split()))
