"""`bench list`, `bench show` and `bench doctor`."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from bench import registry as plugins
from bench.cli import cli
from bench.cli.kinds import of_kind
from bench.errors import BenchError
from bench.registry.contestants import contestants

pytestmark = pytest.mark.usefixtures("tiny_plugins")


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize(
    "kind", ["learners", "suites", "datasets", "protocols", "executors", "trackers"]
)
@pytest.mark.parametrize("fmt", ["table", "csv", "json"])
def test_everything_installed_is_listed_in_every_format(kind, fmt):
    ran = bench("list", kind, "--format", fmt)
    assert ran.exit_code == 0, ran.output
    names = set(of_kind(kind).things)
    assert names
    if fmt == "json":
        assert names <= {row["name"] for row in json.loads(ran.stdout)}
    elif fmt == "csv":
        assert names <= {row["name"] for row in csv.DictReader(io.StringIO(ran.stdout))}
    else:
        assert all(name in ran.stdout for name in names)


def test_rows_say_what_it_is_and_where_it_comes_from():
    rows = json.loads(bench("list", "learners", "--format", "json").stdout)
    [row] = [row for row in rows if row["name"] == "nearest-code"]
    assert row["family"] == "metric-based"
    assert row["summary"].startswith("Class means of a linear embedding")
    assert row["presets"] == "wide"
    assert row["package"] == "tiny-plugins 1.0"
    assert row["problem"] is None


@pytest.fixture
def broken(install):
    """An installed learner that cannot be imported."""
    install("broken", learners={"broken-one": "absent_module:A"})


@pytest.mark.usefixtures("broken")
def test_what_cannot_be_used_is_listed_with_the_reason():
    told = bench("list", "learners", "--format", "csv").stdout
    [row] = [row for row in csv.DictReader(io.StringIO(told)) if row["name"] == "broken-one"]
    assert row["package"] == "broken 2.5"
    assert "No module named 'absent_module'" in row["problem"]
    assert "problem" in bench("list", "learners").stdout


@pytest.mark.usefixtures("broken")
def test_doctor_tells_problems_and_exits_with_1():
    ran = bench("doctor")
    assert ran.exit_code == 1
    assert "PROBLEM: learner broken-one of broken 2.5" in ran.output
    assert "No module named 'absent_module'" in ran.output
    assert "Traceback" in ran.output


@pytest.fixture
def lacking(install):
    """An installed package whose two learners need something that is not."""
    source = """
        from bench.api import MissingRequirementError
        raise MissingRequirementError("rare 1.2", "pip install rare==1.2 --option='x'")
    """
    install("lacking", source, learners={"a-b": "lacking:A", "a-c": "lacking:A"})


UNAVAILABLE = (
    "Unavailable: a-b, a-c: rare 1.2 is not installed; install it with\n"
    "  pip install rare==1.2 --option='x'\n"
)


@pytest.mark.usefixtures("lacking")
def test_what_lacks_something_optional_is_listed_with_the_line_that_installs_it():
    told = bench("list", "learners").output
    assert told.count("rare 1.2") == 1
    assert f"\n\n{UNAVAILABLE}" in told
    assert "problem" not in told.partition("\n")[0]
    rows = json.loads(bench("list", "learners", "--format", "json").stdout)
    [row] = [row for row in rows if row["name"] == "a-b"]
    assert row["package"] == "lacking 2.5"
    assert row["problem"].endswith("\n  pip install rare==1.2 --option='x'")


@pytest.mark.usefixtures("lacking")
def test_doctor_tells_what_is_unavailable_and_exits_with_0():
    ran = bench("doctor")
    assert ran.exit_code == 0
    assert UNAVAILABLE in ran.output
    assert "PROBLEM" not in ran.output
    assert "that is installed can be used." in ran.output


@pytest.mark.usefixtures("lacking")
@pytest.mark.parametrize(
    "command",
    [
        ("show", "a-b"),
        ("check", "a-b"),
        ("run", "--suite", "glyphs-5way", "--learner", "a-b[width=3]"),
        ("run", "--suite", "glyphs-5way", "--learner", "a-*"),
    ],
)
def test_asking_for_what_is_unavailable_gives_the_line_that_installs_it(command):
    error = bench(*command).exception
    assert isinstance(error, BenchError)
    assert str(error) == (
        "the learner 'a-b' of lacking 2.5 cannot be used: "
        "rare 1.2 is not installed; install it with\n  pip install rare==1.2 --option='x'"
    )


@pytest.mark.usefixtures("lacking")
def test_without_a_choice_the_unavailable_ones_stay_away():
    chosen = contestants([], plugins.learners())
    assert "nearest-code" in {one.name for one in chosen}
    assert not {"a-b", "a-c"} & {one.name for one in chosen}


def test_doctor_describes_the_environment():
    ran = bench("doctor")
    assert ran.exit_code == 0, ran.output
    for word in ("python", "torch", "cpu", "cache", "nearest-code", "omniglot-5way", "local"):
        assert word in ran.output
    assert "that is installed can be used." in ran.output


def test_show_a_learner():
    told = bench("show", "nearest-code").output
    assert "nearest-code: metric-based" in told
    assert "width = 16  features of the embedding" in told
    assert "lr = 0.01   learning rate of Adam" in told
    assert "preset wide: width=64" in told


def test_show_a_suite_and_a_dataset():
    told = bench("show", "omniglot-5way").output
    assert "5way5shot  5-way, 5-shot, 15 queries per class" in told
    assert "rotations   train and test" in told
    assert "area averaging" in told
    assert "each class presented 10 times" in bench("show", "omniglot-online").output
    assert "splits: halves, overlapping" in bench("show", "codes").output
    told = bench("show", "copy").output
    assert "training    1 to 20 items, one number per update" in told
    assert "length120  120 items" in told
    assert not {"split", "rotations", "pixels"} & set(told.split())


def test_show_takes_the_first_kind_that_has_the_name():
    ran = bench("show", "copy")
    assert ran.stdout.startswith("copy (version 1)")
    assert ran.stderr == "copy is a dataset too: --kind dataset\n"
    assert bench("show", "copy", "--kind", "dataset").stdout.startswith("copy: a dataset")


def test_a_report_of_no_format_is_a_mistake():
    ran = bench("report", "--format", ",")
    assert ran.exit_code == 2
    assert "--format names nothing to write" in ran.output


def test_show_takes_no_options():
    error = bench("show", "nearest-code[width=3]").exception
    assert isinstance(error, BenchError)
    assert str(error).endswith("`bench show nearest-code` shows all")


def test_show_what_is_not_there():
    ran = bench("show", "nearest-cod")
    assert isinstance(ran.exception, BenchError)
    assert "did you mean 'nearest-code'" in str(ran.exception)


def test_executors_are_listed_without_torch():
    source = (
        "import sys; from bench.cli import cli\n"
        "cli(['list', 'executors'], standalone_mode=False); print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", source]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "one process per training" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "False"
