"""What lies in a results folder is never taken for valid because it is there: each kind of file,
damaged in each way, is made again, named, or refused with the way out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from bench.cli import cli
from bench.errors import BenchError
from bench.running.prepare import prepare
from bench.store.checked import set_aside
from tests.helpers.damage import (
    DAMAGES,
    FAILURES,
    FILES,
    asked_of,
    damaged_copy,
    make_finished,
    one_file,
    results_of,
)

pytestmark = pytest.mark.usefixtures("tiny_plugins")


@pytest.fixture
def suites(tiny_suite, tiny_probe):
    return [tiny_suite, tiny_probe]


@pytest.fixture
def finished(suites, tmp_path_factory) -> Path:
    """A results folder that is finished; made once. Nobody changes it."""
    folder = tmp_path_factory.getbasetemp() / "finished"
    if not folder.exists():
        make_finished(suites, folder.with_suffix(".new"))
        folder.with_suffix(".new").rename(folder)
    return folder


def run_again(suites, results) -> tuple[list[str], list[tuple[str, str]]]:
    """Runs once more; gives what the user was told, and (kind, phase) of what happened."""
    told: list[str] = []
    happened: list[tuple[str, str]] = []
    runner = prepare(
        asked_of(suites, results),
        lambda event: happened.append((event.kind, event.assignment.phase)),
        told.append,
    )
    runner.run()
    return told, happened


def look(*arguments: str) -> str:
    """A verb that must end well or with a message; gives "well" or the message."""
    try:
        code = cli.main(list(arguments), standalone_mode=False)
    except BenchError as error:
        return str(error)
    assert code in (0, None, 1 if arguments[0] == "compare" else 0)
    return "well"


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", [*FILES, *FAILURES])
def test_a_damaged_file_is_made_again(file, damage, finished, suites, tmp_path):
    if damage == "NaN" and file in {"picture", *FAILURES}:
        pytest.skip("there are no numbers in words in it")
    path = damaged_copy(finished, tmp_path / "r", file, damage)
    told, happened = run_again(suites, tmp_path / "r")
    assert not [event for event in happened if event[0] == "failed"], (told, happened)
    assert results_of(tmp_path / "r") == results_of(finished)
    quiet = file in {"cell", "training", "training's start"}  # written again, or of no use by now
    still_valid = damage == "of another" and file in FAILURES  # no name in it
    if not quiet and not still_valid:
        assert any(str(path) in line for line in told), told
        assert path.with_name(f"{path.name}.damaged").is_symlink() or (
            path.with_name(f"{path.name}.damaged").exists()
        )
    told, happened = run_again(suites, tmp_path / "r")
    assert {kind for kind, _ in happened} == {"kept"}
    assert not told


@pytest.mark.parametrize("damage", DAMAGES)
def test_who_looks_at_damaged_files_is_told_in_words(damage, finished, tmp_path, capsys):
    results = tmp_path / "r"
    shutil.copytree(finished, results)
    for glob in FILES.values():
        DAMAGES[damage](one_file(results, glob))
    asked = ["--results", str(results)]
    assert look("results", *asked) == "well"
    assert look("report", *asked, "--format", "html,csv") == "well"
    assert "Traceback" not in (results / "report.html").read_text()
    assert look("compare", str(finished), str(results)) == "well"
    assert look("compare", "nearest-code", "recurrent", *asked)
    assert "Traceback" not in "".join(capsys.readouterr())


def test_what_a_newer_version_made_is_refused_and_kept(finished, suites, tmp_path):
    results = tmp_path / "r"
    shutil.copytree(finished, results)
    path = one_file(results, FILES["cell's result"])
    newer = json.dumps(json.loads(path.read_text()) | {"schema_version": 9})
    path.write_text(newer)
    with pytest.raises(BenchError, match=r"result.json was written by a newer .* --results"):
        run_again(suites, results)
    assert path.read_text() == newer
    assert look("results", "--results", str(results)) == "well"


class Code:
    """A pickle that would run code."""

    def __reduce__(self):
        return (Path.touch, (Path("pwned"),))


def other_weights(path: Path) -> None:
    torch.save({"learner": {"other": torch.ones(3)}}, path)


def flipped(path: Path) -> None:
    """One byte of a weight: torch itself would not notice."""
    content = bytearray(path.read_bytes())
    weights = next(iter(torch.load(path, weights_only=True)["learner"].values())).numpy().tobytes()
    content[content.index(weights[:16]) + 5] ^= 64
    path.write_bytes(content)


TORCH = ["empty", "cut", "of zeros", "foreign", "binary", "a pipe", "a folder", "a link to itself"]
WEIGHTS = {
    **{name: DAMAGES[name] for name in TORCH},
    "flipped": flipped,
    "code": lambda path: torch.save({"learner": Code()}, path),
    "no dict": lambda path: torch.save([1, 2], path),
    "nothing in it": lambda path: torch.save({}, path),
}


@pytest.mark.parametrize("damage", WEIGHTS)
def test_damaged_weights_are_trained_again_where_they_are_needed(
    damage, finished, suites, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, "r")
    result = one_file(Path("r").absolute(), FILES["cell's result"])
    training = Path("r", "trainings", json.loads(result.read_text())["training"]).absolute()
    WEIGHTS[damage](training / "best.pt")
    _, happened = run_again(suites, "r")
    assert {kind for kind, _ in happened} == {"kept"}, "nothing needs them"
    result.unlink()
    told, happened = run_again(suites, "r")
    assert ("done", "train") in happened
    assert any("best.pt" in line for line in told)
    assert results_of(Path("r")) == results_of(finished)
    assert not Path("pwned").exists()


def test_a_run_that_is_killed_while_it_sets_weights_aside_leaves_no_training_without_any(
    finished, suites, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, "r")
    result = one_file(Path("r").absolute(), FILES["cell's result"])
    training = Path("r", "trainings", json.loads(result.read_text())["training"]).absolute()
    WEIGHTS["empty"](training / "best.pt")
    result.unlink()

    def killed(path: Path) -> None:
        set_aside(path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("bench.groups.carrying.set_aside", killed)
        with pytest.raises(KeyboardInterrupt):
            run_again(suites, "r")
    _, happened = run_again(suites, "r")
    assert ("done", "train") in happened
    assert results_of(Path("r")) == results_of(finished)


@pytest.mark.parametrize("damage", [*WEIGHTS, "other"])
def test_a_damaged_checkpoint_is_trained_from_the_start(
    damage, finished, suites, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, "r")
    training = one_file(Path("r").absolute(), FILES["training's result"]).parent
    shutil.copy(training / "best.pt", training / "checkpoint.pt")
    (training / "result.json").unlink()
    for result in Path("r").glob("cells/*/*/nearest-code-*/result.json"):
        result.unlink()
    {**WEIGHTS, "other": other_weights}[damage](training / "checkpoint.pt")
    _, happened = run_again(suites, "r")
    assert not [event for event in happened if event[0] == "failed"]
    assert results_of(Path("r")) == results_of(finished)
    assert (training / "checkpoint.pt.damaged").is_symlink() or (
        training / "checkpoint.pt.damaged"
    ).exists()
    assert not Path("pwned").exists()


def test_weights_of_another_learner_are_refused_with_the_way_out(finished, suites, tmp_path):
    shutil.copytree(finished, tmp_path / "r")
    result = one_file(tmp_path / "r", FILES["cell's result"])
    training = tmp_path / "r" / "trainings" / json.loads(result.read_text())["training"]
    other_weights(training / "best.pt")
    result.unlink()
    run_again(suites, tmp_path / "r")
    reason = json.loads(result.with_name("failure.json").read_text())["reason"]
    assert "best.pt does not fit the learner" in reason
    assert "bench run --rerun" in reason
