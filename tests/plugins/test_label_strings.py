"""Labels as strings of five characters (Santoro et al. 2016, Section 4.1), in MANN."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from bench.api import TaskSpec
from bench_plugins.model_based import label_strings
from bench_plugins.model_based.mann import MANN

SMALL = MANN.Config(encoder="pixels", hidden=6, rows=5, width=3, heads=2, label="strings")


def test_strings_are_five_one_hot_vectors_drawn_per_episode_from_its_first_image():
    images = torch.rand(200, 1, 4, 4)
    codes = label_strings.strings(images, 5)
    assert codes.shape == (200, 5, 25)
    assert torch.equal(codes.view(-1, 5, 5).sum(-1), torch.ones(1000, 5))
    assert torch.equal(codes, label_strings.strings(images, 5)), "nothing but the image decides"
    assert torch.equal(codes[7:8], label_strings.strings(images[7:8], 5)), "in any batch"
    changed = images.clone()
    changed[:, 0, 3, 3] = 1 - changed[:, 0, 3, 3].round()  # one pixel, by at least 1/255
    assert (label_strings.strings(changed, 5) == codes).all(-1).all(-1).sum() == 0
    # 1,000 strings: every character stands at every place 200 times, give or take 12.6
    counts = codes.sum((0, 1))
    assert counts.min() > 200 - 4 * 12.6
    assert counts.max() < 200 + 4 * 12.6
    # two of five classes share a string in 10 / 3125 of the episodes: 0.64 of 200
    same = (codes[:, :, None] == codes[:, None]).all(-1).sum((1, 2)) > 5
    assert same.sum() < 6


def test_the_score_of_a_string_by_hand():
    output = torch.zeros(1, 25)
    output[0, 0] = math.log(6)  # the first character: (6, 1, 1, 1, 1) / 10; the others: 1/5 each
    codes = F.one_hot(torch.tensor([[[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]]]), 5).float().flatten(2)
    expected = torch.tensor([[math.log(0.6 / 5**4), math.log(0.1 / 5**4)]])
    torch.testing.assert_close(label_strings.scores(output, codes), expected)


def test_a_step_is_told_the_string_of_a_label(monkeypatch):
    task = TaskSpec((1, 4, 4), 3, protocol="online", length=9)
    learner = MANN(SMALL, task)
    first_x = torch.rand(2, 1, 4, 4)
    state = learner.begin(first_x)
    told = {}
    monkeypatch.setattr(
        learner,
        "_controller",
        lambda s, z, label: (told.update(label=label), (s.hidden, s.cell))[1],
    )
    logits, after = learner.step(
        state, learner.encode(first_x[:, None])[:, 0], F.one_hot(torch.tensor([2, 0]), 3).float()
    )
    assert torch.equal(told["label"], state.codes[torch.arange(2), torch.tensor([2, 0])])
    assert logits.shape == (2, 3)
    assert torch.equal(after.codes, state.codes)
    learner.step(state, learner.encode(first_x[:, None])[:, 0], torch.zeros(2, 3))
    assert not told["label"].any(), "no label is no string"


@torch.no_grad()
def test_the_two_views_agree_with_strings(tiny):
    learner, stream = MANN(SMALL, tiny.task("online")).eval(), tiny.stream()
    logits = learner.unroll(stream.x, stream.y, stream.ways)
    for t in (1, 7, 14):
        for b in (slice(None), slice(1, 2)):  # together and alone
            state = learner.adapt(stream.x[b, :t], stream.y[b, :t], stream.ways)
            alone = learner.predict(state, stream.x[b, t : t + 1])[:, 0]
            torch.testing.assert_close(logits[b, t], alone, atol=1e-5, rtol=1e-4)
