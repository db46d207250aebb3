"""`bench compare`: matching, verdicts, exit codes, what it prints."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from bench.cli import cli, main
from tests.helpers.synthetic import write_cell, write_probe
from tests.results.test_pairs import drawn, write_scores


def bench(*arguments):
    return CliRunner().invoke(cli, ["compare", *map(str, arguments)])


def rows(*arguments):
    ran = bench(*arguments, "--format", "json")
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.output
    return json.loads(ran.stdout)["rows"]


def write_seeds(root, learner, means, number=0, **changes):
    for seed, scores in enumerate(drawn(means, seed=number)):
        write_scores(root, learner, scores, seed, **changes)


GOOD, SAME, WORSE = [0.90, 0.902, 0.901], [0.9005, 0.9022, 0.9015], [0.87, 0.872, 0.871]


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "before", tmp_path / "after"


# -- two result sets ------------------------------------------------------------------------------


def test_a_regression_that_holds_with_the_seeds_exits_with_1(folders):
    a, b = folders
    write_seeds(a, "maml", GOOD)
    write_seeds(b, "maml", WORSE)
    ran = bench(a, b)
    assert ran.exit_code == 1
    assert "REGRESSION: in 1 of 1 rows B is worse" in ran.stdout
    [row] = rows(a, b)
    assert (row["verdict"], row["regression"], row["reason"]) == ("worse", True, None)
    assert (row["difference"]["about"], row["difference"]["n"]) == ("learners", 3)
    assert row["difference"]["mean"] == pytest.approx(row["b"]["score"] - row["a"]["score"])
    assert row["difference"]["mean"] < -0.02
    assert row["a"]["seeds"] == [0, 1, 2]


@pytest.mark.parametrize(("before", "after", "verdict"), [
    (WORSE, GOOD, "better"), (GOOD, SAME, "not told apart"),
])  # fmt: skip
def test_what_is_better_or_alike_exits_with_0(folders, before, after, verdict):
    a, b = folders
    write_seeds(a, "maml", before)
    write_seeds(b, "maml", after, number=1)
    ran = bench(a, b)
    assert ran.exit_code == 0
    assert "No regression that holds" in ran.stdout
    assert rows(a, b)[0]["verdict"] == verdict


@pytest.mark.parametrize("seeds", [1, 2])
def test_with_few_seeds_a_difference_is_shown_but_is_no_regression(folders, seeds):
    a, b = folders
    write_seeds(a, "maml", GOOD[:seeds])
    write_seeds(b, "maml", WORSE[:seeds])
    ran = bench(a, b)
    assert ran.exit_code == 0
    assert "worse (these weights)" in ran.stdout
    assert "With fewer than 3 seeds" in ran.stdout
    [row] = rows(a, b)
    assert (row["verdict"], row["regression"]) == ("worse", False)
    assert row["difference"]["about"] == "weights"
    assert row["difference"]["p_holm"] < 0.001


def test_more_wrong_bits_are_worse(folders):
    a, b = folders
    for root, wrong in ((a, 1.0), (b, 9.0)):
        for seed in range(3):
            folder = write_probe(root, wrong=wrong, seed=seed)
            bank = json.loads((folder / "result.json").read_text())["bank"]
            stored = json.loads((folder / "episodes.json").read_text())
            errors = np.random.default_rng(seed).poisson(wrong, 40).tolist()
            stored |= {"bank": bank, "bit_errors": errors}
            (folder / "episodes.json").write_text(json.dumps(stored))
    [row] = rows(a, b)
    assert (row["metric"], row["more_is_better"]) == ("bit_errors", False)
    assert (row["verdict"], row["regression"]) == ("worse", True)
    assert row["difference"]["mean"] == pytest.approx(8, abs=2)


def test_everything_that_decides_a_cell_but_device_and_precision_must_match(folders):
    a, b = folders
    write_seeds(a, "maml", GOOD)
    write_seeds(b, "maml", GOOD, device="cuda:0", precision="bf16")
    for other in (
        {"setting": "5way5shot"},
        {"suite": "glyphs-20way"},
        {"suite_version": 2, "suite": "glyphs-15way"},
        {"budget": "smoke"},
    ):
        write_seeds(a, "maml", GOOD[:1], **other)
    write_seeds(b, "maml", GOOD[:1], suite="glyphs-15way")
    write_seeds(b, "maml[inner_steps=5]", GOOD[:1])
    told = rows(a, b)
    assert len(told) == 7
    [matched] = [row for row in told if row["difference"]]
    assert (matched["a"]["device"], matched["b"]["device"]) == ("cpu", "cuda:0")
    reasons = [row["reason"] for row in told if not row["difference"]]
    assert sorted(reasons) == ["only in A"] * 4 + ["only in B"] * 2
    text = bench(a, b).stdout
    assert "other device" in text
    assert re.search(r"A cpu, B cuda\s*$", text, re.MULTILINE)
    assert "A fp32, B bf16" in text
    assert "6 of 7 rows could not be compared." in text


def test_of_several_devices_the_same_are_compared(folders):
    a, b = folders
    for root in folders:
        write_seeds(root, "maml", GOOD, device="cuda:0")
    write_seeds(a, "maml", GOOD)
    pairs = [(row["a"], row["b"]) for row in rows(a, b)]
    assert [(one["device"], other and other["device"]) for one, other in pairs] == [
        ("cuda:0", "cuda:0"),
        ("cpu", None),
    ]


def test_what_b_lost_is_told_and_exits_with_1(folders):
    a, b = folders
    write_seeds(a, "maml", GOOD)
    write_seeds(a, "mann", GOOD)
    write_seeds(b, "maml", GOOD[:2])
    write_cell(b, "maml", "metric-based", seed=2, status="failed")
    write_seeds(b, "mann", GOOD)
    ran = bench(a, b)
    assert ran.exit_code == 1
    assert "B: of 3 cells 1 failed" in ran.stdout
    assert "RuntimeError: shapes" in ran.stdout
    assert "LOST: 1 cell that is done in A failed or is unfinished, missing" in ran.stdout
    [maml, mann] = rows(a, b)
    assert (maml["difference"], maml["b"]["score"]) == (None, None)
    assert maml["b"]["status"] == ["done", "done", "failed"]
    assert maml["lost"] == [{"seed": 2, "status": "failed"}]
    assert (mann["verdict"], mann["lost"]) == ("not told apart", [])
    turned = bench(b, a)  # what A lacks B need not have
    assert (turned.exit_code, "LOST" in turned.stdout) == (0, False)


@pytest.mark.parametrize("loss", ["unfinished", "missing", "damaged", "only in A"])
def test_every_way_to_lose_a_cell_counts(folders, loss):
    a, b = folders
    for root in folders:
        write_seeds(root, "maml", GOOD[:1], setting="5way5shot")
    write_seeds(a, "maml", GOOD)
    write_seeds(b, "maml", GOOD[: 0 if loss == "only in A" else 2])
    if loss == "unfinished":
        write_cell(b, "maml", "metric-based", seed=2, status=loss)
    if loss == "damaged":
        (write_scores(b, "maml", drawn([0.9])[0], 2) / "episodes.json").write_text("{")
    ran = bench(a, b, "--format", "json")
    told = json.loads(ran.stdout)
    [row] = [row for row in told["rows"] if row["setting"] == "5way1shot"]
    seeds = [0, 1, 2] if loss == "only in A" else [2]
    status = "missing" if loss == "only in A" else loss
    assert (ran.exit_code, told["regressions"], told["lost"]) == (1, 0, len(seeds))
    assert row["lost"] == [{"seed": seed, "status": status} for seed in seeds]


def test_other_episodes_and_two_trainings_of_a_seed_are_not_compared(folders):
    a, b = folders
    for root in folders:
        write_seeds(root, "maml", GOOD)
        write_seeds(root, "mann", GOOD, bank=f"bank of {root.name}")
    folder = write_scores(b, "maml", drawn([0.9])[0], seed=0)
    folder.rename(folder.with_name(f"older-{folder.name}"))
    write_scores(b, "maml", drawn([0.9])[0], seed=0)
    told = {row["a"]["learner"]: row["reason"] for row in rows(a, b)}
    assert told == {
        "maml": "B has one seed trained twice; keep one of the two trainings in a results folder "
        "of its own",
        "mann": "A and B answered other episodes",
    }


def test_holm_runs_over_the_whole_command(folders):
    """So that at most 5 % of runs end in a false alarm, however many rows there are."""
    a, b = folders
    for k in range(4):
        write_seeds(a, "maml", GOOD, number=k, setting=f"{k}way")
        write_seeds(b, "maml", SAME, number=k + 9, setting=f"{k}way")
    smallest = min((row["difference"] for row in rows(a, b)), key=lambda found: found["p"])
    assert smallest["p_holm"] == pytest.approx(min(4 * smallest["p"], 1))


def test_suites_and_budgets_are_selected(folders):
    for root in folders:
        for suite in ("glyphs-5way", "omniglot-5way"):
            for budget in ("smoke", "standard"):
                write_seeds(root, "maml", GOOD[:1], suite=suite, budget=budget)
    told = rows(*folders, "--suite", "omni*", "--budget", "smoke")
    assert [(row["suite"], row["budget"]) for row in told] == [("omniglot-5way", "smoke")]


# -- two learners ---------------------------------------------------------------------------------


def test_two_learners_of_one_folder(tmp_path):
    for setting, means in (("5way1shot", WORSE), ("5way5shot", GOOD)):
        write_seeds(tmp_path, "maml", GOOD, setting=setting)
        write_seeds(tmp_path, "maml[inner_steps=5]", means, 1, setting=setting)
    write_seeds(tmp_path, "mann", GOOD)
    arguments = ("maml", "maml[inner_steps=5]", "--results", tmp_path)
    ran = bench(*arguments)
    assert ran.exit_code == 1
    assert "maml / maml[inner_steps=5]" in ran.stdout
    told = rows(*arguments)
    assert [row["verdict"] for row in told] == ["worse", "not told apart"]
    write_seeds(tmp_path, "maml", GOOD, setting="5way10shot")  # of one folder nothing is lost
    turned = bench("maml[inner_steps=5]", "maml", "--results", tmp_path)
    assert turned.exit_code == 0


def test_a_learner_with_two_trainings_of_a_seed_is_not_said_to_be_on_one_side_only(tmp_path):
    """On one setting it is not clear which is meant; the other is compared."""
    for setting in ("5way1shot", "5way5shot"):
        write_seeds(tmp_path, "maml", GOOD[:1], setting=setting)
        write_seeds(tmp_path, "mann", GOOD[:1], setting=setting)
    before = write_scores(tmp_path, "maml", drawn([0.9])[0], source="01d0de")
    before.rename(before.with_name(f"older-{before.name}"))
    write_scores(tmp_path, "maml", drawn([0.9])[0], source="5ec0de")
    told = rows("maml", "mann", "--results", tmp_path)
    assert [row["setting"] for row in told] == ["5way1shot"] * 3 + ["5way5shot"]
    assert {row["reason"] for row in told[:3]} == {
        "A has 2 trainings here that could be meant (maml · code 01d0de; maml · code 5ec0de); keep "
        "one of them in a results folder of its own"
    }
    assert told[3]["difference"] is not None
    ran = bench("mann", "maml", "--results", tmp_path, "--suite", "glyphs-5way")
    assert ran.exit_code == 0
    assert "B has 2 trainings here" in ran.stdout
    assert "only in" not in ran.stdout


def test_variants_that_could_be_either_are_told_and_not_lost(folders):
    """A has the learner on two devices, B on a third one."""
    a, b = folders
    for device in ("cpu", "cuda:0"):
        write_seeds(a, "maml", GOOD[:1], device=device)
    write_seeds(b, "maml", GOOD[:1], device="mps")
    told = rows(a, b)
    assert len(told) == 3
    assert all(row["lost"] == [] and row["difference"] is None for row in told)
    [reason] = {row["reason"] for row in told}
    assert reason.startswith("A has 2 trainings here that could be meant (")
    assert {"cpu fp32", "cuda:0 fp32"} <= set(re.findall(r"[a-z0-9:]+ fp32", reason))


def test_an_untrained_learner_is_compared_at_every_budget(tmp_path):
    write_seeds(tmp_path, "pixels", GOOD[:1], budget="none")
    for budget in ("smoke", "standard"):
        write_seeds(tmp_path, "maml", GOOD[:1], budget=budget)
    told = rows("pixels", "maml", "--results", tmp_path)
    assert [(row["budget"], row["reason"]) for row in told] == [("smoke", None), ("standard", None)]


def test_an_untrained_learner_needs_no_seeds_to_be_ahead(tmp_path):
    write_seeds(tmp_path, "pixels", GOOD[:1], budget="none")
    write_seeds(tmp_path, "maml", WORSE)
    [row] = rows("pixels", "maml", "--results", tmp_path)
    assert (row["difference"]["about"], row["difference"]["n"]) == ("learners", 3)
    assert bench("pixels", "maml", "--results", tmp_path).exit_code == 1


def test_the_default_folder_of_two_learners(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_seeds(tmp_path / "results", "maml", GOOD)
    write_seeds(tmp_path / "results", "mann", SAME)
    assert [row["verdict"] for row in rows("maml", "mann")] == ["not told apart"]


# -- wrong input ----------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs the whole program in a folder with results; gives exit code and messages."""
    monkeypatch.chdir(tmp_path)
    write_seeds(tmp_path / "a", "maml", GOOD)
    write_seeds(tmp_path / "other", "mann", GOOD)
    write_seeds(tmp_path / "two", "maml", GOOD)
    write_seeds(tmp_path / "two", "mann", GOOD, setting="5way5shot")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    cell = tmp_path / "damaged" / "cells" / "suite" / "5way1shot" / "maml-0"
    cell.mkdir(parents=True)
    (cell / "result.json").write_text("{")

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["bench", "compare", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "absent"], "the results folder 'absent' does not exist"),
        (["absent/x", "absent/y"], "the results folder 'absent/x' does not exist"),
        (["empty", "a"], "the results folder 'empty' holds no results"),
        (["a", "damaged"], "A and B have no suite, version, setting, budget and learner in common"),
        (["a", "other"], "B holds glyphs-5way/5way1shot/standard"),
        (["mamm", "mann", "--results", "two"], "did you mean 'maml' or 'mann'?"),
        (["maml", "maml", "--results", "two"], "A and B are both 'maml'"),
        (["maml", "mann", "--results", "two"], "have no setting at the same budget in common"),
        (["maml", "mann", "--results", "absent"], "the results folder 'absent' does not exist"),
        (["maml", "mann"], "the results folder 'results' does not exist"),
        (["maml", "mann"], "'maml' and 'mann' are no folders, and so they were taken for learners"),
        (["maml", "mann", "--results", "file"], "the results folder 'file' is no folder"),
        (["a", "a", "--suite", "omniglot"], "no suite is called 'omniglot'"),
        (["a", "a", "--budget", "smok"], "no budget is called 'smok'"),
        (["a"], "Missing argument 'B'"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_message_and_exit_code_2(run, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_damaged_files_are_named_beside_the_comparison(run, tmp_path):
    result = tmp_path / "a" / "cells" / "glyphs-5way" / "5way1shot" / "broken-0" / "result.json"
    result.parent.mkdir()
    result.write_text("{")
    code, out, err = run("a", "a")
    assert code == 0
    assert "not told apart" in out
    assert err.startswith("left out: ")
    assert "broken-0" in err


def test_text_in_a_pipe_is_plain_and_names_cannot_steer_the_terminal(folders):
    for root in folders:
        write_seeds(root, "ev\x1b[31mil", GOOD[:1], device="cuda:0" if root.name == "a" else "cpu")
    ran = bench(*folders)
    assert "\x1b" not in ran.stdout
    assert ran.stdout.splitlines()[0].split()[:4] == ["suite", "setting", "budget", "learner"]
