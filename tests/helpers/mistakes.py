"""Mistakes that people make on the command line, and what each message has to say.

``@tmp`` is a folder of `prepare`: suites and results that are right, and files that are not.
Of each mistake: its words; then what the message names as wrong, and what it offers instead.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.helpers import synthetic

FIXTURES = Path(__file__).parents[1] / "fixtures"

SUITE = """\
name = "tiny"
version = 1
title = "Tiny"
description = "For tests."
dataset = "codes"
image_size = 16
split = "halves"
protocol = "kshot"
episodes_per_update = 4
test = { episodes = 60, seed = 7 }

[settings.5way1shot]
ways = 5
shots = 1
queries = 3

[budgets.smoke]
examples = 1_600
[budgets.standard]
examples = 8_000
"""

SUITES: dict[str, tuple[str, str]] = {
    "syntax": ("version = 1", "version = = 1"),
    "unknown-key": ("image_size", "image_sise"),
    "protocol": ('"kshot"', '"kshto"'),
    "missing": ("version = 1\n", ""),
    "type": ("version = 1", 'version = "one"'),
    "one-way": ("ways = 5", "ways = 1"),
    "no-shots": ("shots = 1", "shots = 0"),
    "two-limits": ("examples = 1_600", "examples = 1_600\nminutes = 3"),
    "fractions": ('"halves"', "{ train = 0.6, val = 0.2, test = 0.2 }"),
    "dataset": ('"codes"', '"code"'),
    "split": ('"halves"', '"halfs"'),
    "overlapping": ('"halves"', '"overlapping"'),
    "setting-name": ("settings.5way1shot", 'settings."5 ways"'),
    "huge-images": ("image_size = 16", "image_size = 5000"),
    "many-ways": ("ways = 5", "ways = 50"),
    "many-shots": ("shots = 1", "shots = 100"),
    "no-folder": ('"codes"', '"folder:nowhere"'),
    "no-classes": ('"codes"', '"folder:flat"'),
    "empty-class": ('"codes"', '"folder:empty-class"'),
    "no-list": ('dataset = "codes"', 'dataset = "folder:classes"'),
    "name": ('"tiny"', '"../tiny"'),
    "probe-keys": ("episodes_per_update = 4", "training_items = [2, 6]"),
    "other": ("shots = 1", "shots = 2"),
}
"""What is changed in `SUITE`, by the file's name."""

SUM = SUITE.replace('"codes"', '"folder:classes"').replace(
    'split = "halves"', "split = { train = 0.6, val = 0.3, test = 0.2 }"
)


def prepare(folder: Path) -> None:
    """Writes what the mistakes are about."""
    (folder / "tiny.toml").write_text(SUITE)
    for name, (before, after) in SUITES.items():
        assert before in SUITE, name
        (folder / f"{name}.toml").write_text(SUITE.replace(before, after))
    (folder / "sum.toml").write_text(SUM)
    shutil.copy(FIXTURES / "tiny_probe.toml", folder / "probe.toml")
    (folder / "nothing.toml").write_text("")
    (folder / "folder.toml").mkdir()
    (folder / "file.txt").write_text("a file\n")
    (folder / "latin.toml").write_bytes(SUITE.replace("tests", "t\xe9sts").encode("latin-1"))
    (folder / "empty").mkdir()
    (folder / "flat").mkdir()
    (folder / "flat" / "a.png").write_bytes(b"")
    (folder / "empty-class" / "a").mkdir(parents=True)
    (folder / "broken" / "a").mkdir(parents=True)
    (folder / "broken" / "a" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "classes" / "a").mkdir(parents=True)
    (folder / "classes" / "a" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "bench-made").mkdir()
    for seed in range(2):
        synthetic.write_cell(folder / "results", "maml", episodes=4, seed=seed)
    synthetic.write_cell(folder / "results", "prototypical", episodes=4)
    (folder / "results-of-nobody" / "cells").mkdir(parents=True)


Mistake = tuple[str, tuple[str, ...]]

RUN = "run --suite @tmp/tiny.toml --results @tmp/new "
"""What is right, and made wrong by what follows."""


def _suite(name: str, *says: str) -> Mistake:
    return f"run --results @tmp/new --suite @tmp/{name}.toml", says


def _run(words: str, *says: str) -> Mistake:
    return RUN + words, says


COMMAND_LINE: dict[str, Mistake] = {
    # verbs
    "a verb that is none": ("runn --suite x", ("No such command 'runn'", "run")),
    "an option before the verb": ("--suite x run", ("No such option '--suite'",)),
    # bench run: which suite
    "run nothing": ("run", ("Missing option '--suite'",)),
    "a misspelled option": ("run --sutie x", ("No such option '--sutie'", "--suite")),
    "an option without its value": ("run --suite", ("'--suite' requires an argument",)),
    "a suite as an argument": ("run glyphs-5way --suite x", ("glyphs-5way",)),
    "a misspelled suite": ("run --suite glyphs-5wya", ("'glyphs-5wya'", "'glyphs-5way'")),
    "a glob that fits nothing": ("run --suite maxi*", ("'maxi*'", "`bench list suites`")),
    "a file that is not there": ("run --suite @tmp/no.toml", ("no.toml", "No such file")),
    "a folder called .toml": ("run --suite @tmp/folder.toml", ("folder.toml", "directory")),
    "no suite's name": ("run --suite=", ("'--suite'", "it is empty", "glyphs-5way")),
    "two suites of one name": (
        "run --suite @tmp/tiny.toml --suite @tmp/other.toml --results @tmp/new",
        ("two suites are called 'tiny'", "another name"),
    ),
    # bench run: what a suite says
    "TOML that is none": _suite("syntax", "syntax.toml", "line 2"),
    "an empty suite": _suite("nothing", "name: missing (the file is empty)"),
    "a suite in Latin-1": _suite("latin", "latin.toml", "not valid TOML"),
    "a misspelled key": _suite("unknown-key", "image_sise: unknown key", "'image_size'"),
    "a misspelled protocol": _suite("protocol", "protocol: ", "'kshto'", "'kshot'"),
    "a missing key": _suite("missing", "version: missing"),
    "a text for a number": _suite("type", "version: ", "integer", "got 'one'"),
    "one way": _suite("one-way", "settings.5way1shot.ways", "2", "got 1"),
    "no shots": _suite("no-shots", "settings.5way1shot.shots", "1", "got 0"),
    "two limits": _suite("two-limits", "budgets.smoke", "exactly one of examples, minutes"),
    "fractions of a dataset": _suite("fractions", "split: fractions are for a folder", "'codes'"),
    "fractions above 1": _suite("sum", "split: ", "sum to 1, not 1.1"),
    "a misspelled dataset": _suite("dataset", "dataset: ", "'code'", "'codes'"),
    "a misspelled split": _suite("split", "split: ", "'halfs'", "'halves'"),
    "phases that share a class": _suite("overlapping", "split: ", "both train and val"),
    "a setting with a space": _suite("setting-name", "settings.5 ways", "letters (a to z), digits"),
    "huge images": _suite("huge-images", "image_size: ", "256", "got 5000"),
    "more ways than classes": _suite("many-ways", "settings.5way1shot: ", "50"),
    "more shots than images": _suite("many-shots", "5way1shot: ", "103 images", "fewer shots"),
    "a folder that is not there": _suite("no-folder", "dataset: ", "nowhere does not exist"),
    "images without classes": _suite("no-classes", "dataset: ", "folder"),
    "a class without images": _suite("empty-class", "dataset: ", "without images: a"),
    "a list of classes that is not there": _suite("no-list", "split: ", "halves"),
    "a suite's name that is a path": _suite("name", "name: ", "got '../tiny'"),
    "a key of another protocol": _suite("probe-keys", "training_items", "kshot"),
    # bench run: which learner
    "a misspelled learner": _run("--learner prototypica", "'prototypica'", "'prototypical'"),
    "a misspelled learner option": _run("--learner nearest-code[widht=3]", "'widht'", "'width'"),
    "a text for an option's number": _run("--learner nearest-code[width=wide]", "width=wide"),
    "no value": _run("--learner nearest-code[width=]", "nearest-code[width"),
    "a preset that is none": _run("--learner nearest-code[wied]", "'wied'", "'wide'"),
    "a bracket left open": _run("--learner nearest-code[width=3", "nearest-code[width=3", "NAME"),
    "a bracket too many": _run("--learner nearest-code[width=3]]", "width=3]", "nearest-code["),
    "no learner's name": _run("--learner=", "'--learner'", "it is empty"),
    "a learner with a space": _run("--learner 'nearest code'", "'nearest code'", "NAME"),
    "a glob of learners that fits nothing": _run("--learner x*", "'x*'", "`bench list learners`"),
    "a million configurations": _run(
        f"--learner 'nearest-code[width={','.join(map(str, range(1, 1001)))},lr=1,2,3]'",
        "3,000 configurations", "1,000 is the most",
    ),
    "a learner of another protocol": (
        "run --suite @tmp/probe.toml --results @tmp/new --learner nearest-code",
        ("nothing to run", "nearest-code", "sequence protocol"),
    ),
    # bench run: values
    "seeds that are words": _run("--seeds zero", "'zero' is no list of seeds", "0-2"),
    "seeds from high to low": _run("--seeds 2-0", "'2-0' is no list of seeds", "0-2"),
    "a negative seed": _run("--seeds -1", "'-1' is no list of seeds", "0-2"),
    "half a seed": _run("--seeds 1.5", "'1.5' is no list of seeds", "0,3,7"),
    "no seeds": _run("--seeds=", "'' is no list of seeds", "0-2"),
    "a hundred million seeds": _run("--seeds 0-99999999", "more than 10,000 seeds"),
    "a seed that no table holds": _run("--seeds 9223372036854775808", "too large", "largest is"),
    "a device that is none": _run("--device gpu", "'gpu'", "cuda"),
    "a device in capitals": _run("--device CPU", "'CPU'", "use cpu"),
    "no threads of a device": _run("--device cpu/0", "'cpu/0'", "cpu/1"),
    "a GPU that is not here": _run("--device cuda:31", "cuda:31 is not here", "`bench doctor`"),
    "no device": _run("--device=", "'--device'", "it is empty", "cpu"),
    "a budget that is none": _run("--budget huge", "'huge'", "smoke, standard, paper"),
    "a budget that nobody has": _run(
        "--budget paper --learner nearest-code --dry-run",
        "nothing to run", "nearest-code has no published schedule", "no other --budget needs",
    ),
    "a budget of nothing": _run("--budget 0examples", "'0examples'", "2000000examples"),
    "a negative budget": _run("--budget -5min", "'-5min'", "10min"),
    "a budget in hours": _run("--budget 1h", "'1h'", "<n>min"),
    "a budget without a unit": _run("--budget 1000", "'1000'", "<n>examples"),
    "no budget": _run("--budget=", "'--budget'", "it is empty", "standard"),
    "a precision that is none": _run("--precision fp16", "'fp16'", "bf16"),
    "a misspelled executor": _run("--executor locale", "'locale'", "'local'"),
    "an option without a name": _run("-X =gpu", "'=gpu' is no option", "KEY=VALUE"),
    "an option of nobody": _run("-X partition=gpu", "-X partition", "takes no options"),
    "an option that bench gives": _run("--executor slurm -X array=0-3", "-X array", "leave it out"),
    "options that are not there": _run("--executor-options @tmp/no.toml", "cannot read", "no.toml"),
    "options that are no TOML": _run("--executor-options @tmp/file.txt", "is no TOML"),
    "to leave what cannot be left": _run("--detach", "--detach", "'local' cannot do that"),
    "to print what is not handed over": _run("--print", "--print", "'local' cannot do that"),
    "the number of a GPU of others": _run(
        "--executor slurm --device cuda:3", "cuda:3", "--device cuda"
    ),
    "no jobs": _run("--jobs 0", "--jobs", "0", "x>=1"),
    "jobs in words": _run("--jobs two", "--jobs", "'two'", "integer"),
    "no threads": _run("--threads 0", "--threads", "x>=1"),
    "threads twice": _run("--threads 2 --device cpu/1", "threads: 2", "cpu/1", "leave one"),
    "a timeout in words": _run("--timeout soon", "'soon' is no duration", "10min"),
    "no time at all": _run("--timeout 0", "'0' is no duration", "90s"),
    "negative time": _run("--timeout -1s", "'-1s' is no duration", "90s"),
    "a timeout in days": _run("--timeout 2d", "'2d' is no duration", "2h"),
    "memory in words": _run("--memory lots", "'lots' is no size", "4GiB"),
    "no memory": _run("--memory 0", "'0' is no size", "500MiB"),
    "memory in furlongs": _run("--memory 4furlongs", "'4furlongs' is no size", "4GiB"),
    "data that is not there": _run("--data-dir @tmp/nowhere", "nowhere", "--data-dir", "glyphs"),
    "data that is a file": _run("--data-dir @tmp/file.txt", "file.txt", "--data-dir"),
    "results in a file": (
        "run --suite @tmp/tiny.toml --results @tmp/file.txt", ("file.txt is no folder", "--results")
    ),
    "results below a file": (
        "run --suite @tmp/tiny.toml --results @tmp/file.txt/new", ("file.txt is no", "--results")
    ),
    "no results' name": ("run --suite @tmp/tiny.toml --results=", ("'--results'", "it is empty")),
    # bench work, bench merge
    "work without a number": ("work @tmp/file.txt", ("Missing option '--index'",)),
    "work on what is no plan": ("work @tmp/file.txt --index 0", ("file.txt is no plan",)),
    "work on nothing": ("work @tmp/nowhere --index 0", ("cannot read", "nowhere")),
    "merge nothing": ("merge -o @tmp/new", ("Missing argument",)),
    "merge into nothing": ("merge @tmp/results", ("Missing option '-o'",)),
    "merge what is not there": ("merge @tmp/nowhere -o @tmp/new", ("is no results folder",)),
    "merge into itself": ("merge @tmp/results -o @tmp/results", ("both joined", "-o")),
    # bench results
    "results that are not there": ("results --results @tmp/nowhere", ("nowhere", "bench run")),
    "results of nobody": ("results --results @tmp/results-of-nobody", ("no results", "bench run")),
    "results that are a file": ("results --results @tmp/file.txt", ("file.txt", "is no folder")),
    "an empty folder of results": ("results --results @tmp/empty", ("no results", "--results")),
    "a suite without results": (
        "results --results @tmp/results --suite glyps*",
        ("no suite is called 'glyps*'", "stored results"),
    ),
    "a learner without results": (
        "results --results @tmp/results --learner mamll", ("'mamll'", "'maml'", "stored results")
    ),
    "a format that is none": ("results --format xml", ("'xml'", "table", "csv", "json")),
    "an argument too many": ("results @tmp/results", ("unexpected extra argument",)),
    # bench report
    "a report of nothing": ("report --results @tmp/nowhere", ("nowhere", "bench run")),
    "a report in Word": (
        "report --results @tmp/results --format docx", ("no format is called 'docx'", "html")
    ),
    "a report of no format": (
        "report --results @tmp/results --format=", ("--format", "leave it out")
    ),
    "a report into a file": (
        "report --results @tmp/results --format csv --out @tmp/file.txt", ("cannot write", "--out")
    ),
    "a report of an unknown suite": (
        "report --results @tmp/results --suite tiny", ("'tiny'", "known: glyphs-5way")
    ),
    # bench compare
    "compare nothing": ("compare", ("Missing argument 'A'",)),
    "compare one": ("compare maml", ("Missing argument 'B'",)),
    "compare what is not stored": (
        "compare maml reptil --results @tmp/results", ("'reptil'", "known: maml, prototypical")
    ),
    "compare where nothing is": (
        "compare maml reptile --results @tmp/nowhere", ("nowhere", "bench run")
    ),
    "compare folders, one not there": (
        "compare @tmp/results @tmp/nowhere", ("nowhere' does not exist", "bench run")
    ),
    "compare at a budget that is none": (
        "compare maml prototypical --results @tmp/results --budget huge",
        ("'huge'", "known: standard"),
    ),
    # bench list, bench show
    "list nothing": ("list", ("Missing argument", "learners")),
    "list one learner": ("list learner", ("'learner'", "learners")),
    "show nothing": ("show", ("Missing argument 'NAME'",)),
    "show what is not there": ("show prototypicl", ("'prototypicl'", "'prototypical'")),
    "show options": ("show nearest-code[width=3]", ("one by one", "`bench show nearest-code`")),
    "show of the wrong kind": ("show codes --kind suite", ("no suite is called 'codes'",)),
    "show of a kind that is none": ("show codes --kind thing", ("'thing'", "learner")),
    "show a suite that is not there": ("show @tmp/no.toml", ("no.toml", "No such file")),
    "show images that are not there": ("show folder:@tmp/nowhere", ("nowhere does not exist",)),
    "show a folder": ("show @tmp/classes", ("is a folder", "folder:@tmp/classes")),
    # bench check
    "check nothing": ("check", ("Missing argument",)),
    "check what is not there": ("check prototypicl", ("'prototypicl'", "'prototypical'")),
    "check a module that is not there": (
        "check no_module:Learner", ("cannot import no_module:Learner", "package.module:Class")
    ),
    "check a class that is not there": ("check json:Learner", ("cannot import json:Learner",)),
    "check what is no learner": ("check json:JSONDecoder", ("cannot be used", "Learner")),
    "a check that is none": (
        "check nearest-code --check label-leak", ("no check is called 'label-leak'",)
    ),
    "checks of a suite": ("check @tmp/tiny.toml --check x", ("--check is for learners", "suite")),
    "check at three pixels": ("check codes --image-size 3", ("--image-size", "8<=x<=256")),
    "check a suite that fits nothing": ("check @tmp/no-folder.toml", ("nowhere does not exist",)),
    # bench data
    "data of no verb": ("data clean", ("No such command 'clean'",)),
    "fetch nothing": ("data fetch", ("Missing argument 'NAME'",)),
    "fetch what is not there": ("data fetch omniglott", ("'omniglott'", "'omniglot'")),
    "verify what is not there": ("data verify codess", ("'codess'", "'codes'")),
    "verify a folder": ("data verify @tmp/classes", ("is a folder", "folder:@tmp/classes")),
    "verify what is no image": ("data verify folder:@tmp/broken", ("1.png", "cannot read")),
    # bench new-learner, bench doctor
    "a learner without a name": ("new-learner", ("Missing argument 'NAME'",)),
    "a learner with a capital": ("new-learner My_Learner", ("'My_Learner'", "'my-learner'")),
    "a learner that is there": ("new-learner nearest-code", ("tiny-plugins", "another name")),
    "a folder that is there": ("new-learner made --dir @tmp", ("bench-made exists", "--dir")),
    "a learner in a file": ("new-learner good --dir @tmp/file.txt", ("--dir", "file.txt")),
    "doctor with an argument": ("doctor all", ("unexpected extra argument",)),
}  # fmt: skip
