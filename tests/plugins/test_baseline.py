"""The pretrained baseline (Chen et al. 2019) by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from bench.api import Episodes, Learner, Stream, TaskSpec
from bench_plugins.metric_based.baseline import Baseline, CosineClassifier

TASK = TaskSpec((1, 1, 2), 2, classes=4)


def plane(**options):
    """The baseline without a network, on points of the plane, with a scale of 1."""
    return Baseline(Baseline.Config(encoder="pixels", scale=1.0, **options), TASK)


def points(*rows):
    """One episode of points: (1, S, 1, 1, 2)."""
    return torch.tensor(rows).view(1, -1, 1, 1, 2)


def test_nearest_centroid_by_cosine():
    learner = plane()
    support = points([5.0, 0.0], [0.0, 1.0], [-2.0, 0.0])
    state = learner.adapt(support, torch.tensor([[0, 0, 1]]), 2)
    # Directions (1, 0) and (0, 1) have the mean (0.5, 0.5), however long the first image is.
    torch.testing.assert_close(state["centroids"], torch.tensor([[[0.5, 0.5], [-1.0, 0.0]]]))
    # Query (0, 3): cosines 1 / √2 and 0.
    logits = learner.predict(state, points([0.0, 3.0]))
    torch.testing.assert_close(logits, torch.tensor([[[math.sqrt(0.5), 0.0]]]))


def test_nearest_centroid_by_distance():
    learner = plane(metric="euclidean")
    state = learner.adapt(points([4.0, 0.0], [0.0, 2.0]), torch.tensor([[0, 0]]), 2)
    assert state["centroids"].tolist() == [[[2.0, 1.0], [0.0, 0.0]]]
    with torch.no_grad():
        learner.novelty.value.fill_(-7 / learner.novelty.unit)
    # Query (0, 0): a squared distance of 4 + 1, and a class that was not seen.
    logits = learner.predict(state, points([0.0, 0.0]))
    torch.testing.assert_close(logits, torch.tensor([[[-5.0, -7.0]]]))


def test_pretraining_is_over_the_classes_behind_the_labels():
    learner = plane(classifier="linear", metric="euclidean")
    with torch.no_grad():
        learner.classifier.weight.copy_(torch.tensor([[1.0, 0], [0, 1.0], [-1.0, 0], [0, -1.0]]))
        learner.classifier.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 2.0]))
    batch = Episodes(
        2,
        points([1.0, 0.0], [0.0, 2.0]),
        torch.tensor([[0, 1]]),
        points([0.0, 0.0]),
        torch.tensor([[1]]),
        classes=torch.tensor([[3, 1]]),
    )
    # Class 3, 1, 1 of the logits (1, 0, -1, 2), (0, 2, 0, 0), (0, 0, 0, 2).
    e = math.e
    right = e**2 / (e + 1 + 1 / e + e**2), e**2 / (3 + e**2), 1 / (3 + e**2)
    pretraining = -sum(map(math.log, right)) / 3
    # The episode: squared distances 1 and 4 of the query, which is of class 1.
    episode = math.log(1 + math.exp(4 - 1))
    assert learner.loss(batch).item() == pytest.approx(pretraining + episode, rel=1e-5)
    stream = Stream(2, batch.support_x, batch.support_y, batch.classes)
    # Online the same pretraining over two images; at step 0 nothing is seen, at step 1 class 0.
    pretraining = -sum(map(math.log, right[:2])) / 2
    # Novelty 0 against a squared distance of 1 + 4.
    episode = (math.log(2) + math.log1p(math.exp(-5))) / 2
    assert learner.loss(stream).item() == pytest.approx(pretraining + episode, rel=1e-5)


@pytest.mark.parametrize("protocol", ["kshot", "online"])
def test_the_episode_trains_scale_and_novelty_only(protocol, tiny):
    """The encoder's gradient is that of the classification alone: no meta-learning slips in."""
    learner = Baseline(Baseline.Config(filters=4), tiny.task(protocol)).eval()
    batch = tiny.stream() if protocol == "online" else tiny.episodes()
    learner.loss(batch).backward()
    assert learner.log_scale.grad.item() != 0
    x, y = (
        (batch.x, batch.y)
        if protocol == "online"
        else (
            torch.cat([batch.support_x, batch.query_x], 1),
            torch.cat([batch.support_y, batch.query_y], 1),
        )
    )
    alone = F.cross_entropy(
        learner.classifier(learner.encoder(x)).flatten(0, 1),
        torch.stack([c[labels] for c, labels in zip(batch.classes, y, strict=True)]).flatten(),
    )
    parameters = list(learner.encoder.parameters())
    for p, gradient in zip(parameters, torch.autograd.grad(alone, parameters), strict=True):
        torch.testing.assert_close(p.grad, gradient)


def test_the_cosine_classifier_by_hand():
    classifier = CosineClassifier(2, 2, scale=10.0)
    with torch.no_grad():
        classifier.weight.copy_(torch.tensor([[3.0, 4.0], [0.0, -2.0]]))
    torch.testing.assert_close(classifier(torch.tensor([[2.0, 0.0]])), torch.tensor([[6.0, 0.0]]))


@torch.no_grad()
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_vectorised_unroll_equals_the_default_one(metric, tiny):
    learner = Baseline(Baseline.Config(filters=4, metric=metric), tiny.task("online")).eval()
    learner.novelty.value.fill_(0.03)
    stream = tiny.stream()
    fast = learner.unroll(stream.x, stream.y, 5)
    slow = Learner.unroll(learner, stream.x, stream.y, 5)
    torch.testing.assert_close(fast[:, 1:], slow[:, 1:], atol=1e-4, rtol=1e-4)
    assert (fast[:, 0] == 3).all(), "nothing seen: every class alike"


@pytest.mark.parametrize("classifier", ["cosine", "linear"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_gradients_are_finite_at_empty_images(classifier, metric, tiny):
    config = Baseline.Config(filters=4, classifier=classifier, metric=metric)
    learner, batch = Baseline(config, tiny.task()), tiny.episodes()
    batch.support_x = torch.zeros_like(batch.support_x)
    learner.loss(batch).backward()
    assert all(p.grad.isfinite().all() for p in learner.parameters())


def test_it_needs_to_know_the_number_of_classes():
    with pytest.raises(ValueError, match="number of meta-training classes"):
        Baseline(Baseline.Config(), TASK.but(classes=0))


def test_one_training_serves_every_setting():
    one, five, twenty = (
        Baseline.training_task(Baseline.Config(), TaskSpec((1, 28, 28), ways, shots))
        for ways, shots in ((5, 1), (5, 5), (20, 1))
    )
    assert one == five == twenty
    assert 128 <= one.examples_per_update <= 256
