"""Results folders of several machines become one: equal ones once, different ones named."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bench.cli import cli
from bench.errors import BenchError
from bench.running.prepare import prepare
from bench.store.atomic import save_arrays
from bench.store.merge import difference, merge
from tests.helpers.damage import DAMAGES, asked_of, make_finished, one_file, one_setting, results_of

pytestmark = pytest.mark.usefixtures("tiny_plugins")


@pytest.fixture
def finished(tiny_suite, tmp_path_factory) -> Path:
    """A results folder that is finished; made once. Nobody changes it."""
    folder = tmp_path_factory.getbasetemp() / "to-merge"
    if not folder.exists():
        suite = one_setting(tiny_suite, tmp_path_factory.getbasetemp() / "one.toml")
        make_finished([suite], folder.with_suffix(".new"))
        folder.with_suffix(".new").rename(folder)
    return folder


def without(finished: Path, to: Path, learner: str) -> Path:
    """A copy that lacks a learner."""
    shutil.copytree(finished, to)
    for folder in [*to.glob(f"trainings/{learner}-*"), *to.glob(f"cells/*/*/{learner}-*")]:
        shutil.rmtree(folder)
    return to


def changed(path: Path, **fields) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_parts_make_the_whole(finished, tmp_path, tiny_suite):
    a = without(finished, tmp_path / "a", "recurrent")
    b = without(finished, tmp_path / "b", "nearest-code")
    merged = merge([a, b], tmp_path / "c")
    assert merged.copied == {str(a): 2, str(b): 2}
    assert (merged.equal, merged.different, merged.left_out) == (0, [], [])
    assert results_of(tmp_path / "c") == results_of(finished)
    assert len(list(tmp_path.glob("c/cells/*/*/*/timings/cpu.json"))) == 2
    suite = one_setting(tiny_suite, tmp_path / "one.toml")
    happened = []
    asked = asked_of([suite], tmp_path / "c")
    prepare(asked, lambda event: happened.append(event.kind)).run()
    assert set(happened) == {"kept"}, "a run finds nothing left to do in it"
    again = merge([a, b], tmp_path / "c")
    assert again.copied == {str(a): 0, str(b): 0}
    assert again.equal == 4


def test_times_and_machines_are_no_difference_and_scores_are(finished, tmp_path):
    a, b = (shutil.copytree(finished, tmp_path / name) for name in "ab")
    result = next(b.glob("cells/*/*/nearest-code-*/result.json"))
    changed(
        result,
        test_seconds=99.0,
        finished="another day",
        environment=json.loads(result.read_text())["environment"] | {"device_name": "x"},
        suite_file="/another/place.toml",
    )
    changed(next(b.glob("trainings/recurrent-*/result.json")), compile_seconds=3.0)
    merged = merge([a, b], tmp_path / "c")
    assert (merged.equal, merged.different) == (4, [])

    scores = next(b.glob("cells/*/*/recurrent-*/episodes.json"))
    accuracy = json.loads(scores.read_text())["accuracy"]
    changed(scores, accuracy=[accuracy[0] + 0.125, *accuracy[1:]])
    merged = merge([a, b], tmp_path / "d")
    assert merged.equal == 3
    (line,) = merged.different
    assert line.startswith(str(scores.parent.relative_to(b)))
    assert f"episodes.json: accuracy[0] is {accuracy[0]!r} and {accuracy[0] + 0.125!r}" in line
    assert results_of(tmp_path / "d") == results_of(a), "the first one is kept"


def test_a_result_takes_the_place_of_a_failure(finished, tmp_path):
    a, b = (shutil.copytree(finished, tmp_path / name) for name in "ab")
    result = next(a.glob("cells/*/*/recurrent-*/result.json"))
    result.with_name("failure.json").write_text(
        '{"kind": "error", "reason": "it was so", "phase": "test", "finished": ""}'
    )
    result.unlink()
    merge([a, b], tmp_path / "c")
    assert results_of(tmp_path / "c") == results_of(finished)
    assert not list((tmp_path / "c").rglob("failure.json"))


def test_timings_of_other_devices_are_added_and_of_other_models_named(finished, tmp_path):
    a, b = (shutil.copytree(finished, tmp_path / name) for name in "ab")
    timing = next(b.glob("cells/*/*/nearest-code-*/timings/cpu.json"))
    shutil.copy(timing, timing.with_name("cuda-0.json"))
    environment = json.loads(timing.read_text())["environment"]
    changed(timing, environment={**environment, "device_name": "another"})
    merged = merge([a, b], tmp_path / "c")
    assert len(merged.different) == 1
    assert "that on another is left out" in merged.different[0]
    assert list(tmp_path.glob("c/cells/*/*/nearest-code-*/timings/cuda-0.json"))


def test_links_pipes_and_hidden_files_are_not_taken(finished, tmp_path):
    a = shutil.copytree(finished, tmp_path / "a")
    secret = tmp_path / "secret.txt"
    secret.write_text("mine")
    folder = next(a.glob("trainings/nearest-code-*"))
    (folder / "notes.json").symlink_to(secret)
    os.mkfifo(folder / "pipe.json")
    (a / "trainings" / "linked-0123456789ab").symlink_to(tmp_path)
    merge([a], tmp_path / "c")
    names = {path.name for path in (tmp_path / "c").rglob("*")}
    assert not names & {"notes.json", "pipe.json", "linked-0123456789ab", "secret.txt"}


def test_what_is_damaged_is_named_and_left_out(finished, tmp_path):
    a = shutil.copytree(finished, tmp_path / "a")
    result = next(a.glob("cells/*/*/recurrent-*/result.json"))
    result.write_text("{")
    merged = merge([a], tmp_path / "c")
    assert len(merged.left_out) == 1
    assert str(result) in merged.left_out[0]
    assert merged.copied == {str(a): 3}


def test_on_the_command_line(finished, tmp_path):
    a, b = (shutil.copytree(finished, tmp_path / name) for name in "ab")
    ran = CliRunner().invoke(cli, ["merge", str(a), str(b), "-o", str(tmp_path / "c")])
    assert ran.exit_code == 0, ran.output
    assert f"{a}: 4 trainings and cells taken" in ran.output
    assert "4 in several folders and equal" in ran.output
    changed(next(b.glob("trainings/recurrent-*/result.json")), parameters=7)
    ran = CliRunner().invoke(cli, ["merge", str(a), str(b), "-o", str(tmp_path / "d")])
    assert ran.exit_code == 1
    assert "result.json: parameters is" in ran.output


EXTRAS = {
    "scores": "cells/*/*/recurrent-*/episodes.json",
    "audits": "trainings/recurrent-*/audits.json",
    "weights": "trainings/recurrent-*/best.pt",
    "answers": "cells/*/*/recurrent-*/answers.npz",
    "description": "cells/*/*/recurrent-*/cell.json",
    "timing": "cells/*/*/recurrent-*/timings/cpu.json",
}
"""What belongs to a result, by a glob."""


@pytest.mark.parametrize("harm", ["cut", "missing"])
@pytest.mark.parametrize("what", EXTRAS)
def test_what_one_lacks_or_has_damaged_is_taken_from_the_other(what, harm, finished, tmp_path):
    a, b = (shutil.copytree(finished, tmp_path / name) for name in "ab")
    if what == "answers":
        for folder in (a, b):
            save_arrays(one_file(folder, EXTRAS[what]), {"label": np.arange(99)})
    harmed, whole = (one_file(folder, EXTRAS[what]) for folder in (a, b))
    DAMAGES["cut"](harmed) if harm == "cut" else harmed.unlink()
    merged = merge([a, b], tmp_path / "c")
    assert one_file(tmp_path / "c", EXTRAS[what]).read_bytes() == whole.read_bytes()
    assert (merged.equal, merged.different) == (4, [])
    assert merged.completed == (what != "timing")
    assert [str(harmed) in line for line in merged.left_out] == [True] * (harm == "cut")

    merged = merge([b, a], tmp_path / "d")
    assert one_file(tmp_path / "d", EXTRAS[what]).read_bytes() == whole.read_bytes()
    assert (merged.equal, merged.completed, merged.different) == (4, 0, [])


def test_what_is_damaged_in_the_folder_that_is_joined_in_is_kept_beside(finished, tmp_path):
    c = shutil.copytree(finished, tmp_path / "c")
    results = [
        one_file(c, glob) for glob in (EXTRAS["scores"], "trainings/recurrent-*/result.json")
    ]
    for path in results:
        DAMAGES["cut"](path)
    merged = merge([finished], c)
    assert results_of(c) == results_of(finished)
    assert (merged.different, merged.left_out) == ([], [])
    assert results[0].with_name("episodes.json.damaged").exists()


def test_of_what_is_unfinished_in_both_the_checkpoint_and_the_failure_are_taken(finished, tmp_path):
    a, b = (shutil.copytree(finished, tmp_path / name) for name in "ab")
    for folder in (a, b):
        for path in folder.glob("*/**/recurrent-*/result.json"):
            path.unlink()
    cell, training = (
        one_file(b, f"{glob}/recurrent-*/x").parent for glob in ("cells/*/*", "trainings")
    )
    (cell / "failure.json").write_text(
        '{"kind": "error", "reason": "it was so", "phase": "test", "finished": ""}'
    )
    shutil.copy(training / "best.pt", training / "checkpoint.pt")
    changed(training / "started.json", threads=7)
    one_file(a, EXTRAS["weights"]).write_bytes(b"of another")
    merged = merge([a, b], tmp_path / "c")
    assert merged.completed == 2
    for folder, names in {
        cell: ["failure.json"],
        training: ["checkpoint.pt", "started.json", "best.pt"],
    }.items():
        for name in names:
            ours = tmp_path / "c" / folder.relative_to(b) / name
            assert ours.read_bytes() == (folder / name).read_bytes()


def test_what_is_finished_while_a_merge_waits_is_left_as_it_is(finished, tmp_path, monkeypatch):
    """A run trains in the folder that is joined in; its lock is free once it is done."""
    to, b = shutil.copytree(finished, tmp_path / "c"), shutil.copytree(finished, tmp_path / "b")
    for folder in (to, b):
        for path in folder.glob("*/**/recurrent-*/result.json"):
            path.unlink()
    theirs = one_file(b, EXTRAS["weights"])
    shutil.copy(theirs, theirs.with_name("checkpoint.pt"))
    save_arrays(theirs, {"half": np.zeros(1)})
    held = {"count": 0}

    @contextlib.contextmanager
    def slow(folder: Path):
        if not held["count"]:  # the first lock that is waited for
            shutil.copytree(finished, to, dirs_exist_ok=True)
        held["count"] += 1
        yield

    monkeypatch.setattr("bench.store.merge.locked", slow)
    merge([b], to)
    assert held["count"]
    assert results_of(to) == results_of(finished)
    weights = one_file(to, EXTRAS["weights"])
    assert weights.read_bytes() == one_file(finished, EXTRAS["weights"]).read_bytes()
    assert not weights.with_name("checkpoint.pt").exists()


def test_damaged_weights_of_a_result_are_kept_for_a_run_to_find(finished, tmp_path, tiny_suite):
    """Without any it could only say that they are missing; of damaged ones it trains again."""
    a = shutil.copytree(finished, tmp_path / "a")
    one_file(a, EXTRAS["weights"]).write_bytes(b"cut off")
    merged = merge([a], tmp_path / "c")
    assert [line.rpartition("; ")[2] for line in merged.left_out] == ["it is copied as it is"]
    assert one_file(tmp_path / "c", EXTRAS["weights"]).read_bytes() == b"cut off"
    merged = merge([finished], tmp_path / "c")
    weights = one_file(tmp_path / "c", EXTRAS["weights"])
    assert weights.read_bytes() == one_file(finished, EXTRAS["weights"]).read_bytes()


def test_a_checkpoint_with_damaged_weights_is_not_gone_on_from(finished, tmp_path):
    a, b = (shutil.copytree(finished, tmp_path / name) for name in "ab")
    for folder in (a, b):
        for path in folder.glob("*/**/recurrent-*/result.json"):
            path.unlink()
    weights = one_file(b, EXTRAS["weights"])
    shutil.copy(weights, weights.with_name("checkpoint.pt"))
    weights.write_bytes(b"cut off")
    merged = merge([a, b], tmp_path / "c")
    assert not one_file(tmp_path / "c", EXTRAS["weights"]).with_name("checkpoint.pt").exists()
    assert any(str(weights) in line for line in merged.left_out)


def test_weights_of_an_unfinished_training_are_not_those_of_a_result(finished, tmp_path):
    a, b = (shutil.copytree(finished, tmp_path / name) for name in "ab")
    one_file(a, "trainings/recurrent-*/result.json").unlink()
    one_file(b, EXTRAS["weights"]).unlink()
    merge([a, b], tmp_path / "c")
    assert results_of(tmp_path / "c") == results_of(finished)
    assert not one_file(tmp_path / "c", EXTRAS["weights"]).exists()


@pytest.mark.parametrize("what", ["audits", "timing"])
def test_what_was_made_takes_the_place_of_why_it_could_not_be(what, finished, tmp_path):
    a, b = (shutil.copytree(finished, tmp_path / name) for name in "ab")
    made = one_file(a, EXTRAS[what])
    made.unlink()
    made.with_suffix(".failure.json").write_text(
        '{"kind": "error", "reason": "it was so", "phase": "time", "finished": ""}'
    )
    for number, sources in enumerate([[a, b], [b, a]]):
        c = tmp_path / f"c{number}"
        assert not merge(sources, c).different
        assert one_file(c, EXTRAS[what]).exists()
        assert not list(c.rglob("*.failure.json"))


@pytest.mark.parametrize("wrong", ["nothing", "itself", "twice"])
def test_what_cannot_be_joined_is_told(wrong, finished, tmp_path):
    if wrong == "nothing":
        (tmp_path / "a").mkdir()
        with pytest.raises(BenchError, match="is no results folder"):
            merge([tmp_path / "a"], tmp_path / "c")
        assert not (tmp_path / "c").exists()
    elif wrong == "itself":
        with pytest.raises(BenchError, match="another -o is meant"):
            merge([finished], finished)
    else:
        (tmp_path / "link").symlink_to(finished)
        with pytest.raises(BenchError, match="link is named twice"):
            merge([finished, tmp_path / "link"], tmp_path / "c")
        assert not (tmp_path / "c").exists()


def test_timings_are_added_where_the_result_is_another(finished, tmp_path):
    a, b = (shutil.copytree(finished, tmp_path / name) for name in "ab")
    result = one_file(b, "cells/*/*/recurrent-*/result.json")
    changed(result, parameters=7)
    timing = one_file(b, EXTRAS["timing"])
    shutil.copy(timing, timing.with_name("cuda-0.json"))
    assert len(merge([a, b], tmp_path / "c").different) == 1
    assert list(tmp_path.glob("c/cells/*/*/recurrent-*/timings/cuda-0.json"))


def test_timings_of_other_code_are_left_out_and_named(finished, tmp_path):
    a, b = (shutil.copytree(finished, tmp_path / name) for name in "ab")
    timing = one_file(b, EXTRAS["timing"])
    changed(timing, source="0ddba11", device="cuda:0")
    timing.rename(timing.with_name("cuda-0.json"))
    merged = merge([a, b], tmp_path / "c")
    [told] = merged.different
    assert "is of other code of the learner, and left out" in told
    assert not list(tmp_path.glob("c/cells/*/*/*/timings/cuda-0.json"))


def test_an_option_that_names_a_file_is_its_content(tmp_path):
    for name, place, content in [("a", "/x/a", "f0"), ("b", "/y/a", "f0"), ("c", "/x/a", "f1")]:
        (tmp_path / name).mkdir()
        config = {"config": {"weights": {"file": place, "sha256": content}}}
        (tmp_path / name / "result.json").write_text(json.dumps(config))
    assert difference(tmp_path / "a", tmp_path / "b") is None
    told = difference(tmp_path / "a", tmp_path / "c")
    assert told == "result.json: config.weights.sha256 is 'f0' and 'f1'"


def test_what_is_compared(tmp_path):
    stored = {"a": '{"x": [1, {"y": 2, "seconds": 3}]}', "b": '{"x": [1, {"y": 4}]}'}
    for name, text in stored.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(text)
    told = difference(tmp_path / "a", tmp_path / "b")
    assert told == "result.json: x[1].y is 2 and 4"
    assert difference(tmp_path / "a", tmp_path / "a") is None
