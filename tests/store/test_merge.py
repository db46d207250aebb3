"""Results folders of several machines become one: equal ones once, different ones named."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import cli
from bench.errors import BenchError
from bench.running.prepare import prepare
from bench.store.merge import difference, merge
from tests.helpers.damage import asked_of, make_finished, one_setting, results_of

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
    changed(result, test_seconds=99.0, finished="another day", environment={"device_name": "x"})
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


def test_what_is_compared(tmp_path):
    stored = {"a": '{"x": [1, {"y": 2, "seconds": 3}]}', "b": '{"x": [1, {"y": 4}]}'}
    for name, text in stored.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(text)
    told = difference(tmp_path / "a", tmp_path / "b")
    assert told == "result.json: x[1].y is 2 and 4"
    assert difference(tmp_path / "a", tmp_path / "a") is None
