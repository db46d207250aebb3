"""What holds for every learner here: the checks of `bench.testing`, and what is ours to ask."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bench.api import CONTRACTS, TaskSpec
from bench.registry.installed import learners
from bench.testing import check_learner
from bench_plugins.metric_based.baseline import Baseline
from bench_plugins.metric_based.matching import Matching
from bench_plugins.metric_based.pixel_nearest_neighbour import PixelNearestNeighbour
from bench_plugins.metric_based.prototypical import Prototypical
from bench_plugins.metric_based.relation import Relation
from bench_plugins.metric_based.siamese import Siamese
from bench_plugins.model_based.cnp import CNP
from bench_plugins.model_based.feedforward import FeedForward
from bench_plugins.model_based.icl import ICL
from bench_plugins.model_based.lstm import LSTM
from bench_plugins.model_based.mann import MANN
from bench_plugins.model_based.memory_network import MemoryNetwork
from bench_plugins.model_based.metanet import MetaNet
from bench_plugins.model_based.ntm import NTM
from bench_plugins.model_based.snail import SNAIL
from bench_plugins.optimization_based.anil import ANIL
from bench_plugins.optimization_based.fomaml import FOMAML
from bench_plugins.optimization_based.from_scratch import FromScratch
from bench_plugins.optimization_based.maml import MAML
from bench_plugins.optimization_based.meta_sgd import MetaSGD
from bench_plugins.optimization_based.proto_maml import ProtoMAML
from bench_plugins.optimization_based.reptile import Reptile
from bench_plugins.optimization_based.ridge import Ridge

SMALL = {
    PixelNearestNeighbour: {},
    Prototypical: {"filters": 8, "training_ways": 10},
    Matching: {"filters": 8, "training_ways": 10},
    Siamese: {"filters": 8, "training_ways": 10},
    Baseline: {"filters": 8, "training_ways": 10},
    MAML: {"filters": 8, "episodes_per_update": 8},
    FOMAML: {"filters": 8, "episodes_per_update": 8},
    FromScratch: {},
    ANIL: {"filters": 8, "episodes_per_update": 8},
    MetaSGD: {"filters": 8, "episodes_per_update": 8},
    ProtoMAML: {"filters": 8, "episodes_per_update": 8},
    Reptile: {"filters": 8, "training_shots": 3, "inner_steps_test": 5},
    MetaNet: {"filters": 8, "key": 8, "hidden": 8, "episodes_per_update": 8},
    MANN: {"encoder": "pixels", "hidden": 32, "rows": 16, "width": 8, "heads": 2},
    NTM: {"encoder": "pixels", "hidden": 32, "rows": 16, "width": 8, "read_heads": 2},
    LSTM: {"encoder": "pixels", "hidden": 60},
    FeedForward: {"encoder": "pixels", "hidden": 32},
    SNAIL: {"filters": 8, "dense_filters": 16},
    MemoryNetwork: {"filters": 8, "width": 32, "training_ways": 5},
    Ridge: {"filters": 8, "training_ways": 10},
    Relation: {"filters": 8, "training_ways": 10},
    CNP: {"filters": 8, "width": 32, "training_ways": 10},
    ICL: {"filters": 8, "layers": 2, "width": 32, "heads": 2},
}
LEARNERS = pytest.mark.parametrize("cls", SMALL, ids=lambda cls: cls.__name__)
TRAINED = pytest.mark.parametrize("cls", [c for c in SMALL if c.trained], ids=lambda c: c.__name__)
PROTOCOLS = pytest.mark.parametrize("protocol", ["kshot", "online"])


@pytest.fixture(scope="module")
def slightly_trained(tiny):
    """A learner after 15 updates, in ``eval()``."""
    made = {}

    def make(cls, protocol="online"):
        if (cls, protocol) not in made:
            torch.manual_seed(0)
            config = cls.Config(**SMALL[cls])
            learner = cls(config, cls.training_task(config, tiny.task(protocol)))
            if cls.trained:
                tiny.train(learner, 15)
            made[cls, protocol] = learner.eval()
        return made[cls, protocol]

    return make


def kshot_logits(learner, episodes):
    state = learner.adapt(episodes.support_x, episodes.support_y, episodes.ways)
    return learner.predict(state, episodes.query_x)


NO_MEMORY = {FeedForward: {"trains"}}
"""What chance looks like: it cannot learn, and must not."""


@LEARNERS
def test_it_passes_all_checks_that_apply(cls):
    results = check_learner(cls, cls.Config(**SMALL[cls]))
    failed = {result.name: str(result) for result in results if result.status == "fail"}
    assert failed.keys() == NO_MEMORY.get(cls, set()), failed
    allowed = {"support-order", "label-order"}  # reported of learners that state neither
    allowed |= set() if cls.trained else {"query-labels", "gradients", "trains"}
    allowed |= set() if "online" in cls.protocols else {"first-presentation"}
    assert {result.name for result in results if result.status == "not applicable"} <= allowed


@pytest.mark.parametrize("cls", [MANN, NTM, LSTM, FeedForward])
def test_the_papers_offset_form_keeps_its_laws_too(cls):
    """Labels a step late, in the k-shot view as well: both views agree, and no step sees its own
    label."""
    config = cls.Config(**SMALL[cls], offset_labels=True)
    found = {r.name: r for r in check_learner(cls, config) if r.name in {"two-views", "causality"}}
    assert {name: result.status for name, result in found.items()} == {
        "two-views": "pass", "causality": "pass",
    }  # fmt: skip


def test_no_built_in_learner_is_forgotten():
    families = {cls.__module__.rpartition(".")[0] for cls in SMALL}
    installed = {
        c for c in learners().things.values() if c.__module__.rpartition(".")[0] in families
    }
    assert installed == set(SMALL)


@pytest.mark.parametrize(
    "cls", [MAML, ANIL, MetaNet, MANN, NTM, LSTM, FeedForward, SNAIL, MemoryNetwork, ICL]
)
def test_more_ways_than_trained_are_refused_in_words(cls, slightly_trained, tiny):
    episodes = tiny.episodes(ways=6)
    with pytest.raises(ValueError, match=r"cannot answer 6.*at least 6 ways"):
        slightly_trained(cls, "kshot").adapt(episodes.support_x, episodes.support_y, 6)


@TRAINED
@PROTOCOLS
def test_autocast_changes_little(cls, protocol, slightly_trained, tiny):
    learner = slightly_trained(cls, protocol)
    batch = tiny.stream() if protocol == "online" else tiny.episodes()
    torch.manual_seed(0)
    exact = learner.loss(batch)
    with torch.autocast("cpu", torch.bfloat16):
        torch.manual_seed(0)
        rough = learner.loss(batch)
        with torch.no_grad():
            episodes = tiny.episodes()
            assert kshot_logits(learner, episodes).isfinite().all()
    rough.backward()
    assert rough.item() == pytest.approx(exact.item(), rel=0.1, abs=0.05)
    assert all(p.grad is None or p.grad.isfinite().all() for p in learner.parameters())
    learner.zero_grad()


@LEARNERS
def test_it_says_who_it_is(cls):
    assert cls.contract in CONTRACTS
    assert cls.references
    config = cls.Config()
    for field in dataclasses.fields(config):
        assert field.metadata["meaning"].endswith("."), field.name
    for preset in cls.presets.values():
        dataclasses.replace(config, **preset)
    assert "paper" in cls.presets


OF_IMAGES = [
    cls for cls in SMALL if cls.trained and not {"kshot", "online"}.isdisjoint(cls.protocols)
]


@pytest.mark.parametrize("cls", OF_IMAGES, ids=lambda c: c.__name__)
def test_families_see_images_with_one_encoder(cls):
    """Conv4 of 64 filters by default, k-shot and online."""
    for protocol in ("kshot", "online"):
        config = cls.Config(**cls.protocol_defaults.get(protocol, {}))
        assert (config.encoder, config.filters) == ("conv4", 64)


STANDARDISED = (MANN, NTM, LSTM, FeedForward, SNAIL, CNP, ICL)


@pytest.mark.parametrize("cls", STANDARDISED)
def test_sequences_are_of_standardised_features(cls):
    """By default, of images: each feature has mean 0 and variance 1 over those of an update."""
    torch.manual_seed(0)
    learner = cls(cls.Config(filters=4), TaskSpec((1, 28, 28), 5)).train()
    z = learner.encoder(torch.rand(4, 50, 1, 28, 28) * torch.rand(4, 50, 1, 1, 1))  # (B, S, D)
    every = z.flatten(0, 1)
    torch.testing.assert_close(every.mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(every.var(0, unbiased=False), torch.ones(4), atol=0.02, rtol=0)


@pytest.mark.parametrize("cls", [MANN, NTM, LSTM, FeedForward])
def test_one_training_of_a_recurrent_learner_serves_one_to_five_shots(cls):
    one, five = (
        cls.training_task(cls.Config(), TaskSpec((1, 28, 28), 5, shots, queries=15))
        for shots in (1, 5)
    )
    assert one == five
    assert (one.shots, one.queries) == ((1, 5), 3)


# trained once for all
ANY_SHOTS = (
    Siamese, Baseline, Reptile, SNAIL, MemoryNetwork, MANN, NTM, LSTM, FeedForward, Ridge, Relation,
    CNP, ICL,
)  # fmt: skip


@TRAINED
def test_a_training_task_can_be_drawn(cls):
    for task in (
        TaskSpec((1, 28, 28), 5),
        TaskSpec((1, 28, 28), 20, 5),
        TaskSpec((1, 20, 20), 5, protocol="online", length=50),
    ):
        asked = cls.training_task(cls.Config(), task)
        assert cls in ANY_SHOTS or asked.shots == task.shots
        assert asked.ways >= task.ways
        assert (asked.protocol, asked.length) == (task.protocol, task.length)
        published = cls.published_updates(cls.Config(), task)
        assert published is None or published > 0


# MetaNet, as small as it is here, needs more updates online than the check has.
LEARNS = [cls for cls in SMALL if cls.trained and cls not in NO_MEMORY and cls is not MetaNet]


@pytest.mark.parametrize("cls", LEARNS, ids=lambda c: c.__name__)
def test_it_trains_online(cls):
    """As the check `trains` asks of the k-shot view: the likelihood or the error rate is halved, of
    classes that were seen before. How soon is its own affair."""
    online = type(cls.__name__, (cls,), {"protocols": ("online",), "__module__": cls.__module__})
    (told,) = check_learner(online, cls.Config(**SMALL[cls]), checks=["trains"])
    assert told.status == "pass", told


def test_whoever_learns_nothing_does_not_train_online():
    class Forgets(MANN):
        """Its memory begins anew at every step."""

        def step(self, state, z, label):
            logits, _ = super().step(state, z, label)
            return logits, state

    for cls in (FeedForward, Forgets):
        online = type(cls.__name__, (cls,), {"protocols": ("online",)})
        config = cls.Config(**SMALL[MANN if cls is Forgets else cls])
        (told,) = check_learner(online, config, checks=["trains"])
        assert told.status == "fail", told
