"""learn2learn's algorithms behind the contract: the same answers and meta-gradients as ours.

Without learn2learn only what is said about it is tested; `tox -e learn2learn` installs it.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from packaging.requirements import Requirement

from bench.api import Episodes, MissingRequirementError
from bench.testing import check_learner
from bench_plugins.learn2learn.library import INSTALL, REQUIREMENT, algorithms
from bench_plugins.learn2learn.network import BatchNorm, Network
from bench_plugins.optimization_based.anil import ANIL
from bench_plugins.optimization_based.fomaml import FOMAML
from bench_plugins.optimization_based.maml import MAML
from bench_plugins.optimization_based.meta_sgd import MetaSGD

ROOT = Path(__file__).parents[2]
POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
FILE = ROOT / "plugins" / "learn2learn" / "requirements.txt"
NAMES = ["maml-l2l", "metasgd-l2l", "anil-l2l"]
INSTALLED = importlib.util.find_spec("learn2learn") is not None
needs_learn2learn = pytest.mark.skipif(
    not INSTALLED, reason=f"needs {REQUIREMENT}: `tox -e learn2learn`, or {INSTALL}"
)


def learner(name: str) -> type:
    return EntryPoint(name, POINTS["bench.learners"][name], "bench.learners").load()


# -- what it needs --------------------------------------------------------------------------------


def test_the_line_that_is_shown_installs_what_the_requirements_file_names():
    [line] = [line for line in FILE.read_text().splitlines() if not line.startswith("#")]
    requirement, _, setting = line.partition(" ")
    assert f"pip install --no-cache-dir --no-deps {requirement} {setting}" == INSTALL
    assert str(Requirement(requirement)).replace("==", " ") == REQUIREMENT


def test_tox_installs_it_as_the_requirements_file_says():
    [command] = re.findall(r"^# +(pip install .+)$", FILE.read_text(), re.MULTILINE)
    assert f"commands_pre = python -m {command}\n" in (ROOT / "tox.ini").read_text()


@pytest.mark.skipif(INSTALLED, reason="learn2learn is installed")
@pytest.mark.parametrize("name", NAMES)
def test_without_it_the_module_says_what_installs_it(name):
    with pytest.raises(MissingRequirementError, match=r"learn2learn 0\.2\.0 is not installed"):
        learner(name)


@needs_learn2learn
def test_nothing_of_the_library_is_imported_but_the_algorithms():
    code = (
        "import sys; from bench_plugins.learn2learn.learners import MAML; "
        "print(*{'learn2learn', 'gym', 'torchvision', 'learn2learn.vision'} & {*sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ran.stdout.strip(), ran.stderr) == ("", "")


@needs_learn2learn
def test_the_whole_library_is_used_where_somebody_imported_it(monkeypatch):
    spec = importlib.util.find_spec("learn2learn")
    whole = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "learn2learn", whole)
    assert algorithms().MAML is learner("maml-l2l").__init__.__globals__["l2l"].MAML
    assert sys.modules["learn2learn"] is whole


# -- the network ----------------------------------------------------------------------------------


def pair(ours, name, tiny, **options):
    """Ours, and learn2learn's from the same weights, with gains and shifts off their start."""
    options = {"filters": 6, "learned_rates": False, **options}
    torch.manual_seed(0)
    mine = ours(ours.Config(**options), tiny.task())
    with torch.no_grad():
        for key, p in mine.theta.items():
            if not key.startswith(("weight", "head")):
                p.add_(0.2 * torch.randn_like(p))
    theirs = learner(name)
    told = ("first_order", "inner_steps_test")
    config = theirs.Config(**(options | {key: getattr(mine.config, key) for key in told}))
    theirs = theirs(config, tiny.task())
    theirs._wrap(Network(mine.theta, mine.network).double())
    return mine.double(), theirs


def double(batch):
    batch.support_x, batch.query_x = batch.support_x.double(), batch.query_x.double()
    return batch


def as_theta(body, head):
    """Gradients of the layers, named and laid out as ours."""
    named = {"head": head.weight.grad.T, "bias": head.bias.grad}
    for block, (linear, norm) in enumerate(zip(body.linear, body.norm, strict=True)):
        g = linear.weight.grad
        named[f"weight{block}"] = g.T if g.dim() == 2 else g.movedim(1, 3).flatten(1).T
        named[f"scale{block}"], named[f"shift{block}"] = norm.scale.grad, norm.shift.grad
    return named


def as_layers(named, names):
    """What is named and laid out as ours, as the parameters of the layers of conv4."""
    laid_out = {}
    for name in names:
        if name.startswith("head"):
            laid_out[name] = named["head"].T if name.endswith("weight") else named["bias"]
            continue
        _, kind, block, what = name.split(".")
        if kind == "norm":
            laid_out[name] = named[f"{what}{block}"]
        else:
            g = named[f"weight{block}"].T
            laid_out[name] = g.unflatten(1, (3, 3, -1)).movedim(3, 1)
    return laid_out


@pytest.mark.parametrize("encoder", ["conv4", "conv4-strided", "pixels"])
def test_the_network_is_that_of_maml(encoder, tiny):
    torch.manual_seed(0)
    mine = MAML(MAML.Config(encoder=encoder, filters=6), tiny.task()).double()
    network = Network(mine.theta, mine.network).double()
    batch = double(tiny.episodes(batch=1))
    weights = {name: p[None] for name, p in mine.theta.items()}
    seen = mine.network.features(mine.network.inputs(batch.support_x), weights)[1]
    features, statistics = network.body(batch.support_x[0])
    for (mean, var), (expected_mean, expected_var) in zip(statistics, seen, strict=True):
        torch.testing.assert_close(mean, expected_mean[0, 0])
        torch.testing.assert_close(var, expected_var[0, 0])
    asked = mine.network.inputs(batch.query_x)
    for given, same in ((None, None), (statistics, seen)):
        expected = mine.network.features(asked, weights, same)[0]
        torch.testing.assert_close(network.body(batch.query_x[0], given)[0], expected[0])
        logits = mine.network.head(expected, weights)[0]
        torch.testing.assert_close(network(batch.query_x[0], given), logits)
    assert features.shape == (5, 64 if encoder == "pixels" else 6)


def test_a_single_value_has_no_spread():
    """(3 - 3) / sqrt(1 + ε) * 2 + 5 = 5, and (4 - 3) / sqrt(1 + ε) * 2 + 5 = 7."""
    norm = BatchNorm(torch.tensor([2.0]), torch.tensor([5.0]))
    y, statistics = norm(torch.full((1, 1, 1, 1), 3.0), None)
    assert y.item() == 5.0
    assert norm(torch.full((1, 1), 4.0), statistics)[0].item() == pytest.approx(7.0, abs=1e-4)


# -- ours and theirs ------------------------------------------------------------------------------


@needs_learn2learn
@pytest.mark.parametrize(
    ("ours", "name", "options"),
    [
        (MAML, "maml-l2l", {}),
        (MAML, "maml-l2l", {"inner_steps": 3, "inner_lr": 0.1}),
        (MAML, "maml-l2l", {"transductive": True}),
        (MAML, "maml-l2l", {"encoder": "conv4-strided"}),
        (MAML, "maml-l2l", {"encoder": "pixels", "inner_steps": 2}),
        (FOMAML, "maml-l2l", {"inner_steps": 2}),
        (MAML, "metasgd-l2l", {"inner_steps": 2}),  # which starts as MAML
        (FOMAML, "metasgd-l2l", {"inner_steps": 2}),
        (MetaSGD, "metasgd-l2l", {}),
        (MetaSGD, "metasgd-l2l", {"inner_steps": 2, "encoder": "pixels"}),
        (ANIL, "anil-l2l", {}),
        (ANIL, "anil-l2l", {"encoder": "pixels", "transductive": True, "inner_steps": 1}),
    ],
    ids=str,
)
def test_the_same_logits_and_meta_gradients(ours, name, options, tiny):
    mine, theirs = pair(ours, name, tiny, **options)
    batch = double(tiny.episodes(shots=2, batch=3))
    logits, losses = [], []
    for one in (mine.train(), theirs.train()):
        logits.append(one.predict(one.adapt(batch.support_x, batch.support_y, 5), batch.query_x))
        losses.append(F.cross_entropy(logits[-1].flatten(0, 1), batch.query_y.flatten()))
        losses[-1].backward()
    torch.testing.assert_close(*logits)
    head_only = name == "anil-l2l"
    network = theirs.model.module
    gradients = as_theta(*(theirs.body, network) if head_only else (network.body, network.head))
    assert gradients.keys() == mine.theta.keys()
    for key, gradient in gradients.items():
        torch.testing.assert_close(gradient, mine.theta[key].grad, msg=key)
    with torch.no_grad():  # meta-test
        answers = [
            one.eval().predict(one.adapt(batch.support_x, batch.support_y, 5), batch.query_x)
            for one in (mine, theirs)
        ]
    torch.testing.assert_close(*answers)


@needs_learn2learn
@pytest.mark.parametrize("first_order", [False, True])
def test_meta_sgd_has_the_rates_and_the_gradients_of_theirs(first_order, tiny):
    """Rates of either sign, each another one; logits, gradients by the weights and by the rates."""
    mine, theirs = pair(MetaSGD, "metasgd-l2l", tiny, inner_steps=2, first_order=first_order)
    names = [name for name, _ in theirs.model.module.named_parameters()]
    with torch.no_grad():
        for rate in mine.alpha.values():
            rate.uniform_(-0.2, 0.4)
        by_layer = as_layers(mine.alpha, names)
        for rate, name in zip(theirs.model.lrs, names, strict=True):
            rate.copy_(by_layer[name])
    batch = double(tiny.episodes(shots=2, batch=3))
    logits = []
    for one in (mine.train(), theirs.train()):
        logits.append(one.predict(one.adapt(batch.support_x, batch.support_y, 5), batch.query_x))
        F.cross_entropy(logits[-1].flatten(0, 1), batch.query_y.flatten()).backward()
    torch.testing.assert_close(*logits)
    network = theirs.model.module
    for key, gradient in as_theta(network.body, network.head).items():
        torch.testing.assert_close(gradient, mine.theta[key].grad, msg=key)
    gradients = as_layers({key: p.grad for key, p in mine.alpha.items()}, names)
    for rate, name in zip(theirs.model.lrs, names, strict=True):
        torch.testing.assert_close(rate.grad, gradients[name], msg=name)


@needs_learn2learn
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("option", ["learned_rates", "shared_head"])
def test_what_the_library_lacks_is_refused(name, option):
    with pytest.raises(ValueError, match="learn2learn has neither"):
        learner(name).Config(**{option: True})


@needs_learn2learn
def test_the_same_seed_begins_with_the_same_weights(tiny):
    """In float32, as the harness builds them."""
    batch, losses = tiny.episodes(), []
    for cls in (MAML, learner("maml-l2l")):
        torch.manual_seed(3)
        config = cls.Config(filters=6, learned_rates=False)
        losses.append(cls(config, tiny.task()).train().loss(batch).item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


@needs_learn2learn
@pytest.mark.parametrize("name", ["maml-l2l", "metasgd-l2l"])
def test_ten_updates_of_training_go_the_same_way(name, tiny):
    """In float64: in float32 their rounding parts the two within a short training, and what they
    reach then differs as two seeds differ."""
    mine, theirs = pair({"maml-l2l": MAML, "metasgd-l2l": MetaSGD}[name], name, tiny)
    losses: list[list[float]] = []
    for one in (mine.train(), theirs.train()):
        steps = torch.optim.Adam(one.parameters(), lr=0.01)
        losses.append([])
        for seed in range(10):
            loss = one.loss(double(tiny.episodes(shots=2, batch=3, seed=seed)))
            steps.zero_grad()
            loss.backward()
            steps.step()
            losses[-1].append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    assert losses[0][-1] != pytest.approx(losses[0][0], rel=0.05)


@needs_learn2learn
@torch.no_grad()
def test_fewer_ways_are_the_first_outputs(tiny):
    mine, theirs = pair(MAML, "maml-l2l", tiny)
    batch = double(tiny.episodes(ways=3))
    answers = [
        one.eval().predict(one.adapt(batch.support_x, batch.support_y, 3), batch.query_x)
        for one in (mine, theirs)
    ]
    assert answers[1].shape[-1] == 3
    torch.testing.assert_close(*answers)


@needs_learn2learn
def test_meta_sgd_learns_a_step_size_for_every_weight(tiny):
    """After one step w' = w - α g, the loss's derivative by α is that by w' times -g, for every
    task, and g = (w - w') / α."""
    _, theirs = pair(MAML, "metasgd-l2l", tiny, transductive=True)  # else statistics have w' too
    batch, weights = double(tiny.episodes()), dict(theirs.model.module.named_parameters())
    state = theirs.train().adapt(batch.support_x, batch.support_y, 5)
    for adapted in state["weights"].values():
        adapted.retain_grad()
    logits = theirs.predict(state, batch.query_x)
    F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten()).backward()
    for (name, weight), rate in zip(weights.items(), theirs.model.lrs, strict=True):
        adapted = state["weights"][name]
        by_task = -adapted.grad * (weight - adapted) / theirs.config.inner_lr
        torch.testing.assert_close(rate.grad, by_task.sum(0), atol=1e-9, rtol=1e-6, msg=name)
        assert rate.grad.any()
    parameters = [*weights.values(), *theirs.model.lrs]
    assert {id(p) for p in parameters} == {id(p) for p in theirs.parameters()}


@needs_learn2learn
def test_a_task_alone_is_adapted_as_among_others(tiny):
    _, theirs = pair(MAML, "maml-l2l", tiny)
    batch, theirs = double(tiny.episodes()), theirs.eval()
    with torch.no_grad():
        state = theirs.adapt(batch.support_x, batch.support_y, 5)
        together = theirs.predict(state, batch.query_x)
        for b in range(len(batch.query_x)):
            one = Episodes(5, *(t[b : b + 1] for t in (
                batch.support_x, batch.support_y, batch.query_x, batch.query_y
            )))  # fmt: skip
            alone = theirs.predict(theirs.adapt(one.support_x, one.support_y, 5), one.query_x)
            torch.testing.assert_close(alone[0], together[b])
    assert not any(t.requires_grad for t in state["weights"].values())


@needs_learn2learn
@pytest.mark.parametrize("name", NAMES)
def test_it_passes_all_checks_that_apply(name):
    cls = learner(name)
    results = check_learner(cls, cls.Config(filters=8, episodes_per_update=8))
    assert [str(result) for result in results if result.status == "fail"] == []
    idle = {result.name for result in results if result.status == "not applicable"}
    assert idle <= {"support-order", "label-order"}


# -- in the harness -------------------------------------------------------------------------------


@needs_learn2learn
def test_ours_and_theirs_are_timed_in_one_report(tmp_path):
    def bench(*words: str) -> str:
        command = [sys.executable, "-c", "from bench.cli import main; main()", *words]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    ours, theirs = "maml[filters=16,learned_rates=False]", "maml-l2l[filters=16]"
    both = ["--learner", ours, "--learner", theirs]
    bench("run", "--suite", "glyphs-5way", "--budget", "smoke", "--device", "cpu/1", *both)
    rows = json.loads(bench("results", "--format", "json"))
    assert {row["learner"] for row in rows} == {ours, theirs}
    settings = {row["setting"] for row in rows}
    for row in rows:
        assert row["status"] == "done"
        assert row["accuracy"] > 0.3, (row["learner"], row["setting"])  # by chance 0.2
    bench("report", "--format", "html,csv")
    assert "maml-l2l" in (tmp_path / "results" / "report.html").read_text(encoding="utf-8")
    tables = sorted(tmp_path.glob("results/tables/*-cost.csv"))
    assert len(tables) == len(settings) == 2
    for table in tables:
        lines = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
        assert {line["learner"] for line in lines} == {ours, theirs}
        for line in lines:
            assert float(line["cpu/1 adapt"]) > 0
            assert float(line["cpu/1 training update"]) > 0
