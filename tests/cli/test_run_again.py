"""A run that is given again: by the command of its report, and after a learner's file changed."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from bench.cli import cli

PRETRAINED = """
    from dataclasses import dataclass
    from pathlib import Path
    import torch
    from bench.api import Learner, option

    class Pretrained(Learner):
        "Class means of a projection whose weights a file holds."
        family, contract, trained = "test", 1, False

        @dataclass(frozen=True)
        class Config:
            weights: Path = option(Path("weights.pt"), "A state dict.")
            widths: tuple[int, ...] = option((8, 8), "Widths of the layers.")

        def __init__(self, config, task):
            super().__init__(config, task)
            self.net = torch.nn.Linear(task.input_shape[-1] ** 2, 8)
            self.net.load_state_dict(torch.load(config.weights, weights_only=True))

        def embed(self, x):  # (B, S, 1, H, W)
            return self.net(x.flatten(2))

        def adapt(self, support_x, support_y, ways):
            chosen = torch.nn.functional.one_hot(support_y, ways).float()  # (B, S, N)
            return torch.einsum("bsn,bsd->bnd", chosen, self.embed(support_x))

        def predict(self, means, query_x):
            return -torch.cdist(self.embed(query_x), means)
"""


def bench(*arguments: str) -> str:
    ran = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


@pytest.fixture
def asked(install, tiny_suite, tmp_path, monkeypatch) -> tuple[str, ...]:
    """A run in `tmp_path` of a learner whose weights are zeros."""
    install("pretrained", PRETRAINED, learners={"pretrained": "pretrained:Pretrained"})
    monkeypatch.chdir(tmp_path)
    write_weights(tmp_path, 0)
    return (
        "run", "--suite", str(tiny_suite), "--learner", "pretrained[widths=(8,4)]", "--budget",
        "smoke",
    )  # fmt: skip


def write_weights(folder: Path, scale: float) -> None:
    torch.manual_seed(0)
    net = torch.nn.Linear(256, 8)
    torch.save({name: scale * value for name, value in net.state_dict().items()},
               folder / "weights.pt")  # fmt: skip


def test_the_command_of_the_report_finds_all_of_it_done(asked, tmp_path):
    bench(*asked)
    page = (tmp_path / "results" / "report.html").read_text(encoding="utf-8")
    found = re.search("<pre[^>]*>(bench run.*?)</pre>", page, re.DOTALL)
    assert found
    words = shlex.split(html.unescape(found[1]))
    assert asked[2] in words, "the suite is a file"
    told = bench(*words[1:], "--dry-run")
    assert told.count(" done ") == 2, told


def test_other_weights_in_a_learners_file_are_another_result(asked):
    def accuracies() -> list[float]:
        rows = json.loads(bench("results", "--format", "json"))
        return sorted(row["accuracy"] for row in rows)

    bench(*asked)
    zeros = accuracies()
    assert zeros == pytest.approx([1 / 5] * len(zeros), abs=0.05)
    write_weights(Path(), 1)
    bench(*asked)
    both = accuracies()
    assert len(both) == 2 * len(zeros)
    assert max(both) > 0.5
