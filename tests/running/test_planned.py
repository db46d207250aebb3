"""Who takes part in a run: a learner that cannot be used never stops another."""

from __future__ import annotations

import pytest

from bench.errors import BenchError
from bench.running.planned import choose_learners

PRETRAINED = """
    from dataclasses import dataclass
    from pathlib import Path
    from bench.api import Learner, option
    class Sound(Learner):
        family, contract = "test", 1
        def adapt(self, support_x, support_y, ways): return None
        def predict(self, state, query_x): return None
    class Pretrained(Sound):
        @dataclass(frozen=True)
        class Config:
            weights: Path = option(Path("not-there.pt"), "A state dict.", file=True)
"""


@pytest.fixture
def pretrained(install):
    names = {"pretrained": "pretrained:Pretrained", "pre-sound": "pretrained:Sound"}
    install("pretrained", PRETRAINED, learners=names)


@pytest.mark.parametrize("specs", [[], ["pre*"], ["pretrained", "pre-sound"]])
def test_a_declared_file_that_is_missing_is_one_failed_learner(pretrained, specs):
    chosen = choose_learners(specs)
    assert list(chosen.failed) == ["pretrained"]
    assert "cannot read the file 'not-there.pt'" in chosen.failed["pretrained"]
    labels = [one.label for one in chosen.contestants]
    assert "pre-sound" in labels
    assert "pretrained" not in labels


def test_a_file_that_was_asked_for_and_is_missing_is_a_mistake(pretrained):
    with pytest.raises(BenchError, match=r"pretrained, option weights: cannot read .*gone\.pt"):
        choose_learners(["pretrained[weights=gone.pt]", "pre-sound"])


def test_a_mistake_in_a_glob_is_told(pretrained):
    with pytest.raises(BenchError, match="no option of pre"):
        choose_learners(["pre*[with=8]"])
