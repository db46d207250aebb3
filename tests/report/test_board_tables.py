"""Tables of a board."""

from __future__ import annotations

from pathlib import Path

from bench.report.board_tables import Table, accuracy_table
from bench.results.boards import boards
from bench.results.reading import read_results
from bench.results.table import load_results
from tests.helpers.synthetic import write_cell, write_probe

SHARE = "of paper"


def table_of(root: Path) -> Table:
    (board,) = boards(read_results(root).rows)
    return accuracy_table(board)


def shares(table: Table) -> dict[str, str]:
    """What stands in the column, by learner."""
    column = [column.title for column in table.columns].index(SHARE)
    return {
        line.entry.learner: line.cells[column] for own in table.families.values() for line in own
    }


def test_a_row_says_its_share_of_the_papers_schedule(tmp_path: Path) -> None:
    """5,000 of 60,000 updates, 25,000 of 10,000 in two seeds, and a paper that states none."""
    write_cell(tmp_path, "maml", updates=5_000, published_updates=60_000)
    for seed, updates in enumerate((20_000, 30_000)):
        write_cell(tmp_path, "mann", seed=seed, updates=updates, published_updates=10_000)
    write_cell(tmp_path, "relation", updates=6_000, published_updates=1_000_000)
    write_cell(tmp_path, "snail")
    table = table_of(tmp_path)
    assert shares(table) == {"maml": "8.3 %", "mann": "250 %", "relation": "0.6 %", "snail": "–"}
    assert (
        sum("of paper: by the updates of the paper's own schedule" in n for n in table.notes) == 1
    )
    stored = load_results(tmp_path).set_index("learner").published_updates
    assert stored.loc["relation"] == 1_000_000
    assert stored.isna().loc["snail"]


def test_seconds_of_other_machines_are_told_by_name(tmp_path: Path) -> None:
    """Most were trained on a CPU; of relation one seed of two, of maml none."""
    for learner in ("mann", "snail"):
        for seed in (0, 1):
            write_cell(tmp_path, learner, seed=seed)
    write_cell(tmp_path, "relation", seed=0)
    write_cell(tmp_path, "relation", seed=1, device="cuda")
    for seed in (0, 1):
        write_cell(tmp_path, "maml", seed=seed, device="cuda")
    notes = [note for note in table_of(tmp_path).notes if note.startswith("time")]
    assert notes == [
        "time: of the seeds that were trained in one place, where most learners were",
        "time of maml: of another place, and no measure beside the others",
    ]


def test_of_one_machine_no_seconds_need_a_word(tmp_path: Path) -> None:
    for learner in ("mann", "snail"):
        write_cell(tmp_path, learner, device="cuda")
    assert not [note for note in table_of(tmp_path).notes if note.startswith("time")]


def test_equal_bests_are_all_bold(tmp_path: Path) -> None:
    for learner, wrong in (("lstm", 0.0), ("ntm", 0.0), ("mann", 3.0)):
        write_probe(tmp_path, learner, wrong=wrong)
    table = table_of(tmp_path)
    bold = {line.label: line.best for own in table.families.values() for line in own}
    assert bold == {"lstm": True, "ntm": True, "mann": False}


def test_nothing_is_bold_where_nobody_is_ranked(tmp_path: Path) -> None:
    for learner in ("lstm", "ntm"):
        write_probe(tmp_path, learner, wrong=0.0)
    write_probe(tmp_path, "mann", status="failed")
    assert not any(line.best for own in table_of(tmp_path).families.values() for line in own)


def test_there_is_no_such_column_where_no_paper_says_it(tmp_path: Path) -> None:
    """Nor for memory probes: what a paper trained for on images is no share of these."""
    write_cell(tmp_path / "images", "snail")
    write_probe(tmp_path / "probe", "mann", published_updates=6_250)
    for folder in ("images", "probe"):
        table = table_of(tmp_path / folder)
        assert SHARE not in [column.title for column in table.columns]
        assert not any(SHARE in note for note in table.notes)
