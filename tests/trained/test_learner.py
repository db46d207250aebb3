"""A trained learner answers one's own images as the meta-test did."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import bench
from bench.errors import BenchError
from bench.protocols.answers import answer
from bench.registry.installed import protocol
from bench.running.prepare import prepare
from bench.running.request import Request
from bench.worker.loading import load_bank
from tests.helpers.pages import ROOT, fences

README = (ROOT / "README.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.usefixtures("tiny_plugins")
ASKED = {"learner": "nearest-code", "suite": "tiny", "seed": 0}


@pytest.fixture
def learner(trained_results):
    return bench.load_learner(trained_results, **ASKED, setting="5way1shot")


@pytest.fixture
def episode(tiny_suite, trained_results):
    """One episode of the meta-test: (S, 1, 16, 16) and (Q, 1, 16, 16), and the support's labels."""
    request = Request(
        suites=[tiny_suite], learners=["nearest-code"], budget="smoke", results=trained_results
    )
    runner = prepare(request)
    bank = load_bank(runner.plan.cells[0], runner.folders)
    return next(iter(bank.batches(1)))


def test_answers_are_those_of_the_meta_test(learner, episode):
    kshot = protocol("kshot")
    expected = answer(kshot, learner.module, episode).softmax(-1)[0].detach().numpy()
    labels = [f"class {label}" for label in episode.support_y[0].tolist()]
    found = learner.adapt(episode.support_x[0], labels).predict(episode.query_x[0])
    columns = [found.classes.index(f"class {label}") for label in range(5)]
    np.testing.assert_allclose(found.probabilities[:, columns], expected, atol=1e-5)
    assert found.names == [f"class {label}" for label in expected.argmax(1)]
    assert found.probabilities.dtype == np.float32


def test_every_form_of_the_same_images_gets_the_same_answers(learner, episode, tmp_path):
    """Tensor, uint8, channels behind, Pillow, files and folders: resized and coloured alike."""
    x = np.rint(episode.support_x[0].numpy() * 255).astype(np.uint8)  # (S, 1, 16, 16)
    y = [f"c{label}" for label in episode.support_y[0].tolist()]
    pictures = [Image.fromarray(image[0]) for image in x]
    for number, (name, picture) in enumerate(zip(y, pictures, strict=True)):
        (tmp_path / "known" / name).mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / "known" / name / f"{number}.png")
    files = sorted((tmp_path / "known").rglob("*.png"), key=lambda path: int(path.stem))
    forms = {
        "grey": x[:, 0], "behind": x[..., None][:, 0], "floats": x / 255, "pillow": pictures,
        "colours": np.repeat(x, 3, axis=1), "files": files, "texts": [str(path) for path in files],
        "tensor": torch.from_numpy(x), "list": list(x[:, 0]),
        "twice as large": x.repeat(2, 2).repeat(2, 3),
        "rgb": [picture.convert("RGB") for picture in pictures],
    }  # fmt: skip
    first = learner.adapt(x, y).predict(x)
    for name, form in forms.items():
        again = learner.adapt(form, y).predict(form)
        np.testing.assert_allclose(
            again.probabilities, first.probabilities, atol=1e-6, err_msg=name
        )
    by_folder = learner.adapt(tmp_path / "known").predict(str(tmp_path / "known"))
    assert by_folder.classes == tuple(sorted(set(y)))
    assert by_folder.names == [path.parent.name for path in by_folder.files]  # of 1 shot: itself
    flat = learner.predict(tmp_path / "known" / y[0])
    assert flat.files == (files[0],)
    assert flat.names == [y[0]]
    assert str(flat).startswith(f"{files[0]}: {y[0]} (")


def test_inverted_is_what_dark_ink_wants(learner, episode):
    x, y = episode.support_x[0], [*range(5)]
    dark = learner.adapt(1 - x, y, invert=True).predict(1 - episode.query_x[0], invert=True)
    plain = learner.adapt(x, y).predict(episode.query_x[0])
    np.testing.assert_allclose(dark.probabilities, plain.probabilities, atol=1e-5)
    assert plain.classes == ("0", "1", "2", "3", "4")


def test_other_numbers_of_classes_and_images(learner):
    x = np.random.default_rng(0).random((7, 16, 16))
    found = learner.adapt(x, ["a", "a", "a", "a", "b", "b", "c"]).predict(x[:2])
    assert found.classes == ("a", "b", "c")
    assert found.probabilities.shape == (2, 3)
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-6)


def test_many_images_are_answered_in_parts(learner, monkeypatch):
    x = np.random.default_rng(0).random((11, 16, 16))
    whole = learner.adapt(x[:4], [0, 1, 0, 1]).predict(x).probabilities
    monkeypatch.setattr("bench.trained.learner.TOGETHER", 4)
    np.testing.assert_allclose(learner.predict(x).probabilities, whole, atol=1e-6)


def test_the_five_lines_of_the_readme(trained_results, tmp_path, monkeypatch, capsys):
    """As they stand there, for the learner that these tests have trained."""
    (text,) = [text for _, text in fences(README) if "bench.load_learner" in text]
    assert len(list(filter(None, text.splitlines()))) == 5
    assert text.count('"prototypical"') == 1
    x = np.random.default_rng(0).integers(0, 256, (4, 20, 20), np.uint8)
    for number, name in enumerate(("cat", "cat", "dog", "dog")):
        (tmp_path / "known" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(x[number]).save(tmp_path / "known" / name / f"{number}.png")
    (tmp_path / "unknown").mkdir()
    Image.fromarray(x[0]).save(tmp_path / "unknown" / "0.png")
    (tmp_path / "results").symlink_to(trained_results)
    monkeypatch.chdir(tmp_path)
    exec(text.replace('"prototypical"', '"nearest-code"'), {})
    assert re.fullmatch(r"\['(cat|dog)'\] \[\[\S+ +\S+\]\]\n", capsys.readouterr().out)


# -- which one ------------------------------------------------------------------------------------


def test_one_training_is_found_by_what_tells_it_apart(trained_results):
    found = bench.load_learner(trained_results, "nearest-code", setting="5way1shot", seed=1)
    assert (found.label, found.training.seed) == ("nearest-code", 1)
    assert "codes" in repr(found)
    assert "5-way" in repr(found)
    assert not found.code_changed
    folder = next((trained_results / "trainings").glob("nearest-code-*"))
    by_training = bench.load_learner(folder)
    cell = next(
        path.parent
        for path in trained_results.glob("cells/tiny/*/nearest-code-*/cell.json")
        if json.loads(path.read_text())["training"] == folder.name
    )
    by_cell = bench.load_learner(str(cell))
    assert by_training.training == by_cell.training
    untrained = bench.load_learner(trained_results, "untrained", setting="5way5shot")
    assert untrained.training.budget is None


MISTAKES = {
    "nothing there": ({}, "nowhere", r"'.*nowhere' does not exist"),
    "no such learner": ({"learner": "nearest-cod"}, "", "did you mean 'nearest-code'"),
    "no such suite": ({**ASKED, "suite": "tinny"}, "", "did you mean 'tiny'"),
    "no such setting": ({**ASKED, "setting": "5way2shot"}, "", r"5way1shot(.|\n)*there are:\n  "),
    "no such seed": ({**ASKED, "seed": 7}, "", r"no seed is called '7'(.|\n)*seed 0, smoke"),
    "no such budget": ({**ASKED, "budget": "standard"}, "", "no budget is called 'standard'"),
    "several": ({"learner": "nearest-code"}, "", r"say which(.|\n)*seed 0(.|\n)*seed 1"),
    "a probe": ({"learner": "recurrent"}, "", "sequence protocol.*images cannot be answered"),
    "no such device": ({**ASKED, "device": "gpu"}, "", "no device is called 'gpu'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_does_not_fit_is_told_with_what_is_there(mistake, trained_results):
    asked, folder, message = MISTAKES[mistake]
    with pytest.raises(BenchError, match=message):
        bench.load_learner(trained_results / folder, **asked)


@pytest.fixture
def training(trained_results, tmp_path) -> Path:
    """A copy of a training's folder, to damage."""
    folder = bench.load_learner(trained_results, **ASKED, setting="5way1shot").training.folder
    return Path(shutil.copytree(folder(trained_results), tmp_path / "training"))


def test_other_code_is_told_and_answers(training):
    result = json.loads((training / "result.json").read_text())
    (training / "result.json").write_text(json.dumps(result | {"source": "0" * 12}))
    with pytest.warns(UserWarning, match="code of nearest-code has changed") as told:
        learner = bench.load_learner(training)
    assert told[0].filename == __file__
    assert learner.code_changed
    (training / "result.json").write_text(json.dumps(result))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not bench.load_learner(training).code_changed


class Evil:
    """What a pickle could do."""

    def __reduce__(self):
        return (print, ("run by unpickling",))


DAMAGE = {
    "no weights": (lambda f: (f / "best.pt").unlink(), "best.pt are gone"),
    "cut weights": (lambda f: (f / "best.pt").write_bytes(b"PK" + bytes(99)), "damaged"),
    "code in the weights": (lambda f: torch.save({"learner": Evil()}, f / "best.pt"), "damaged"),
    "another's weights": (
        lambda f: torch.save({"learner": {"w": torch.ones(3)}}, f / "best.pt"), "do not fit"
    ),
    "unfinished": (lambda f: (f / "result.json").unlink(), "not finished; `bench run`"),
    "an empty result": (lambda f: (f / "result.json").write_text(""), "damaged: is empty"),
    "a list": (lambda f: (f / "training.json").write_text("[]"), "damaged: holds a list"),
    "a missing key": (lambda f: (f / "training.json").write_text("{}"), "learner: Field required"),
    "a strange learner": (
        lambda f: (f / "training.json").write_text(
            (f / "training.json").read_text().replace('"nearest-code"', '"nobody"')
        ),
        "no learner is called 'nobody'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_and_runs_no_code(damage, training, capsys):
    spoil, message = DAMAGE[damage]
    spoil(training)
    with pytest.raises(BenchError, match=message):
        bench.load_learner(training)
    assert "unpickling" not in capsys.readouterr().out


# -- what it is asked -----------------------------------------------------------------------------

GREY = np.zeros((2, 16, 16), np.uint8)
WRONG = {
    "a text of labels": ((GREY, "ab"), "labels: expected a list"),
    "no labels": ((GREY, None), "labels: expected a list"),
    "too few labels": ((GREY, ["a"]), "labels: there are 1 for 2 images"),
    "one class": ((GREY, ["a", "a"]), "two classes or more are needed, got a"),
    "a strange label": ((GREY, ["a", None]), "a text or a number, not None"),
    "labels with a folder": ((".", ["a"]), "leave them out"),
    "a folder that is not there": (("/nowhere", None), "/nowhere does not exist"),
    "floats to 255": ((GREY + 255.0, ["a", "b"]), "floats are from 0 to 1, and these are from 255"),
    "NaN": ((np.full((2, 9, 9), np.nan), ["a", "b"]), "from nan to nan"),
    "whole numbers": ((GREY.astype(int), ["a", "b"]), "expected uint8.* got int64"),
    "one image": ((GREY[0], ["a", "b"]), r"one array of shape \(16, 16\) is not a batch"),
    "two channels": ((np.zeros((2, 2, 9, 9), np.uint8), ["a", "b"]), r"of shape \(2, 2, 9, 9\)"),
    "no pixels": ((GREY[:, :0], ["a", "b"]), "no pixels"),
    "no images": ((GREY[:0], []), "images: there are none"),
    "an empty list": (([], []), "got none"),
    "a number": ((3, ["a", "b"]), "got a int"),
    "a list of numbers": (([1, 2], ["a", "b"]), "one of them is a int"),
    "a file that is none": (([__file__, __file__], ["a", "b"]), "cannot read the image"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_images_and_labels_are_told(wrong, learner):
    (images, labels), message = WRONG[wrong]
    with pytest.raises(BenchError, match=message):
        learner.adapt(images, labels)


def test_predict_needs_adapt_and_what_raises_has_a_name(learner, monkeypatch):
    with pytest.raises(BenchError, match="call adapt first"):
        learner.predict(GREY)
    with pytest.raises(BenchError, match="invert: expected True or False, got 1"):
        learner.adapt(GREY, ["a", "b"], invert=1)
    learner.adapt(GREY, ["a", "b"])
    monkeypatch.setattr(
        learner.module, "predict", lambda state, x: torch.full((1, 2, 2), torch.nan)
    )
    with pytest.raises(BenchError, match="nearest-code answered with"):
        learner.predict(GREY)

    def refuse(*_):
        raise ValueError("built for 2 ways")

    monkeypatch.setattr(learner.module, "adapt", refuse)
    with pytest.raises(BenchError, match=r"nearest-code cannot be adapted.* built for 2 ways"):
        learner.adapt(GREY, ["a", "b"])
