"""The script that a site's options make."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.api.executor import Resources
from bench.errors import BenchError
from bench.executors.sbatch import SlurmOptions


def directives(given: dict[str, str], **resources) -> list[str]:
    lines = SlurmOptions(given).directives(Resources(cpus=4, **resources), {"array": "0-9%3"})
    return [line.removeprefix("#SBATCH --") for line in lines.splitlines()]


def test_what_is_asked_for_by_itself():
    assert directives({}) == [
        "array=0-9%3", "cpus-per-task=4", "signal=B:USR1@90", "requeue", "open-mode=append",
    ]  # fmt: skip


def test_what_a_site_says_comes_first():
    given = {"partition": "gpu", "account": "my lab", "time": "8:00:00", "nice": "yes",
             "signal": "B:USR1@300", "cpus-per-task": "4"}  # fmt: skip
    told = directives(given)
    assert {"partition=gpu", 'account="my lab"', "time=8:00:00", "nice"} <= set(told)
    assert "signal=B:USR1@300" in told
    assert len([line for line in told if line.startswith(("signal", "cpus"))]) == 2
    assert SlurmOptions(given).threads() == 4
    assert SlurmOptions({}).threads() is None


@pytest.mark.parametrize("said", ["gres", "gpus", "gpus-per-task"])
def test_a_gpu_is_asked_for_once(said):
    assert "gres=gpu:1" in directives({}, gpus=1)
    told = directives({said: "gpu:a100:1"}, gpus=1)
    assert [line for line in told if "gpu" in line] == [f"{said}=gpu:a100:1"]


def test_memory_has_room_for_bench_itself_unless_the_site_says_it():
    assert "mem=3072M" in directives({}, memory=2 * 2**30)
    assert not [line for line in directives({}) if line.startswith("mem")]
    told = directives({"mem-per-cpu": "2G"}, memory=2 * 2**30)
    assert [line for line in told if line.startswith("mem")] == ["mem-per-cpu=2G"]


def test_timings_are_exclusive_and_may_have_options_of_their_own():
    given = {"partition": "gpu", "timings.partition": "whole-nodes"}
    assert "partition=gpu" in directives(given)
    timed = directives(given, exclusive=True)
    assert "partition=whole-nodes" in timed
    assert "exclusive" in timed
    assert "exclusive" not in directives({"timings.exclusive": "no"}, exclusive=True)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"array": "0-3"}, "-X array: bench gives this option itself"),
        ({"timings.output": "x"}, "-X timings.output: bench gives"),
        ({"--partition": "gpu"}, "without their dashes, as -X partition=gpu"),
        ({"a b": "gpu"}, "no option of sbatch"),
    ],
)
def test_options_that_are_none(given, words):
    with pytest.raises(BenchError, match=words):
        SlurmOptions(given)


def test_values_that_do_not_fit():
    with pytest.raises(BenchError, match="-X partition: it has more than one line"):
        directives({"partition": "gpu\n#SBATCH --wrap=evil"})
    with pytest.raises(BenchError, match="cpus-per-task=many: expected a whole number"):
        SlurmOptions({"cpus-per-task": "many"}).threads()
    with pytest.raises(BenchError, match="poll=soon: expected a number of seconds"):
        SlurmOptions({"poll": "soon"}).poll_seconds()
    assert SlurmOptions({"poll": "0.5"}).poll_seconds() == 0.5


def test_the_script_has_all_of_it(tmp_path):
    options = SlurmOptions({"setup": "module load python\nsource venv/bin/activate"})
    script = options.script("#SBATCH --x", ["py thon", "-m", "x"], Path("/a folder/i.txt"))
    lines = script.splitlines()
    assert lines[:2] == ["#!/bin/bash", "#SBATCH --x"]
    assert lines.index("module load python") < lines.index("source venv/bin/activate")
    assert "'py thon' -m x --index \"$index\" &" in script
    assert "'/a folder/i.txt'" in script


def test_a_template_of_the_site(tmp_path):
    template = tmp_path / "site.sh"
    template.write_text("#!/bin/sh\n{{ directives }}\nsrun {{ command }} < {{ indexes }}\n")
    options = SlurmOptions({"template": str(template)})
    script = options.script("#SBATCH --x", ["work"], Path("i.txt"))
    assert script == "#!/bin/sh\n#SBATCH --x\nsrun work < i.txt\n"
    template.write_text("{{ no_such_name }}")
    with pytest.raises(BenchError, match=r"site\.sh: 'no_such_name' is undefined"):
        options.script("", ["work"], Path("i.txt"))
    template.unlink()
    with pytest.raises(BenchError, match="No such file"):
        options.script("", ["work"], Path("i.txt"))
