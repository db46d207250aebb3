"""Reptile (Nichol et al. 2018) against plain loops over tasks, mini-batches and steps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from bench.api import Episodes, TaskSpec
from bench_plugins.optimization_based.reptile import Reptile


def build(tiny, **options):
    torch.manual_seed(0)
    config = Reptile.Config(**{"filters": 6, "training_shots": 3, **options})
    return Reptile(config, Reptile.training_task(config, tiny.task())).double()


def episodes(tiny):
    """2 tasks of 15 images, one of each class a query."""
    batch = tiny.episodes(shots=2, queries=1, batch=2)
    batch.support_x, batch.query_x = batch.support_x.double(), batch.query_x.double()
    return batch


def data(batch, b):
    """All images of task b, in the order that `loss` takes them."""
    x = torch.cat([batch.support_x[b], batch.query_x[b]])
    y = torch.cat([batch.support_y[b], batch.query_y[b]])
    torch.manual_seed(7)
    order = torch.randperm(len(y))
    return x[order], y[order]


def plain(learner, x, y, size, steps, moments=None, taken=0):
    """θ' of one task, by an optimizer of torch.

    Args:
        moments: Adam's second moments to start from, changed in place to those at the end.
        taken: how many steps have made them.
    """
    config = learner.config
    weights = {name: p.detach().clone().requires_grad_() for name, p in learner.theta.items()}
    if config.inner_optimizer == "adam":
        optimizer = torch.optim.Adam(weights.values(), config.inner_lr, betas=(0.0, 0.999))
        for name, w in weights.items() if moments else ():
            optimizer.state[w] = {
                "step": torch.tensor(float(taken)),
                "exp_avg": torch.zeros_like(w),
                "exp_avg_sq": moments[name],
            }
    else:
        optimizer = torch.optim.SGD(weights.values(), config.inner_lr)
    stream = list(range(len(y))) * steps  # again and again in the same order
    for step in range(steps):
        items = stream[step * size : (step + 1) * size]
        one = {name: w[None] for name, w in weights.items()}
        inputs = learner.network.inputs(x[items][None])
        logits = learner.network.head(learner.network.features(inputs, one)[0], one)[0]
        optimizer.zero_grad()
        F.cross_entropy(logits, y[items]).backward()
        optimizer.step()
    return {name: w.detach() for name, w in weights.items()}


OPTIONS = [{}, {"inner_optimizer": "sgd", "inner_lr": 0.1}, {"encoder": "pixels"}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_gradient_is_the_mean_way_back_from_the_adapted_weights(options, tiny):
    """Mini-batches of 4 from 15 images: the fourth of 5 steps wraps around."""
    learner, batch = build(tiny, inner_batch=4, **options).train(), episodes(tiny)
    torch.manual_seed(7)
    learner.loss(batch).backward()
    ends = [plain(learner, *data(batch, b), 4, 5) for b in range(2)]
    for name, p in learner.theta.items():
        expected = p.detach() - (ends[0][name] + ends[1][name]) / 2
        assert expected.abs().max() > 1e-4
        torch.testing.assert_close(p.grad, expected, msg=name)


def test_a_full_outer_step_lands_on_the_mean_of_the_adapted_weights(tiny):
    """Algorithm 2 with ε = 1, and the loss is ½ |θ - θ'|², averaged over the tasks."""
    learner, batch = build(tiny).train(), episodes(tiny)
    ends = [plain(learner, *data(batch, b), 10, 5) for b in range(2)]
    optimizer, _ = learner.optimizer(10)
    torch.manual_seed(7)
    loss = learner.loss(batch)
    squares = [(p - end[n]).square().sum() for end in ends for n, p in learner.theta.items()]
    torch.testing.assert_close(loss, 0.5 * torch.stack(squares).sum() / 2)
    loss.backward()
    optimizer.step()
    for name, p in learner.theta.items():
        torch.testing.assert_close(p.detach(), (ends[0][name] + ends[1][name]) / 2, msg=name)


def test_moments_are_carried_from_task_to_task_and_into_meta_test(tiny):
    """Of updates with one task: exactly what one Adam for all of them has."""
    learner, batch = build(tiny, inner_batch_test=4).train(), episodes(tiny)
    moments = {name: torch.zeros_like(p) for name, p in learner.theta.items()}
    for b, taken in ((0, 0), (1, 5)):
        one = Episodes(5, *(t[b : b + 1] for t in (
            batch.support_x, batch.support_y, batch.query_x, batch.query_y
        )))  # fmt: skip
        end = plain(learner, *data(batch, b), 10, 5, moments, taken)
        learner.zero_grad()
        torch.manual_seed(7)
        learner.loss(one).backward()
        for name, p in learner.theta.items():
            torch.testing.assert_close(p.grad, p.detach() - end[name], msg=name)
    assert learner.steps == 10
    carried = {name: getattr(learner, f"moment_{name}") for name in learner.theta}
    torch.testing.assert_close(carried, moments)
    with torch.no_grad():
        answer = learner.eval().adapt(batch.support_x, batch.support_y, 5)["weights"]
    assert learner.steps == 10, "meta-test leaves nothing behind"
    torch.testing.assert_close(
        {name: getattr(learner, f"moment_{name}") for name in learner.theta}, moments
    )
    expected = plain(learner, batch.support_x[0], batch.support_y[0], 4, 50, moments, 10)
    torch.testing.assert_close({name: w[0] for name, w in answer.items()}, expected)


@torch.no_grad()
def test_tasks_of_an_update_leave_what_one_after_the_other_would(tiny):
    """Two tasks of two steps, β2 = 0.999, from a moment 8, with g² = 1 throughout in the first task
    and 4 in the second."""
    learner = build(tiny, inner_steps=2)
    for name in learner.theta:
        getattr(learner, f"moment_{name}").fill_(8.0)

    def after(moment, square):
        for _ in range(2):
            moment = 0.999 * moment + 0.001 * square
        return moment

    ends = {
        name: torch.stack(
            [torch.full_like(p, after(8.0, 1.0)), torch.full_like(p, after(8.0, 4.0))]
        )
        for name, p in learner.theta.items()
    }
    learner._carry(ends)
    for name in learner.theta:
        moment = getattr(learner, f"moment_{name}")
        torch.testing.assert_close(moment, torch.full_like(moment, after(after(8.0, 1.0), 4.0)))
    assert learner.steps == 4


def test_without_carried_moments_every_task_begins_with_none(tiny):
    learner, batch = build(tiny, carried_moments=False).train(), episodes(tiny)
    torch.manual_seed(7)
    first = learner.loss(batch)
    torch.manual_seed(7)
    torch.testing.assert_close(learner.loss(batch), first)
    assert learner.steps == 0


@torch.no_grad()
def test_meta_test_takes_its_own_steps_and_mini_batches(tiny):
    learner = build(tiny, inner_steps_test=7, inner_batch_test=4).eval()
    batch = episodes(tiny)  # 10 support images
    adapted = learner.adapt(batch.support_x, batch.support_y, 5)["weights"]
    for b in range(2):
        with torch.enable_grad():
            expected = plain(learner, batch.support_x[b], batch.support_y[b], 4, 7)
        for name, w in expected.items():
            torch.testing.assert_close(adapted[name][b], w, msg=name)


def test_no_graph_goes_through_the_inner_loop(tiny, monkeypatch):
    learner, batch, asked = build(tiny).train(), episodes(tiny), []
    gradient = torch.autograd.grad

    def spy(*args, create_graph, **kwargs):
        asked.append(create_graph)
        return gradient(*args, create_graph=create_graph, **kwargs)

    monkeypatch.setattr(torch.autograd, "grad", spy)
    learner.loss(batch)
    assert asked == [False] * 5


def test_all_images_of_an_episode_are_data(tiny):
    """Which of them the episode calls queries makes no difference."""
    learner = build(tiny, inner_batch=15, carried_moments=False).train()
    batch, cut = episodes(tiny), 4
    x = torch.cat([batch.support_x, batch.query_x], dim=1)
    y = torch.cat([batch.support_y, batch.query_y], dim=1)
    other = Episodes(5, x[:, :cut], y[:, :cut], x[:, cut:], y[:, cut:])
    torch.testing.assert_close(learner.loss(batch), learner.loss(other))


def test_its_tasks():
    config = Reptile.Config()
    for shots in (1, 5):
        asked = Reptile.training_task(config, TaskSpec((1, 28, 28), 5, shots))
        assert (asked.shots, asked.queries, asked.episodes_per_update) == (9, 1, 5)
    many = Reptile.training_task(config, TaskSpec((1, 28, 28), 5, 12))
    assert many.shots == 12, "never fewer than in the test"


def test_the_outer_step_falls_to_zero_along_a_line(tiny):
    optimizer, schedule = build(tiny).optimizer(4)
    steps = []
    for _ in range(5):
        steps.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert steps == pytest.approx([1, 0.75, 0.5, 0.25, 0])


# Options of `run_omniglot.py` by which the authors' README makes the paper's inductive figures:
# inner batch, inner iterations, learning rate, meta-batch, training shots, meta-step; batch and
# iterations in the test; meta-iterations.
AUTHORS = {
    ("authors-1shot", 5): (5, 12, 4.4e-4, 3, 12, 1.0, 5, 86, 200_000),
    ("authors-5shot", 5): (10, 5, 1.5e-3, 5, 10, 0.7, 6, 100, 100_000),
    ("authors-20way-1shot", 20): (15, 12, 4.6e-4, 3, 9, 1.0, 10, 97, 200_000),
    ("authors-20way-5shot", 20): (20, 12, 4.6e-4, 3, 12, 1.0, 10, 97, 200_000),
}


@pytest.mark.parametrize(("preset", "ways"), AUTHORS)
def test_the_presets_are_the_authors_settings(preset, ways):
    config = Reptile.Config(**Reptile.presets[preset])
    task = TaskSpec((1, 28, 28), ways)
    assert AUTHORS[preset, ways] == (
        config.inner_batch,
        config.inner_steps,
        config.inner_lr,
        Reptile.training_task(config, task).episodes_per_update,
        config.training_shots,
        config.lr,
        config.inner_batch_test,
        config.inner_steps_test,
        Reptile.published_updates(config, task),
    )
    assert not config.transductive
