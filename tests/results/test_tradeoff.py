"""What accuracy costs over all settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.results.boards import boards
from bench.results.joined import Joined, joined
from bench.results.reading import read_results
from bench.results.tradeoff import (
    COSTS,
    FIRST_ANSWER,
    MEMORY,
    TRAINING,
    Tradeoff,
    one_each,
    profiles,
    tradeoff,
)
from bench.results.training_times import TrainedAt
from tests.helpers.synthetic import environment, make_older, write_cell, write_probe, write_training


def exact(mean: float) -> dict[str, dict[str, float | int | None]]:
    one = {"mean": mean, "ci95": 0.01, "n": 200}
    return {"accuracy": one, "nll": one, "ece": {"mean": 0.0, "ci95": None, "n": 200}}


def write(root: Path, learner: str, mean: float, adapt: float, **changes: object) -> None:
    shared = {"metrics": exact(mean), "timed": {"cpu": adapt}, "setting": "5way1shot"}
    write_cell(root, learner, **shared | changes)  # type: ignore[arg-type]


def found_in(root: Path) -> Tradeoff:
    found = tradeoff(boards(read_results(root).rows))
    assert found is not None
    return found


def test_points_and_their_front_by_hand(tmp_path: Path) -> None:
    for setting, easier in (("5way1shot", 0.0), ("5way5shot", 0.05)):
        write(tmp_path, "best", 0.90 + easier, 0.01, setting=setting)
        write(tmp_path, "quick", 0.88 + easier, 0.001, setting=setting)
        write(tmp_path, "beaten", 0.87 + easier, 0.02, setting=setting)
    found = found_in(tmp_path)
    behind = {point.label: point.behind for point in found.points}
    assert behind == pytest.approx({"best": 0, "quick": 0.02, "beaten": 0.03})
    cost = {point.label: point.costs[FIRST_ANSWER] for point in found.points}
    assert cost == pytest.approx({"best": 0.016, "quick": 0.0016, "beaten": 0.032})
    assert [point.label for point in found.front(FIRST_ANSWER)] == ["quick", "best"]
    assert [point.label for point in found.front(TRAINING)] == ["best"]
    assert set(found.points[0].costs) == set(COSTS)
    assert found.points[0].costs[MEMORY] == pytest.approx(420e6)


def test_memory_that_an_older_version_stored_is_no_cost(tmp_path: Path) -> None:
    """It was the highest of all that its process had done."""
    write(tmp_path, "best", 0.90, 0.01)
    write(tmp_path, "quick", 0.88, 0.001)
    make_older(tmp_path)
    found = found_in(tmp_path)
    assert [set(point.costs) for point in found.points] == [{FIRST_ANSWER, TRAINING}] * 2
    assert found.measured(MEMORY) == found.front(MEMORY) == []


def test_a_learner_without_all_settings_or_seeds_is_off_the_front(tmp_path: Path) -> None:
    for setting in ("5way1shot", "5way5shot"):
        write(tmp_path, "a", 0.8, 0.01, setting=setting)
        write(tmp_path, "b", 0.7, 0.02, setting=setting)
    write(tmp_path, "lucky", 0.99, 0.001)
    write(tmp_path, "half", 0.98, 0.001, setting="5way5shot")
    write_cell(tmp_path, "b", seed=1, setting="5way5shot", status="failed")
    found = found_in(tmp_path)
    assert [point.label for point in found.front(FIRST_ANSWER)] == ["a"]
    assert {point.label: found.whole(point) for point in found.points} == {
        "a": True, "b": False, "lucky": False, "half": False,
    }  # fmt: skip


def test_nothing_to_train_costs_no_training(tmp_path: Path) -> None:
    write(tmp_path, "a", 0.8, 0.01)
    write(tmp_path, "pixels", 0.5, 0.01, budget="none", training_seconds=0.0, updates=0)
    found = found_in(tmp_path)
    assert {p.label: p.costs[TRAINING] for p in found.points} == {
        "a": pytest.approx(1234.5),
        "pixels": 0,
    }
    assert [p.label for p in found.front(TRAINING)] == ["pixels", "a"]
    assert {p.label: p.control for p in found.points} == {"a": False, "pixels": True}


GPU = {"device": "cuda", "environment": environment("cuda:0", device_name="H100")}


def test_training_times_are_of_one_place(tmp_path: Path) -> None:
    """Two learners on the CPU throughout; one on a GPU, one on either: neither stands there."""
    for setting, either in (("5way1shot", {}), ("5way5shot", GPU)):
        for learner in ("a", "b"):
            write(tmp_path, learner, 0.8, 0.01, setting=setting)
        write(tmp_path, "gpu", 0.9, 0.01, setting=setting, training_seconds=1.0, **GPU)
        write(tmp_path, "either", 0.9, 0.01, setting=setting, training_seconds=2.0, **either)
    found = found_in(tmp_path)
    assert found.trained == [TrainedAt("cpu", "Xeon 8481C", None)] * 2
    assert found.where(TRAINING) == ["cpu (Xeon 8481C)"]
    assert {point.label for point in found.measured(TRAINING)} == {"a", "b"}
    assert {point.label for point in found.unmeasured(TRAINING)} == {"gpu", "either"}
    assert {point.label for point in found.measured(FIRST_ANSWER)} == {"a", "b", "gpu", "either"}


def test_each_setting_has_a_place_of_its_own(tmp_path: Path) -> None:
    """Timed and trained on one machine for one setting, and on another for the other; but for
    `gone`, which is once where nobody else is. With one place for both there would be nobody."""
    machines = {"5way1shot": "Xeon", "5way5shot": "EPYC"}
    for setting, model in machines.items():
        for learner, seconds in (("a", 0.01), ("b", 0.02), ("gone", 0.03)):
            there = "EPYC" if learner == "gone" else model
            cell = write_cell(
                tmp_path, learner, setting=setting, metrics=exact(0.8), timed={"cpu/1": seconds},
                training=f"{learner}-{setting}",
                environment=environment("cpu/1", device_name=there),
            )  # fmt: skip
            time_anew(cell, there)
    found = found_in(tmp_path)
    assert found.where(FIRST_ANSWER) == ["cpu/1 (Xeon)", "cpu/1 (EPYC)"]
    assert found.where(TRAINING) == ["cpu (Xeon)", "cpu (EPYC)"]
    for cost in (FIRST_ANSWER, TRAINING):
        assert {point.label for point in found.measured(cost)} == {"a", "b"}
        assert [point.label for point in found.unmeasured(cost)] == ["gone"]


def time_anew(cell: Path, model: str) -> None:
    """Gives the timings of a cell another machine."""
    for path in (cell / "timings").iterdir():
        stored = json.loads(path.read_text())
        stored["environment"]["device_name"] = model
        path.write_text(json.dumps(stored))


def test_of_seeds_of_several_machines_those_of_most_learners_count(tmp_path: Path) -> None:
    """A training's own machine is known too where its weights were tested on another device."""
    for learner in ("a", "b"):
        cell = write_cell(
            tmp_path,
            learner,
            metrics=exact(0.8),
            timed={"cpu": 0.01},
            training_seconds=100.0,
            **GPU,
        )
        write_training(tmp_path, cell, environment=environment("cuda:0", device_name="H100"))
    write(tmp_path, "a", 0.8, 0.01, seed=1, training_seconds=900.0)
    for name, trained in (("c", "H100"), ("d", "L4")):
        tested = {"device": "cuda", "environment": environment("cpu/1")}
        cell = write_cell(tmp_path, name, timed={"cpu": 0.1}, training_seconds=300.0, **tested)
        write_training(tmp_path, cell, environment=environment("cuda:0", device_name=trained))
    found = found_in(tmp_path)
    cost = {point.label: point.costs[TRAINING] for point in found.measured(TRAINING)}
    assert cost == pytest.approx({"a": 100, "b": 100, "c": 300})
    assert found.where(TRAINING) == ["cuda (H100) with 2 threads"]


def test_other_threads_are_another_place(tmp_path: Path) -> None:
    for learner, threads in (("a", 1), ("b", 1), ("c", 4)):
        cell = write_cell(tmp_path, learner, timed={"cpu": 0.1})
        write_training(tmp_path, cell, environment=environment(threads=threads))
    found = found_in(tmp_path)
    assert found.where(TRAINING) == ["cpu (Xeon 8481C) with 1 thread"]
    assert {point.label for point in found.measured(TRAINING)} == {"a", "b"}


def test_a_cost_is_of_all_settings(tmp_path: Path) -> None:
    """Timed on the quicker setting alone, it would stand beside means over both."""
    for setting in ("5way1shot", "5way5shot"):
        write(tmp_path, "a", 0.8, 0.01, setting=setting)
        timed = {"cpu": 0.001} if setting == "5way1shot" else {}
        write(tmp_path, "half", 0.9, 0.01, setting=setting, timed=timed)
    assert [point.label for point in found_in(tmp_path).measured(FIRST_ANSWER)] == ["a"]


def test_of_several_entries_most_seeds_stand_for_the_learner(tmp_path: Path) -> None:
    """Then where most were trained; the better test score never."""
    write(tmp_path / "seeds", "a", 0.8, 0.01)
    write(tmp_path / "seeds", "a", 0.8, 0.01, seed=1)
    write(tmp_path / "seeds", "a", 0.9, 0.01, **GPU)
    write(tmp_path / "place", "a", 0.8, 0.01)
    write(tmp_path / "place", "a", 0.9, 0.01, **GPU)
    for learner in ("b", "c"):
        write(tmp_path / "place", learner, 0.5, 0.01)
    for folder in ("seeds", "place"):
        (board,) = boards(read_results(tmp_path / folder).rows)
        assert one_each(board, joined([board]))[Joined("metric-based", "a")].label == "a · cpu"


def test_settings_of_few_learners_are_left_out(tmp_path: Path) -> None:
    for learner in "abcde":
        write(tmp_path, learner, 0.8, 0.01)
    write(tmp_path, "a", 0.8, 0.01, suite="rare")
    assert [board.suite for board in found_in(tmp_path).boards] == ["glyphs-5way"]


def test_there_is_none_without_fractions_or_of_one_learner(tmp_path: Path) -> None:
    write_probe(tmp_path / "probe", "ntm")
    write_probe(tmp_path / "probe", "lstm")
    assert tradeoff(boards(read_results(tmp_path / "probe").rows)) is None
    write_cell(tmp_path / "one")
    assert tradeoff(boards(read_results(tmp_path / "one").rows)) is None


def test_profiles_by_hand(tmp_path: Path) -> None:
    for setting, second in (("5way1shot", 0.88), ("5way5shot", 0.8)):
        write(tmp_path, "best", 0.90, 0.01, setting=setting)
        write(tmp_path, "quick", second, 0.001, setting=setting)
    found = profiles(found_in(tmp_path))
    assert [point.label for point in found.points] == ["best", "quick"]
    assert found.within([0, 0.03, 0.2]).tolist() == [[1, 0], [1, 0.5], [1, 1]]
    assert found.within_times([1, 20]).tolist() == [[0, 1], [1, 1]]
