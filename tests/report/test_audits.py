"""Audits in the report: which passed, which failed and why, what was not audited."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pandas as pd

from bench.report import write_report
from bench.report.audits import with_audits
from bench.report.board_tables import Table, tables
from bench.report.exports import as_csv, as_latex, as_markdown
from bench.results.boards import boards
from bench.results.reading import read_results
from bench.store.checked import Problem
from bench.store.files import audit_records
from bench.store.records import Audit, AuditResult
from tests.helpers.synthetic import NOW, a_failure, environment, store, write_cell, write_probe

EVIL = "<script>alert('|')</script>"


def an_audit(name: str, outcome: Any = "passed", **changes: Any) -> Audit:
    fields: dict[str, Any] = {"explanation": "No answer does.", "found": None, "value": None}
    return Audit(name=name, outcome=outcome, **fields | changes)


def write_audits(root: Path, training: str, *audits: Audit) -> Path:
    """Beside a training's weights."""
    path = root / "trainings" / training / "audits.json"
    result = AuditResult(
        audits=list(audits), seconds=1.5, environment=environment(), source="5ec0de", finished=NOW
    )
    store(path, result)
    return path


def audit_tables(root: Path) -> list[Table]:
    rows = with_audits(read_results(root).rows, root, [])
    return [t for board in boards(rows) for t in tables(board) if t.kind == "audits"]


def page_of(root: Path) -> str:
    return write_report(root, formats=["html"], single=True)[0].read_text(encoding="utf-8")


def shown(table: Table) -> dict[str, list[str]]:
    return {line.label + line.marks: line.cells for own in table.families.values() for line in own}


def test_results_without_audits_have_no_table_of_them(tmp_path: Path) -> None:
    write_cell(tmp_path, "a")
    assert audit_tables(tmp_path) == []
    html = page_of(tmp_path)
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    assert "Audit" not in shown
    assert "audited" not in shown
    assert "§" not in shown


def test_a_row_per_learner_and_a_column_per_audit(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", training="a-1")
    write_cell(tmp_path, "b", training="b-1")
    write_cell(tmp_path, "c", training="c-1")
    both = an_audit("query-labels"), an_audit("causality", "not applicable")
    write_audits(tmp_path, "a-1", *both, an_audit("support-order", "measured", value=0.125))
    failed = an_audit("support-order", "failed", found="it moves logits", value=0.5)
    write_audits(tmp_path, "b-1", *both, failed)
    (table,) = audit_tables(tmp_path)
    # what applies to no learner of the board has no column
    assert [column.title for column in table.columns] == ["query labels", "support order"]
    assert shown(table) == {
        "a": ["passed", "12.5 %"],
        "b§": ["passed", "failed"],
        "c": ["–", "–"],
    }
    notes = "; ".join(table.notes)
    assert "–: not audited" in notes
    assert "n. a." not in notes
    assert "§ failed an audit" in notes
    assert "%: nothing is promised" in notes
    assert "query labels: labels that loss was given change no answer" in notes


def test_seeds_are_counted(tmp_path: Path) -> None:
    """Of three trainings one fails one audit, and one was not audited."""
    for seed in range(3):
        write_cell(tmp_path, "a", seed=seed, training=f"a-{seed}")
    for seed, outcome, value in ((0, "passed", 0.1), (1, "failed", 0.3)):
        write_audits(
            tmp_path,
            f"a-{seed}",
            an_audit("two-views", outcome),
            an_audit("causality"),
            an_audit("label-order", "measured", value=value),
        )
    (table,) = audit_tables(tmp_path)
    # (10 % + 30 %) / 2
    assert shown(table) == {"a§": ["failed 1 of 3", "passed 2 of 3", "20.0 %"]}


def test_a_failure_stands_beside_the_learner_and_among_the_warnings(tmp_path: Path) -> None:
    write_cell(tmp_path, "cheat", training="cheat-1")
    write_cell(tmp_path, "honest", training="honest-1")
    write_audits(tmp_path, "cheat-1", an_audit("causality", "failed", found="sees its own label"))
    write_audits(tmp_path, "honest-1", an_audit("causality"))
    html = page_of(tmp_path)
    # In the overview, accuracy, audits, the pairs, and the tables of both learners.
    assert html.count("<sup>§</sup>") == 6
    assert "honest<sup>" not in html
    assert "The audit causality failed: sees its own label" in html
    assert "Audits of the trained weights." in html
    assert html.index("Warnings") < html.index("The audit causality failed")


def test_what_a_learner_raised_has_its_traceback(tmp_path: Path) -> None:
    for setting in ("5way1shot", "5way5shot"):
        write_cell(tmp_path, "a", setting=setting, training="a-1")
    raised = an_audit("causality", "failed", found="ValueError: no", traceback="Traceback of it")
    write_audits(tmp_path, "a-1", raised)
    html = page_of(tmp_path)
    told = html.count("the audit causality failed; ValueError: no")
    assert told == 2, "once per training: among what is missing, and on the learner's page"
    assert html.count("Traceback of it</pre>") == 2
    assert "The audit causality failed: " not in html


def test_audits_that_could_not_be_made_are_missing(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", training="a-1")
    path = tmp_path / "trainings" / "a-1" / "audits.failure.json"
    store(path, a_failure(phase="audit", kind="exit", reason="exit code 3", traceback=None))
    html = page_of(tmp_path)
    assert "the audits of its training failed; exit code 3" in html
    assert audit_tables(tmp_path) == []


def test_settings_that_share_a_training_show_its_audits_once(tmp_path: Path) -> None:
    for items in (10, 20):
        write_probe(tmp_path, "ntm", items=items, training="ntm-1")
    write_audits(tmp_path, "ntm-1", an_audit("causality"))
    assert page_of(tmp_path).count("Audits of the trained weights.") == 1


def test_hostile_words_are_text(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", training="a-1")
    failed = an_audit(EVIL, "failed", found=EVIL, explanation=EVIL)
    raised = an_audit("causality", "failed", found=EVIL, traceback=EVIL)
    write_audits(tmp_path, "a-1", failed, raised)
    store(tmp_path / "trainings/a-1/audits.failure.json", a_failure(reason=EVIL, traceback=EVIL))
    html = page_of(tmp_path)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    (table,) = audit_tables(tmp_path)
    rows = [line for line in as_markdown(table).splitlines() if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in rows}) == 1


def test_tables_as_files(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", training="a-1")
    measured = an_audit("support-order", "measured", value=0.125)
    write_audits(tmp_path, "a-1", an_audit("causality", "failed", found="x"), measured)
    (table,) = audit_tables(tmp_path)
    frame = pd.read_csv(io.StringIO(as_csv(table)))
    assert frame["causality"].tolist() == ["failed"]
    assert frame["support order"].tolist() == [0.125]
    assert frame["marks"].tolist() == ["failed an audit of its trained weights"]
    assert "| metric-based | a§ | failed | 12.5 % |" in as_markdown(table)
    assert r"a\textsuperscript{\textsection{}} & failed & 12.5 \%" in as_latex(table)
    write_report(tmp_path, formats=["markdown"])
    assert (tmp_path / "tables" / "glyphs-5way-5way1shot-standard-audits.md").exists()


def test_damaged_audits_are_named_and_the_report_is_made(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", training="a-1")
    path = write_audits(tmp_path, "a-1", an_audit("causality"))
    for content, why in (("{", "damaged or truncated"), ('{"audits": 3}', "audits: Input should")):
        path.write_text(content)
        problems: list[Problem] = []
        assert audit_records(tmp_path, "a-1", problems) == (None, None)
        assert [str(path)] == [problem.path for problem in problems]
        assert why in problems[0].reason
        assert "audits.json" in page_of(tmp_path)
    path.write_text('{"audits": [{"name": "causality", "outcome": null}, null]}')
    (table,) = audit_tables(tmp_path)
    assert shown(table) == {"a": ["n. a."]}
