"""Relation networks (Sung et al. 2018), by hand and against a loop over pairs."""

from __future__ import annotations

import pytest
import torch

from bench.api import Episodes, Learner, TaskSpec
from bench_plugins.metric_based.relation import Relation, RelationModule

TASK = TaskSpec((1, 16, 16), 3)


@pytest.fixture
def learner():
    """Batch normalisation has seen images, and is in ``eval()``."""
    torch.manual_seed(0)
    learner = Relation(Relation.Config(filters=4), TASK).train()
    episodes = Episodes(
        3,
        torch.rand(2, 6, 1, 16, 16),
        torch.arange(6).expand(2, 6) % 3,
        torch.rand(2, 6, 1, 16, 16),
        torch.arange(6).expand(2, 6) % 3,
    )
    for _ in range(3):
        learner.loss(episodes)
    return learner.eval()


def read_aloud(module, class_map, query_map):
    """Figure 2: concatenation, two convolutional blocks, two linear layers."""
    h = torch.cat([class_map, query_map])[None]  # (1, 2F, H, W)
    for convolution, norm, pool in zip(
        (module.first, module.second), module.norms, module.pools, strict=True
    ):
        h = torch.max_pool2d(torch.relu(norm(convolution(h))), pool)
    return module.score(torch.relu(module.hidden(h.flatten(1))))[0, 0]


@torch.no_grad()
@pytest.mark.parametrize("aggregate", ["mean", "sum"])
def test_against_the_paper_read_aloud(learner, aggregate):
    learner.config = Relation.Config(filters=4, shots=aggregate)
    x, y = torch.rand(2, 6, 1, 16, 16), torch.tensor([[0, 0, 0, 1, 1, 2], [2, 1, 0, 2, 2, 2]])
    query = torch.rand(2, 2, 1, 16, 16)
    logits = learner.predict(learner.adapt(x, y, 3), query)
    for b in range(2):
        maps, asked = learner.encoder.maps(x[b]), learner.encoder.maps(query[b])
        for n in range(3):
            own = maps[y[b] == n]
            stands = own.mean(0) if aggregate == "mean" else own.sum(0)
            for q in range(2):
                expected = read_aloud(learner.relation, stands, asked[q])
                torch.testing.assert_close(logits[b, q, n], expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_relation_module_by_hand():
    """Maps of one pixel: a convolution is its centre, and batch normalisation new in eval is
    1 / √(1 + 1e-5), about 1."""
    module = RelationModule((1, 1, 1), hidden=1).eval()
    for parameter in module.parameters():
        parameter.zero_()
    for norm in module.norms:
        norm.weight.fill_(1.0)
    module.first.weight[0, :, 1, 1] = torch.tensor([2.0, 3.0])  # of the class, of the query
    module.first.bias.fill_(0.5)
    module.second.weight[0, 0, 1, 1] = 4.0
    module.hidden.weight.fill_(1.0)
    module.score.weight.fill_(-1.0)
    module.score.bias.fill_(7.0)
    pair = torch.tensor([1.0]).view(1, 1, 1, 1), torch.tensor([-0.25]).view(1, 1, 1, 1)
    score = module(module.from_class(pair[0]), module.from_query(pair[1]))
    # 2 · 1 + 3 · (-1/4) + 1/2 = 1.75; times 4 is 7; 7 - 7 = 0.
    assert score.item() == pytest.approx(0.0, abs=1e-3)


def test_the_loss_is_the_squared_error_of_the_scores(learner):
    """0.09 for one pair of score 0.3 that belongs together, and so on."""
    learner._compare = lambda state, maps: torch.tensor([[[0.3, 0.8, 0.5]]]).logit()
    x, query = torch.rand(1, 3, 1, 16, 16), torch.rand(1, 1, 1, 16, 16)
    batch = Episodes(3, x, torch.tensor([[0, 1, 2]]), query, torch.tensor([[1]]))
    expected = (0.3**2 + 0.2**2 + 0.5**2) / 3
    assert learner.loss(batch).item() == pytest.approx(expected, rel=1e-5)


def test_a_logit_is_the_posterior_of_exactly_one_match():
    """Scores 1/2, 1/3 and 1/5: the odds are 1, 1/2 and 1/4, of 7/4."""
    posterior = torch.tensor([1 / 2, 1 / 3, 1 / 5]).logit().softmax(-1)
    torch.testing.assert_close(posterior, torch.tensor([4.0, 2.0, 1.0]) / 7)


@torch.no_grad()
@pytest.mark.parametrize("aggregate", ["mean", "sum"])
def test_the_vectorised_unroll_equals_the_default_one(tiny, aggregate):
    learner = Relation(Relation.Config(filters=4, shots=aggregate), tiny.task("online")).eval()
    learner.novelty.value.fill_(-0.03)
    stream = tiny.stream()
    fast = learner.unroll(stream.x, stream.y, 5)
    slow = Learner.unroll(learner, stream.x, stream.y, 5)
    torch.testing.assert_close(fast[:, 1:], slow[:, 1:], atol=1e-4, rtol=1e-4)
    assert (fast[:, 0] == -3).all(), "nothing seen: every class alike"


@torch.no_grad()
def test_in_eval_no_batch_statistics_are_used(learner):
    """The authors' code never leaves training mode: there a query's answer depends on the others,
    which this would find."""
    x, y = torch.rand(1, 3, 1, 16, 16), torch.tensor([[0, 1, 2]])
    query = torch.rand(1, 5, 1, 16, 16)
    alone = learner.predict(learner.adapt(x, y, 3), query[:, :1])
    among = learner.predict(learner.adapt(x, y, 3), query)[:, :1]
    torch.testing.assert_close(alone, among)
    learner.train()
    alone = learner.predict(learner.adapt(x, y, 3), query[:, :1])
    among = learner.predict(learner.adapt(x, y, 3), query)[:, :1]
    assert not torch.allclose(alone, among, atol=1e-3)


@pytest.mark.parametrize(
    ("size", "kept"), [((28, 28), 1), ((20, 20), 1), ((16, 16), 1), ((84, 84), 25), ((4, 28), 7)]
)
def test_images_of_many_sizes(size, kept):
    learner = Relation(Relation.Config(filters=2), TaskSpec((1, *size), 2)).eval()
    assert learner.relation.hidden.in_features == 2 * kept
    x = torch.rand(1, 2, 1, *size)
    assert learner.predict(learner.adapt(x, torch.tensor([[0, 1]]), 2), x).shape == (1, 2, 2)


def test_one_training_serves_all_and_the_paper_trains_as_tested():
    task = TaskSpec((1, 28, 28), 5)
    asked = Relation.training_task(Relation.Config(), task)
    assert asked == Relation.training_task(Relation.Config(), task.but(ways=20, shots=5))
    assert (asked.ways, asked.shots) == (20, (1, 5))
    paper = Relation.Config(**Relation.presets["paper"])
    asked = Relation.training_task(paper, task.but(shots=5))
    assert (asked.ways, asked.shots, asked.queries, asked.episodes_per_update) == (5, 5, 15, 1)
    assert Relation.published_updates(paper, task) == 1_000_000
