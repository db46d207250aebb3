"""Options of an executor, single and from a site's file."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from bench.cli import cli
from bench.cli.site_options import read_options
from bench.errors import BenchError

SITE = """
partition = "gpu"
nice = 100
requeue = false
exclusive = true
setup = ["module load python", "source venv/bin/activate"]

[timings]
partition = "whole"
"""


def test_a_file_of_a_site(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    assert read_options(path) == {
        "partition": "gpu", "nice": "100", "requeue": "no", "exclusive": "yes",
        "setup": "module load python\nsource venv/bin/activate", "timings.partition": "whole",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("partition = ", r"site\.toml is no TOML"),
        ("partition = [1]", "partition: expected a text, a number, true, false or a list"),
        ("[timings]\npartition = [[1]]", "partition: expected"),
        (None, r"cannot read .*site\.toml: No such file"),
    ],
)
def test_what_is_wrong_with_it(text, words, tmp_path):
    path = tmp_path / "site.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BenchError, match=words):
        read_options(path)


def test_single_ones_win_and_the_script_shows_them(tiny_suite, tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    asked = ["run", "--suite", str(tiny_suite), "--learner", "nearest-code", "--budget", "smoke"]
    asked += ["--results", str(tmp_path / "r"), "--executor", "slurm", "--print"]
    asked += ["--executor-options", str(path), "-X", "partition=fast", "-X", "hold", "--jobs", "5"]
    ran = CliRunner().invoke(cli, asked, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    trainings, timings = ran.stdout.split("#!/bin/bash\n")[1:]
    assert "#SBATCH --array=0-1%5\n" in trainings
    assert "#SBATCH --partition=fast\n" in trainings
    assert "#SBATCH --hold\n" in trainings
    assert "#SBATCH --requeue" not in trainings
    assert "module load python\nsource venv/bin/activate\n" in trainings
    assert "#SBATCH --partition=whole\n" in timings
    assert not (tmp_path / "r").exists(), "nothing is stored"
