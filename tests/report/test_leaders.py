"""Who is said to lead: ranked settings only, with whom is as good."""

from __future__ import annotations

from pathlib import Path

from bench.report.leaders import leaders
from bench.results.boards import boards
from bench.results.pairs import compare_board
from bench.results.reading import read_results
from tests.helpers.synthetic import write_cell


def said(root: Path, *controls: str, sources: dict[str, str] | None = None) -> str:
    found = boards(read_results(root, sources).rows)
    return leaders(found, [compare_board(board) for board in found], controls)


def exact(mean: float) -> dict[str, dict[str, float | int | None]]:
    one = {"mean": mean, "ci95": 0.01, "n": 200}
    return {"accuracy": one, "nll": one, "ece": {"mean": 0.0, "ci95": None, "n": 200}}


def write(
    root: Path, learner: str, mean: float, setting: str = "5way1shot", **more: object
) -> None:
    fields = {"setting": setting, "accuracy": mean, "metrics": exact(mean)} | more
    write_cell(root, learner, **fields)  # type: ignore[arg-type]


def test_the_best_of_a_ranked_setting(tmp_path: Path) -> None:
    write(tmp_path, "a", 0.9)
    write(tmp_path, "b", 0.5)
    assert said(tmp_path) == (
        "The best: on glyphs-5way a 90.00 ± 1.00 % in 5way1shot (metric-based, 1 seed)."
    )


def test_nobody_is_the_best_where_a_seed_is_missing(tmp_path: Path) -> None:
    """One lucky seed of three is the highest figure, and no winner."""
    write(tmp_path, "lucky", 0.99)
    for seed in (1, 2):
        write(tmp_path, "lucky", 0.9, seed=seed, status="failed")
    for seed in (0, 1, 2):
        write(tmp_path, "steady", 0.9, seed=seed)
    assert said(tmp_path) == (
        "Not ranked, for cells are missing, the best figures so far: on glyphs-5way lucky 99.00 ± "
        "1.00 % in 5way1shot (metric-based, 1 of 3 seeds)."
    )


def test_unequal_seeds_are_not_ranked(tmp_path: Path) -> None:
    write(tmp_path, "a", 0.9)
    for seed in (0, 1, 2):
        write(tmp_path, "b", 0.8, seed=seed)
    assert said(tmp_path).startswith("Not ranked, for seeds are unequal, the best figures so far")


def test_a_ranked_setting_speaks_for_a_suite_with_one_that_is_not(tmp_path: Path) -> None:
    for learner, mean in (("a", 0.9), ("b", 0.5)):
        write(tmp_path, learner, mean)
        write(tmp_path, learner, 1 - mean, setting="5way5shot")
    write(tmp_path, "b", 0.5, setting="5way5shot", seed=1)
    assert said(tmp_path).startswith("The best: on glyphs-5way a 90.00")


def test_all_that_tie_are_named(tmp_path: Path) -> None:
    """The same score; and as many settings won."""
    write(tmp_path / "score", "a", 0.9)
    write(tmp_path / "score", "b", 0.9)
    text = said(tmp_path / "score")
    assert "on glyphs-5way a 90.00 ± 1.00 % in 5way1shot" in text
    assert ") and b 90.00 ± 1.00 % in 5way1shot" in text
    for learner, one, five in (("a", 0.9, 0.5), ("b", 0.5, 0.95)):
        write(tmp_path / "wins", learner, one)
        write(tmp_path / "wins", learner, five, setting="5way5shot")
    text = said(tmp_path / "wins")
    assert "a 90.00 ± 1.00 % in 5way1shot (metric-based, 1 seed) and b 95.00 " in text


def test_who_is_as_good_is_named(tmp_path: Path) -> None:
    for learner, mean in (("a", 0.9), ("b", 0.899), ("c", 0.5)):
        write(tmp_path, learner, mean, episodes=50)
    assert "(metric-based, 1 seed; not told apart from b)." in said(tmp_path)


def test_budgets_of_a_suite_are_named(tmp_path: Path) -> None:
    for budget, mean in (("smoke", 0.6), ("standard", 0.9)):
        write(tmp_path, "a", mean, budget=budget)
        write(tmp_path, "b", 0.3, budget=budget)
    assert "in 5way1shot, budget smoke (" in said(tmp_path)


def test_marks_and_controls(tmp_path: Path) -> None:
    write(tmp_path, "pixels", 0.95, budget="none")
    write(tmp_path, "old", 0.9, source="1")
    write(tmp_path, "new", 0.5, source="1")
    text = said(tmp_path, sources={"old": "2", "new": "1"})
    assert "on glyphs-5way old† 90.00" in text
    assert said(tmp_path, "old") == ""  # one learner is left
